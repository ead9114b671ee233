"""Visitors who say over HTTP/2 whatever is legal, frame by frame and at random, and judge every byte that they get.

A Talk is one connection: it keeps the books that RFC 9113 asks of both sides (windows, tables, limits, states of
streams), so that nothing illegal is said, and what the other side says against them is a fault.  A FrameVisitor draws
what comes next from many small moves: requests with bodies in pieces, trailers, padding and split heads, settings up
and down, resets, tunnels, half closes.  What a page has to be, storm.Visitor knows.
"""
import contextlib
import select
import socket
import ssl
import time
import zlib

import hpack

from .http2 import (ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, NO_ERROR, PADDED, PING,
                    PREFACE, PRIORITIZED, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame)
from .edge import SLOW
from .storm import FAILURES, Visitor
from .wire import Client, Fields, Page

TABLE, PUSH, STREAMS, WINDOW, FRAME, LIST, CONNECT = 1, 2, 3, 4, 5, 6, 8  # of SETTINGS
PRIORITY_UPDATE, UNKNOWN = 0x10, 0x77
LARGEST = (1 << 31) - 1
INTERNAL_ERROR, REFUSED_STREAM = 2, 7
WIDEST = 1 << 28  # that we open a window: settings that are under way may add to it
PATIENCE = 60 * SLOW
# how a stream may be broken off: its origin died, we stop, the answer was there before the end of the question
HONEST = {NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL}


class Exchange:
    """One stream: what was asked, what may still be said, what came."""

    def __init__(self, number, path, method, headers, floor):
        self.number, self.path, self.method, self.headers, self.floor = number, path, method, headers, floor
        self.page, self.interim, self.body = None, 0, bytearray()
        self.to_send, self.sent, self.room = None, b"", 0  # of the body; None: nothing, or all of it is sent
        self.window = 0  # that we opened
        self.echo = b""  # of a tunnel: what we said
        self.code = None  # of a reset
        self.whole = False
        self.over = False  # the other side has ended it, or somebody broke it off

    @property
    def is_tunnel(self):
        return self.method == "CONNECT"


class Talk:
    """A connection by the rules."""

    def __init__(self, wire, random, scheme):
        self.wire, self.random, self.scheme = wire, random, scheme
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.streams, self.left, self.next = {}, {}, 1  # ours; those that we broke off: their frames may still come
        self.theirs = {TABLE: 4096, STREAMS: 100, WINDOW: 65535, FRAME: 16384, CONNECT: 0}
        self.ours = {TABLE: 4096, WINDOW: 65535, FRAME: 16384}
        self.said = []  # settings that are not acknowledged yet, in order
        self.room, self.window = 65535, 65535  # of the connection: for us, for them
        self.last = LARGEST  # the last stream that the other side will answer
        self.said_goaway, self.heard_goaway = False, False
        self.pings, self.block, self.is_last = [], None, 0
        self.out = bytearray(PREFACE)
        self.settles({PUSH: 0, **self.draws_settings()})

    # --- saying

    def flush(self):
        data, self.out = bytes(self.out), bytearray()
        self.wire.send(data)

    def says(self, kind, flags=0, stream=0, payload=b""):
        self.out += frame(kind, flags, stream, payload)

    def draws_settings(self):
        some = {TABLE: self.random.choice([0, 100, 4096, 65536]), FRAME: self.random.choice([16384, 20000, 1 << 20]),
                WINDOW: self.random.choice([0, 1, 1000, 65535, 1 << 20, 1 << 24]), LIST: 1 << 20}
        return dict(self.random.sample(sorted(some.items()), self.random.randint(0, len(some))))

    def settles(self, settings):
        self.said.append(settings)
        self.says(SETTINGS, payload=b"".join(k.to_bytes(2, "big") + v.to_bytes(4, "big") for k, v in settings.items()))

    def padded(self, payload):
        """(flags, payload), with padding now and then."""
        if self.random.random() < 0.7:
            return 0, payload
        size = self.random.choice([0, 1, 200])
        return PADDED, bytes([size]) + payload + bytes(size)

    def heads(self, number, fields, ends):
        """HEADERS, in pieces now and then."""
        if self.random.random() < 0.1:
            self.encoder.header_table_size = self.random.choice([0, 64, self.theirs[TABLE]])
        block = self.encoder.encode(fields, huffman=self.random.random() < 0.5)
        cuts = sorted(self.random.randrange(len(block) + 1) for _ in range(self.random.choice([0, 0, 0, 1, 3])))
        first, *more = [block[a:b] for a, b in zip([0, *cuts], [*cuts, len(block)])]
        flags = (END_STREAM if ends else 0) | (0 if more else END_HEADERS)
        if self.random.random() < 0.2:  # RFC 7540's tree; a stream may not hang on itself
            flags, first = flags | PRIORITIZED, (0).to_bytes(4, "big") + b"\x10" + first
        pad, first = self.padded(first)
        self.says(HEADERS, flags | pad, number, first)
        for at, piece in enumerate(more, 1):
            self.says(CONTINUATION, END_HEADERS if at == len(more) else 0, number, piece)

    def can_open(self):
        return len(self.streams) < min(self.theirs[STREAMS], 40) and self.next <= self.last

    def opens(self, exchange, fields, ends):
        exchange.room, exchange.window = self.theirs[WINDOW], self.ours[WINDOW]
        self.streams[exchange.number] = exchange
        self.next += 2 * self.random.choice([1, 1, 1, 5])  # numbers may be left out
        self.heads(exchange.number, fields, ends)

    def data(self, exchange, limit=1 << 20):
        """A piece of the body, as the windows allow; its end is said with it, or alone, or by trailers."""
        padding = self.random.choice([None, None, None, 0, 100])
        cost = 0 if padding is None else padding + 1
        room = min(self.room, exchange.room, self.theirs[FRAME]) - cost
        if room < 0:
            return
        piece = exchange.to_send[:min(room, limit)]
        exchange.to_send = exchange.to_send[len(piece):]
        ends = not exchange.to_send and not exchange.is_tunnel and self.random.random() < 0.6
        if not piece and not ends and exchange.to_send:
            return
        if padding is None:
            self.says(DATA, END_STREAM if ends else 0, exchange.number, piece)
        else:
            self.says(DATA, PADDED | (END_STREAM if ends else 0), exchange.number,
                      bytes([padding]) + piece + bytes(padding))
        self.room -= len(piece) + cost
        exchange.room -= len(piece) + cost
        exchange.sent += piece
        if ends:
            exchange.to_send = None
        elif not exchange.to_send and not exchange.is_tunnel:
            self.ends(exchange)

    def ends(self, exchange):
        if self.random.random() < 0.3 and not exchange.is_tunnel:
            self.heads(exchange.number, [("x-trailer", "of the question")], True)
        else:
            self.says(DATA, END_STREAM, exchange.number)
        exchange.to_send = None

    def resets(self, exchange):
        self.says(RST_STREAM, 0, exchange.number, CANCEL.to_bytes(4, "big"))
        self.left[exchange.number] = self.streams.pop(exchange.number)

    def widens(self, exchange, count):
        """A window, of the connection where there is no exchange."""
        holder = exchange or self
        count = min(count, WIDEST - holder.window)
        if count > 0:
            holder.window += count
            self.says(WINDOW_UPDATE, 0, exchange.number if exchange else 0, count.to_bytes(4, "big"))

    # --- hearing

    def hears(self, patience):
        """What comes within that time; False at the end."""
        pending = isinstance(self.wire.socket, ssl.SSLSocket) and self.wire.socket.pending()
        if not pending and not select.select([self.wire.socket], [], [], patience)[0]:
            return True
        more = self.wire.more(self.random.choice([1, 100, 5000, 1 << 18]))
        while len(self.wire.buffer) >= 9:
            size = int.from_bytes(self.wire.buffer[:3], "big")
            if len(self.wire.buffer) < 9 + size:
                break
            head, payload = self.wire.buffer[:9], self.wire.buffer[9: 9 + size]
            self.wire.buffer = self.wire.buffer[9 + size:]
            self.takes(head[3], head[4], int.from_bytes(head[5:], "big"), payload)
        return more

    def takes(self, kind, flags, number, payload):
        assert len(payload) <= max([self.ours[FRAME], *(one.get(FRAME, 0) for one in self.said)]), "a frame too large"
        assert (self.block is None) == (kind != CONTINUATION), f"frame {kind} within a head"
        exchange = self.streams.get(number)
        assert number == 0 or exchange or number in self.left or number < self.next, f"stream {number} is not ours"
        if kind in (DATA, HEADERS) and flags & PADDED:
            full, payload = len(payload), payload[1: len(payload) - payload[0]]
        else:
            full = len(payload)
        if kind == DATA:
            self.takes_data(exchange or self.left.get(number), payload, full)
        elif kind in (HEADERS, CONTINUATION):
            self.block = (self.block or b"") + payload
            self.is_last = flags & END_STREAM if kind == HEADERS else self.is_last
            if flags & END_HEADERS:
                block, self.block = self.decoder.decode(self.block), None
                if exchange:
                    self.takes_head(exchange, block)
            flags = self.is_last if flags & END_HEADERS else 0
        elif kind == RST_STREAM and exchange:
            exchange.code, exchange.over = int.from_bytes(payload, "big"), True
        elif kind == SETTINGS:
            self.takes_settings(flags, payload)
        elif kind == PING:
            if flags & ACK:
                assert payload == self.pings.pop(0), "another PING's answer"
            else:
                self.says(PING, ACK, 0, payload)
        elif kind == GOAWAY:
            self.heard_goaway = True
            self.last, code = int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big")
            assert code == NO_ERROR, f"GOAWAY with {code}: {payload[8:]!r}"
            for one in self.streams.values():
                if one.number > self.last:
                    one.code, one.over = REFUSED_STREAM, True
        elif kind == WINDOW_UPDATE:
            count = int.from_bytes(payload, "big")
            assert count > 0, "a window moved by nothing"
            if exchange:
                exchange.room += count
            elif number == 0:
                self.room += count
        if kind in (DATA, HEADERS, CONTINUATION) and flags & END_STREAM and exchange:
            exchange.over = exchange.whole = True

    def takes_data(self, exchange, payload, full):
        assert exchange is not None, "DATA on a stream that is over"
        self.window -= full
        exchange.window -= full
        assert full == 0 or (self.window >= 0 and exchange.window >= 0), "more than the window allows"
        assert exchange.page is not None or exchange.number in self.left, "a body without a head"
        exchange.body += payload

    def takes_head(self, exchange, fields):
        named = dict(fields)
        assert all(n == n.lower() for n in named), f"a name in upper case: {fields}"
        if exchange.page is not None:
            exchange.page.trailers = Fields(fields)
            return
        status = int(named[":status"])
        if status < 200:
            exchange.interim = status
            return
        exchange.page = Page(status, "", Fields((n, v) for n, v in fields if n != ":status"), "HTTP/2")

    def takes_settings(self, flags, payload):
        if flags & ACK:
            now = self.said.pop(0)
            for exchange in [*self.streams.values(), *self.left.values()]:
                exchange.window += now.get(WINDOW, self.ours[WINDOW]) - self.ours[WINDOW]
            self.ours |= now
            self.decoder.max_allowed_table_size = self.ours[TABLE]
            return
        for at in range(0, len(payload), 6):
            key, value = int.from_bytes(payload[at: at + 2], "big"), int.from_bytes(payload[at + 2: at + 6], "big")
            if key == WINDOW:
                for exchange in self.streams.values():
                    exchange.room += value - self.theirs[WINDOW]
            elif key == TABLE:
                self.encoder.header_table_size = min(value, 4096)
            self.theirs[key] = value
        self.says(SETTINGS, ACK)


class FrameVisitor(Visitor):
    """One connection after the other, each a row of moves."""

    def __init__(self, storm, number):
        super().__init__(storm, number)
        self.talk = None

    def visits(self):
        address, tls, _ = self.random.choice(self.storm.addresses)
        self.scheme = "https" if tls else "http"
        self.doing = self.scheme
        moves = ([self.asks_page, self.sends] * 12 + [self.listens] * 10 + [self.opens_window] * 8 + [self.speaks] * 4 +
                 [self.breaks] * 2 + [self.opens_tunnel, self.changes_settings, self.pings, self.prioritizes,
                                      self.says_unknown])
        with self.storm.edge.connect(address=address, tls=tls, alpn=["h2"], client=Client) as wire:
            self.talk = Talk(wire, self.random, self.scheme)
            for _ in range(self.random.choice([5, 30, 150, 150])):
                move = self.random.choice(moves)
                self.does(move)
                if self.storm.over.is_set():
                    return
                if not self.hears(0):
                    self.was_closed()
                    return
            self.random.choice([self.finishes] * 6 + [self.leaves_now, self.half_closes, self.says_goaway])()

    def does(self, move):
        self.doing = f"{self.doing[-300:]} {move.__name__}"
        move()
        if self.random.random() < 0.6:
            self.talk.flush()

    def hears(self, patience):
        """False: the connection is over, or we are to leave."""
        self.talk.flush()
        good = self.talk.hears(patience)
        for exchange in [one for one in self.talk.streams.values() if one.over]:
            self.is_over(exchange)
        return good

    # --- moves

    def fields_of(self, path, method, headers):
        return [(":method", method), (":scheme", self.scheme), (":path", path), (":authority", "edge.test"),
                *((n.lower(), str(v)) for n, v in self.fields_for(path, **headers).items())]

    def asks_page(self):
        talk, path = self.talk, self.chooses()
        if not talk.can_open():
            return
        method = self.random.choice(["GET"] * 8 + ["HEAD", "POST", "POST", "PUT"])
        headers = self.draws_headers(path) if method in ("GET", "HEAD") else {}
        exchange = Exchange(talk.next, path, method, headers, self.floor(path))
        if method in ("POST", "PUT"):
            exchange.to_send = self.random.randbytes(self.random.choice([0, 1, 1000, 70000, 300000]))
            if self.random.random() < 0.5:
                headers["Content-Length"] = len(exchange.to_send)
            if self.random.random() < 0.2:
                headers["Expect"] = "100-continue"
        talk.opens(exchange, self.fields_of(path, method, headers), exchange.to_send is None)

    def draws_headers(self, path):
        headers = {}
        if self.random.random() < 0.2 and path in self.tags:
            headers["If-None-Match"] = f'"{self.tags[path]}"'
        elif self.random.random() < 0.3:
            at = self.random.choice([0, 10, 1000, 100000])
            headers["Range"] = "bytes=" + self.random.choice([f"{at}-{at + 99}", f"{at}-", f"-{at + 1}",
                                                              f"0-9, {at + 20}-{at + 39}"])
        if self.random.random() < 0.3:
            headers["Priority"] = f"u={self.random.randrange(8)}" + self.random.choice(["", ", i"])
        if self.random.random() < 0.3:
            headers["TE"] = "trailers"
        return headers

    def opens_tunnel(self):
        talk, path = self.talk, "/chat"
        if talk.can_open() and talk.theirs[CONNECT]:
            exchange = Exchange(talk.next, path, "CONNECT", {}, 0)
            exchange.to_send = b""
            fields = self.fields_of(path, "CONNECT", {"Sec-WebSocket-Version": 13})
            talk.opens(exchange, [*fields[:1], (":protocol", "websocket"), *fields[1:]], False)

    def speaks(self):
        """In a tunnel: something, or the last of it."""
        for exchange in self.some(lambda one: one.is_tunnel and one.to_send is not None):
            if self.random.random() < 0.2 and not exchange.to_send:
                self.talk.ends(exchange)
            else:
                more = self.random.choice([b"a", b"word", b"line\n" * 2000])
                exchange.to_send, exchange.echo = exchange.to_send + more, exchange.echo + more.upper()
                self.talk.data(exchange)

    def some(self, which):
        """One of the streams for which it holds, or none."""
        found = [one for one in self.talk.streams.values() if which(one)]
        return [self.random.choice(found)] if found else []

    def sends(self):
        for exchange in self.some(lambda one: one.to_send is not None and not one.is_tunnel):
            self.talk.data(exchange, self.random.choice([0, 1, 1000, 1 << 20]))

    def listens(self):
        self.hears(self.random.choice([0, 0.001, 0.02]))

    def opens_window(self):
        for exchange in [None, *self.some(lambda one: True)]:
            self.talk.widens(exchange, self.random.choice([1, 100, 10000, 1 << 20]))

    def breaks(self):
        for exchange in self.some(lambda one: True):
            self.talk.resets(exchange)
            self.storm.seen["we reset"] += 1

    def changes_settings(self):
        if len(self.talk.said) < 4:
            self.talk.settles(self.talk.draws_settings())

    def pings(self):
        self.talk.pings.append(self.random.randbytes(8))
        self.talk.says(PING, 0, 0, self.talk.pings[-1])

    def prioritizes(self):
        number = self.random.choice([one for one in self.talk.streams] or [1])
        if self.random.random() < 0.5:
            self.talk.says(PRIORITY, 0, number, (0).to_bytes(4, "big") + b"\x20")
        else:
            self.talk.says(PRIORITY_UPDATE, 0, 0, number.to_bytes(4, "big") + b"u=%d" % self.random.randrange(8))

    def says_unknown(self):
        """What nobody knows is passed over (RFC 9113, 5.5)."""
        self.talk.says(UNKNOWN, 0xFF, 0, self.random.randbytes(self.random.choice([0, 5, 1000])))

    # --- ends

    def finishes(self):
        """Open all windows, say what is left to say, and hear all that is left to hear."""
        talk = self.talk
        talk.settles({WINDOW: 1 << 20})
        end = time.monotonic() + PATIENCE
        while talk.streams or talk.said or talk.pings:
            for exchange in [None, *talk.streams.values()]:
                if (exchange or talk).window < 1 << 19:
                    talk.widens(exchange, 1 << 20)
            for exchange in list(talk.streams.values()):
                if exchange.to_send is None:
                    continue
                if exchange.is_tunnel and not exchange.to_send:
                    talk.ends(exchange)
                else:
                    talk.data(exchange)
            if not self.hears(0.05):
                self.was_closed()
                return
            if time.monotonic() > end:
                rest = [(one.number, one.method, one.path, one.page, one.to_send and len(one.to_send))
                        for one in talk.streams.values()]
                raise TimeoutError(f"{rest} {talk.said} {talk.pings}")
        self.storm.seen["finished"] += 1

    def was_closed(self):
        """Only when it stops, or after it said so."""
        talk = self.talk
        self.storm.seen["closed"] += 1
        left = [one.path for one in talk.streams.values()]
        assert self.storm.draining or talk.heard_goaway or talk.said_goaway, f"closed with {left} open"
        assert self.storm.draining or not left, f"closed behind a GOAWAY with {left} open"

    def leaves_now(self):
        if self.scheme == "http" and self.random.random() < 0.5:
            self.talk.wire.reset()

    def half_closes(self):
        with contextlib.suppress(OSError):
            self.talk.flush()
            if self.scheme == "http":  # Python's TLS cannot
                self.talk.wire.socket.shutdown(socket.SHUT_WR)
            end = time.monotonic() + 1
            while time.monotonic() < end and self.talk.hears(0.1):
                pass

    def says_goaway(self):
        self.talk.said_goaway = True
        self.talk.says(GOAWAY, 0, 0, (0).to_bytes(4, "big") + NO_ERROR.to_bytes(4, "big") + b"bye")
        self.finishes()

    # --- what they think of it

    def is_over(self, exchange):
        talk = self.talk
        if exchange.to_send is not None and exchange.code is None:
            talk.resets(exchange)  # it was answered before all was said, and so nobody wants the rest
            talk.left[exchange.number].over = True
        else:
            talk.left[exchange.number] = talk.streams.pop(exchange.number)
        assert exchange.code is None or exchange.code in HONEST, f"{exchange.path}: reset with {exchange.code}"
        self.doing = f"{self.doing[-300:]} {exchange.method} {exchange.path}"
        page = exchange.page
        if page is None:
            assert exchange.code is not None, f"{exchange.path}: ended without a head"
            self.storm.seen["reset", exchange.code] += 1
            return
        page.body, page.broken = bytes(exchange.body), not exchange.whole
        assert exchange.whole or exchange.code != NO_ERROR, f"{exchange.path}: given up for no reason: {page}"
        if exchange.is_tunnel:
            gone = exchange.to_send is None  # we ended it, and may have before it was there
            assert page.status in {200, *FAILURES, *([400] if gone else [])}, f"a tunnel: {page}"
            assert page.status != 200 or exchange.echo.startswith(page.body), f"another echo: {page}"
            self.storm.seen["tunnel", page.status] += 1
        elif exchange.method in ("POST", "PUT"):
            self.judges_upload(exchange, page)
        else:
            self.judges(exchange.path, exchange.floor, page, exchange.method, exchange.headers)
            if page.status == 200 and "x-sum" in page.trailers and not page.broken:
                assert page.trailers["x-sum"] == str(zlib.crc32(page.body)), f"{exchange.path}: foreign trailers"
                self.storm.seen["trailers"] += 1

    def judges_upload(self, exchange, page):
        path = exchange.path
        assert page.status == 200 or page.status in FAILURES, (
            f"{exchange.method} {path}: {page}, {len(exchange.sent)} sent, windows {exchange.room} {self.talk.room}")
        self.storm.seen[exchange.method, page.status] += 1
        if page.status == 200:
            self.storm.floors[self.scheme, path] = max(self.floor(path), int(page.headers["x-version"]))
            assert page.headers["x-sum"] == str(zlib.crc32(exchange.sent)), f"{path}: another body arrived"
