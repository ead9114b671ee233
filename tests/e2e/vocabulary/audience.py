"""Hundreds of clients on one thread, who compare every byte as it comes and keep none.

    audience = Audience(edge, 500, "/film", body)
    audience.asks()
    audience.watches_to_the_end()
    assert audience.content == 500
"""
import selectors
import ssl
import time

from .wire import Client, request


class Viewer:
    def __init__(self, edge, number, body, options):
        self.client = edge.connect(**options)
        self.number, self.body = number, body
        self.head, self.at = b"", 0
        self.first_byte_at = None
        self.verdict = None  # "content", or what went wrong
        self.client.socket.setblocking(False)

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
        if data != self.body[self.at: self.at + len(data)]:
            self.verdict = f"wrong bytes from {self.at}"
            return True
        self.at += len(data)
        if self.at >= len(self.body):
            self.verdict = "content"
            return True
        return False


class Audience:
    """`target` and `body` may be functions of the viewer's number.  Needs bodies with a Content-Length."""

    def __init__(self, edge, count, target, body, slow=False, **options):
        self.target = target if callable(target) else lambda number: target
        body_of = body if callable(body) else lambda number: body
        self.viewers = [Viewer(edge, number, memoryview(body_of(number)), options) for number in range(count)]
        self.space = memoryview(bytearray(1 << (12 if slow else 18)))

    def asks(self):
        for viewer in self.viewers:
            viewer.client.socket.setblocking(True)
            viewer.client.send(request("GET", self.target(viewer.number)))
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
