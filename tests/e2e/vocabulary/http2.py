"""HTTP/2 for scenarios: a client that asks like any other, and one that sends what no library would.

Http2 is a client like wire.Client, on python3-h2.  Frames is a connection of which every frame is written by hand; what
comes back is sorted by stream.
"""
import contextlib
import time

import h2.config
import h2.connection
import h2.events
import h2.settings
import hpack

from .wire import DEADLINE, Broken, Client, Fields, Page, until

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 1, 1, 4, 8, 32
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, CANCEL, CALM_DOWN = 0, 1, 2, 8, 11
WINDOW = 1 << 24


class Patient(h2.connection.H2Connection):
    """One that still hears what comes behind a GOAWAY: what is open is answered (RFC 9113, 6.8)."""

    def _receive_goaway_frame(self, goaway):
        event = h2.events.ConnectionTerminated()
        event.error_code, event.last_stream_id = goaway.error_code, goaway.last_stream_id
        return [], [event]


class Http2:
    """One connection, one request after the other, in the words of wire.Client."""

    SWITCHED = 200  # the status before a tunnel

    def __init__(self, address, **options):
        self.wire = Client(address, alpn=["h2"], **options)
        self.h2 = Patient(h2.config.H2Configuration(
            header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False))
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW})
        self.h2.increment_flow_control_window(WINDOW)
        self.leaving = False  # GOAWAY has come: no further request
        self.answer, self.left = None, None  # of the request under way; bytes of its body, None: until ends()
        self.scheme = "http" if options.get("tls") is None else "https"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.wire.close()

    def reset(self):
        self.wire.reset()

    def flush(self):
        self.wire.send(self.h2.data_to_send())

    def events(self):
        """What comes next."""
        self.flush()
        if not self.wire.more():
            raise Broken("closed")
        data, self.wire.buffer = self.wire.buffer, b""
        events = self.h2.receive_data(data)
        for event in events:
            self.leaving |= isinstance(event, h2.events.ConnectionTerminated)
            if isinstance(event, h2.events.DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        with contextlib.suppress(OSError):
            self.flush()
        return events

    def begins(self, method, target, headers=(), ends=True, host="edge.test"):
        pairs = [(n.lower(), str(v)) for n, v in (headers.items() if isinstance(headers, dict) else headers)]
        authority = next((v for n, v in pairs if n == "host"), host)
        pairs = [(n, v) for n, v in pairs if n != "host"]
        number = self.h2.get_next_available_stream_id()
        first = [(n, v) for n, v in pairs if n.startswith(":")]
        self.h2.send_headers(number, [(":method", method), (":scheme", self.scheme), (":authority", authority),
                                      (":path", target), *first, *(pair for pair in pairs if pair not in first)],
                             end_stream=ends)
        return number

    def opens(self, method, target, headers=(), length=None, host="edge.test"):
        """Send the head.  The body follows by says(): of `length` bytes, or, where that is "unknown", until ends()."""
        self.left = None if length == "unknown" else length or 0
        if isinstance(length, int):
            headers = {**dict(headers), "content-length": length}
        self.answer = Answered(self.begins(method, target, headers, self.left == 0, host))
        self.flush()

    def opens_tunnel(self, target):
        """A WebSocket (RFC 8441, 5)."""
        while self.h2.remote_settings.enable_connect_protocol != 1:
            self.events()
        self.opens("CONNECT", target, {":protocol": "websocket", "sec-websocket-version": "13"}, "unknown")

    def says(self, data):
        """As far as windows open; the answer may come before it is through."""
        number, data = self.answer.number, memoryview(data)
        while data and not self.answer.over:
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            if room <= 0:
                self.hears()
                continue
            if self.left is not None:
                self.left -= min(room, len(data))
            self.h2.send_data(number, data[:room].tobytes(), end_stream=self.left == 0)
            data = data[room:]
        self.flush()

    def ends(self, trailers=()):
        if trailers:
            self.h2.send_headers(self.answer.number, [(n.lower(), v) for n, v in trailers.items()], end_stream=True)
        else:
            self.h2.end_stream(self.answer.number)
        self.flush()

    def hears(self):
        self.answer.hears(self.events())

    def head(self):
        """The next response head, interim or final."""
        while not self.answer.heads:
            if self.answer.over:
                self.answer.whole()
            self.hears()
        return self.answer.heads.pop(0)

    def exactly(self, count):
        """So many bytes of the body."""
        body = self.answer.body
        while len(body) < count:
            if self.answer.over:
                raise Broken(f"ended after {len(body)} of {count} bytes", bytes(body))
            self.hears()
        taken = bytes(memoryview(body)[:count])
        del body[:count]
        return taken

    def rest(self):
        """What comes until the other side ends the stream."""
        while not self.answer.over:
            self.hears()
        return bytes(self.answer.body)

    def page(self, method="GET"):
        """The whole response, or what is left of it."""
        try:
            while not self.answer.over:
                self.hears()
        except Broken:
            if self.answer.page is None:
                raise
            self.answer.page.broken = True
        page = self.answer.whole()
        page.last = self.leaving
        return page

    def body_into(self, page, method):
        assert self.page(method) is page

    def closed(self):
        """Has the other side closed?  Waits for it until the deadline."""
        try:
            while True:
                self.events()
        except Broken:
            return True
        except TimeoutError:
            return False

    def ask(self, method, target, headers=(), body=None, host="edge.test"):
        named = {n.lower() for n in dict(headers)}
        if body is not None and "content-length" not in named:
            headers = {**dict(headers), "content-length": len(body)}
        self.left = len(body or b"")
        self.answer = Answered(self.begins(method, target, headers, not body, host))
        try:
            self.says(body or b"")
        except Broken:
            if self.answer.page is None:
                raise
        return self.page(method)


class Answered:
    """The answer on one stream, as it comes."""

    def __init__(self, number):
        self.number, self.page, self.interim, self.body = number, None, [], bytearray()
        self.heads = []  # that came, and that nobody looked at yet
        self.over = False
        self.code = None  # of a reset

    def hears(self, events):
        for event in events:
            if getattr(event, "stream_id", None) == self.number:
                self.hears_one(event)

    def hears_one(self, event):
        if isinstance(event, (h2.events.InformationalResponseReceived, h2.events.ResponseReceived)):
            fields = Fields((n, v) for n, v in event.headers if not n.startswith(":"))
            page = Page(int(dict(event.headers)[":status"]), "", fields, "HTTP/2")
            self.heads.append(page)
            if page.status < 200:
                self.interim.append(page)
                return
            self.page, page.interim, page.first_byte_at = page, self.interim, time.monotonic()
        elif isinstance(event, h2.events.DataReceived):
            self.body += event.data
        elif isinstance(event, h2.events.TrailersReceived):
            self.page.trailers = Fields(event.headers)
        elif isinstance(event, h2.events.StreamReset):
            self.code, self.over = event.error_code, True
        elif isinstance(event, h2.events.StreamEnded):
            self.over, self.code = True, None
            self.page.last_byte_at = time.monotonic()

    def whole(self):
        if self.page is None:
            raise Broken(f"no answer on stream {self.number}, code {self.code}")
        self.page.body = bytes(self.body)
        self.page.broken = self.page.broken or bool(self.code)
        return self.page


def frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def setting(key, value):
    return frame(SETTINGS, 0, 0, key.to_bytes(2, "big") + value.to_bytes(4, "big"))


def opens_window(stream, count):
    return frame(WINDOW_UPDATE, 0, stream, count.to_bytes(4, "big"))


def resets(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def literal(name, value):
    """A field in HPACK that leaves no trace in any table (RFC 7541, 6.2.2); short ones only."""
    name, value = (part.encode("latin-1") if isinstance(part, str) else part for part in (name, value))
    assert len(name) < 127
    if len(value) < 127:
        return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
    more, left = b"", len(value) - 127
    while left >= 128:
        more, left = more + bytes([left % 128 + 128]), left // 128
    return b"\0" + bytes([len(name)]) + name + b"\x7f" + more + bytes([left]) + value


def block(fields):
    return b"".join(literal(name, value) for name, value in fields)


def asks(method="GET", path="/", authority="edge.test", scheme="http", *more):
    return block([(":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *more])


class Frames:
    """A connection of which every frame is written by hand."""

    def __init__(self, edge, settings=b"", **options):
        self.wire = edge.connect(**options)
        self.hpack = hpack.Decoder()
        self.statuses, self.codes, self.bodies, self.windows = {}, {}, {}, {}  # by stream
        self.ended = set()
        self.goaway = None  # its code
        self.closed = False
        self.pongs = 0
        self.says(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.wire.close()

    def says(self, data):
        """All of it, if it is taken; False when the other side is gone, or takes no more."""
        try:
            self.wire.send(data)
        except OSError:
            return False
        return True

    def hears(self, patience=0.05):
        """What is there; False at the end of the connection."""
        self.wire.socket.settimeout(patience)
        try:
            self.closed = self.closed or not self.wire.more()
        except (TimeoutError, BlockingIOError):
            pass
        except OSError:
            self.closed = True
        self.wire.socket.settimeout(DEADLINE)
        while len(self.wire.buffer) >= 9:
            size = int.from_bytes(self.wire.buffer[:3], "big")
            if len(self.wire.buffer) < 9 + size:
                break
            head, payload = self.wire.buffer[:9], self.wire.buffer[9: 9 + size]
            self.wire.buffer = self.wire.buffer[9 + size:]
            self.takes(head[3], head[4], int.from_bytes(head[5:9], "big"), payload)
        return not self.closed

    def takes(self, kind, flags, stream, payload):
        if kind == HEADERS:
            status = int(dict(self.hpack.decode(payload)).get(":status", 0))
            if status >= 200:
                self.statuses[stream] = status
        elif kind == DATA:
            self.bodies[stream] = self.bodies.get(stream, b"") + payload
        elif kind == RST_STREAM:
            self.codes[stream] = int.from_bytes(payload, "big")
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        elif kind == PING:
            self.pongs += 1
        elif kind == WINDOW_UPDATE:
            self.windows[stream] = self.windows.get(stream, 0) + int.from_bytes(payload, "big")
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.ended.add(stream)

    def hears_until(self, condition, what, deadline=DEADLINE):
        until(lambda: self.hears() and condition() or condition() or self.closed, what, deadline)

    def outcome(self, stream=1, deadline=DEADLINE):
        """What became of a stream: its status, "reset", or "goaway"."""
        self.hears_until(lambda: stream in self.statuses or stream in self.codes or self.goaway is not None,
                         f"an answer on stream {stream}", deadline)
        if stream in self.statuses:
            return self.statuses[stream]
        return "reset" if stream in self.codes else "goaway"

    def is_over(self, deadline=DEADLINE):
        """The other side closes within the deadline; how long that took."""
        began = time.monotonic()
        until(lambda: not self.hears(), "the connection is closed", deadline)
        return time.monotonic() - began
