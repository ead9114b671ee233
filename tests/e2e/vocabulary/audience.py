"""Hundreds of clients on one thread, who compare every byte as it comes and keep none.

    audience = Audience(edge, 500, "/film", body)
    audience.asks()
    audience.watches_to_the_end()
    assert audience.content == 500
"""
import selectors
import ssl
import time

import hpack

from . import http2
from .wire import request


class Viewer:
    def __init__(self, edge, number, body, options):
        self.client = edge.connect(alpn=["h2"] if edge.way.is_http2 else (), **options)
        self.number, self.body = number, body
        self.head, self.at = b"", 0
        self.first_byte_at = None
        self.verdict = None  # "content", or what went wrong
        self.client.socket.setblocking(False)

    def asks(self, target):
        self.client.send(request("GET", target))

    def reads(self, space):
        """All that can be read at once; True when this viewer is through."""
        while True:
            try:
                count = self.client.socket.recv_into(space)
            except (BlockingIOError, ssl.SSLWantReadError):
                return False
            except OSError as error:
                self.verdict = repr(error)
                return True
            if count == 0:
                self.verdict = f"closed after {self.at} bytes"
                return True
            if self.judges(space[:count]):
                return True
            if not isinstance(self.client.socket, ssl.SSLSocket) or not self.client.socket.pending():
                return False

    def judges(self, data):
        if self.first_byte_at is None:
            self.head += bytes(data)
            head, mark, data = self.head.partition(b"\r\n\r\n")
            if not mark or not data:
                return False
            self.head, self.first_byte_at = head, time.monotonic()
            if not head.startswith(b"HTTP/1.1 200"):
                self.verdict = head.split(b"\r\n")[0].decode()
                return True
        return self.sees(data)

    def sees(self, data):
        """A piece of the body."""
        if self.first_byte_at is None:
            self.first_byte_at = time.monotonic()
        if data != self.body[self.at: self.at + len(data)]:
            self.verdict = f"wrong bytes from {self.at}"
            return True
        self.at += len(data)
        if self.at >= len(self.body):
            self.verdict = "content"
            return True
        return False


class FrameViewer(Viewer):
    """The same over HTTP/2, one stream on a window that never closes."""

    WINDOW = (1 << 31) - 1
    OPEN = (http2.PREFACE + http2.setting(4, WINDOW) + http2.opens_window(0, WINDOW - 65535))

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.frame, self.left, self.payload = b"", 0, b""  # its head; what is missing of its payload; that of no DATA

    def asks(self, target):
        scheme = "https" if isinstance(self.client.socket, ssl.SSLSocket) else "http"
        ends = http2.END_STREAM | http2.END_HEADERS
        self.client.send(self.OPEN + http2.frame(http2.HEADERS, ends, 1, http2.asks(path=target, scheme=scheme)))

    def judges(self, data):
        while data or len(self.frame) == 9 and not self.left:
            if len(self.frame) < 9:
                missing = 9 - len(self.frame)
                self.frame, data = self.frame + bytes(data[:missing]), data[missing:]
                self.left = int.from_bytes(self.frame[:3], "big") if len(self.frame) == 9 else 0
                continue
            piece, data = data[:self.left], data[self.left:]
            self.left -= len(piece)
            if self.frame[3] != http2.DATA:
                self.payload += bytes(piece)
            elif len(piece) and self.sees(piece):
                return True
            if not self.left and self.frame[3] != http2.DATA and self.takes(self.frame[3], self.frame[4]):
                return True
            if not self.left:
                self.frame, self.payload = b"", b""
        return False

    def takes(self, kind, flags):
        if kind == http2.HEADERS:
            status = dict(hpack.Decoder().decode(self.payload))[":status"]
            self.verdict = None if status == "200" else status
        elif kind in (http2.RST_STREAM, http2.GOAWAY):
            self.verdict = f"frame {kind} after {self.at} bytes: {self.payload!r}"
        elif kind == http2.SETTINGS and not flags & http2.ACK:
            self.client.send(http2.frame(http2.SETTINGS, http2.ACK))
        return self.verdict is not None


class Audience:
    """`target` and `body` may be functions of the viewer's number.  Needs bodies with a Content-Length."""

    def __init__(self, edge, count, target, body, slow=False, **options):
        self.target = target if callable(target) else lambda number: target
        body_of = body if callable(body) else lambda number: body
        kind = FrameViewer if edge.way.is_http2 else Viewer
        self.viewers = [kind(edge, number, memoryview(body_of(number)), options) for number in range(count)]
        self.space = memoryview(bytearray(1 << (12 if slow else 18)))

    def asks(self):
        for viewer in self.viewers:
            viewer.client.socket.setblocking(True)
            viewer.asks(self.target(viewer.number))
            viewer.client.socket.setblocking(False)

    def sees_the_beginning(self, deadline=60):
        """Each reads until it has its first byte and no further: the others have the thread then."""
        self.watches(lambda viewer: viewer.reads(self.space[:4096]) or viewer.first_byte_at, deadline)

    def watches_to_the_end(self, deadline=240):
        self.watches(lambda viewer: viewer.reads(self.space), deadline)
        for viewer in self.viewers:
            viewer.client.close()

    def watches(self, is_through, deadline):
        left = selectors.DefaultSelector()
        for viewer in self.viewers:
            if viewer.verdict is None:
                left.register(viewer.client.socket, selectors.EVENT_READ, viewer)
        end = time.monotonic() + deadline
        while left.get_map():
            assert time.monotonic() < end, f"{len(left.get_map())} viewers still wait after {deadline} s"
            for key, _ in left.select(1):
                if is_through(key.data):
                    left.unregister(key.fileobj)

    def leaves(self):
        for viewer in self.viewers:
            viewer.client.close()

    @property
    def content(self):
        return sum(viewer.verdict == "content" for viewer in self.viewers)

    @property
    def complaints(self):
        return sorted({viewer.verdict for viewer in self.viewers} - {"content"}, key=str)

    @property
    def first_bytes(self):
        """When each of them had the first byte of the body, in order."""
        return sorted(viewer.first_byte_at for viewer in self.viewers if viewer.first_byte_at)
