"""An origin under our control: a raw-socket HTTP/1.1 server that offers what a scenario says and keeps what it saw.

A thread for each connection, so that a held request holds nobody else.  It reads strictly what Breakwater sends: a
request that it cannot frame is kept in `origin.nonsense`, and `origin` fails the test for it.
"""
import base64
import contextlib
import hashlib
import socket
import ssl
import threading
import time
from email.utils import formatdate

from .wire import DEADLINE, Fields, until


class Request:
    """A request as the origin saw it."""

    def __init__(self, raw, number, connection):
        self.raw, self.connection, self.socket = raw, number, connection
        first, *lines = raw[:-4].split(b"\r\n")
        self.method, self.target, self.version = first.decode("latin-1").split(" ")
        self.headers = Fields.of(lines)
        self.body = b""
        self.body_length = 0
        self.trailers = Fields()
        self.at = time.monotonic()

    @property
    def path(self):
        return self.target.split("?")[0]

    def was_left(self, deadline=DEADLINE):
        """Wait until Breakwater has closed the connection of this request."""
        def gone():
            try:
                return not self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            except OSError:
                return True
        until(gone, f"the connection of {self.target} is closed", deadline)

    def __repr__(self):
        return f"<{self.method} {self.target} {dict(self.headers)}>"


class Answer:
    """What the origin offers under a path."""

    def __init__(self, body=b"", status=200, reason="OK", chunked=False, trailers=None, interim=(), rate=None,
                 raw=None, close=False, dies_after=None, length=None, date=True, then=None, headers=None, **fields):
        self.body = body.encode() if isinstance(body, str) else body
        self.status, self.reason, self.chunked, self.trailers = status, reason, chunked, trailers
        self.interim = interim  # raw bytes, or statuses, sent before the answer
        self.rate = rate  # bytes a second
        self.raw, self.close = raw, close  # bytes instead of an answer of our making
        self.dies_after, self.length = dies_after, length  # closes after so many bytes of the body; announced length
        self.date, self.then = date, then  # then(connection, request): takes the connection over after the head
        self.fields = [(name.replace("_", "-").title(), value) for name, value in fields.items()]
        self.fields += list((headers or {}).items())

    def lines(self):
        for name, value in self.fields:
            for one in value if isinstance(value, (list, tuple)) else [value]:
                yield f"{name}: {one}"

    def value(self, name):
        return next((str(v) for n, v in self.fields if n.lower() == name), None)

    def unchanged(self, request):
        """Is the client's copy good (RFC 9110, 13.1)?"""
        if self.status != 200 or request.method not in ("GET", "HEAD"):
            return False
        etag, modified = self.value("etag"), self.value("last-modified")
        asked = request.headers.get("if-none-match")
        if asked is not None:
            weak = [tag.strip().removeprefix("W/") for tag in asked.split(",")]
            return etag is not None and etag.removeprefix("W/") in weak
        return modified is not None and request.headers.get("if-modified-since") == modified


class Gate:
    """Holds requests until it opens."""

    def __init__(self):
        self.open = threading.Event()
        self.waiting = 0


class Origin:
    def __init__(self, tls=None, unix=None, reachable=True):
        self.tls = tls  # an ssl.SSLContext
        self.offset = 0.0  # the test clock: our Date follows it
        self.routes, self.gates, self.requests_seen, self.answered = {}, {}, [], {}
        self.nonsense, self.connections, self.live = [], 0, set()
        self.lock = threading.RLock()
        self.unix = unix
        self.listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(unix or ("127.0.0.1", 0))
        self.port = None if unix else self.listener.getsockname()[1]
        self.running = False
        if reachable:
            self.starts()

    def starts(self):
        self.listener.listen(2048)
        self.running = True
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        scheme = "https" if self.tls else "http"
        return f"unix:{self.unix}" if self.unix else f"{scheme}://127.0.0.1:{self.port}"

    # --- what it offers

    def serves(self, path, body=b"", **options):
        """Answer requests for `path` with this from now on.  `cache_control="..."` is a header field."""
        self.routes[path] = Answer(body, **options)

    def serves_in_turn(self, path, *answers):
        """One answer after the other; the last one stays."""
        left = list(answers)
        self.routes[path] = lambda request: left.pop(0) if len(left) > 1 else left[0]

    def decides(self, path, choose):
        """choose(request) gives the Answer."""
        self.routes[path] = choose

    def answers_raw(self, path, raw, close=True):
        self.routes[path] = Answer(raw=raw, close=close)

    def dies(self, path, after=0, length=1000, **options):
        """Announce `length` bytes, send `after` of them, close the connection."""
        self.routes[path] = Answer(b"x" * length, dies_after=after, **options)

    def switches(self, path, talk):
        """Take up what asks for a WebSocket (RFC 6455, 4.2.2), and then talk(connection, rest)."""
        def choose(asked):
            key = asked.headers.get("sec-websocket-key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key.encode()).digest())
            return Answer(raw=b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                          b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n",
                          then=lambda connection, request, rest: talk(connection, rest))
        self.decides(path, choose)

    @contextlib.contextmanager
    def holding(self, path):
        """Requests for `path` wait, before a byte of the answer, until the block is left."""
        gate = self.gates[path] = Gate()
        try:
            yield gate
        finally:
            self.gates.pop(path, None)
            gate.open.set()

    def stops(self):
        """From now on nobody is here: connections are refused, those that exist are reset."""
        self.running = False
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in list(self.live):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def comes_back(self):
        """Listen again on the same port."""
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.starts()

    # --- what it saw

    def requests(self, path):
        with self.lock:
            return [r for r in self.requests_seen if path in (r.path, r.target)]

    def saw(self, path):
        return len(self.requests(path))

    def last(self, path):
        return self.requests(path)[-1]

    def has_seen(self, path, times=1, deadline=DEADLINE):
        """Wait until so many requests for `path` have arrived."""
        until(lambda: self.saw(path) >= times, f"{times} requests for {path} at the origin", deadline)

    def has_answered(self, path, times=1, deadline=DEADLINE):
        """Wait until so many answers for `path` have been sent whole."""
        until(lambda: self.answered.get(path, 0) >= times, f"{times} answers for {path} by the origin", deadline)

    def is_alone(self, deadline=DEADLINE):
        """Wait until no connection is open any more."""
        until(lambda: not self.live, "the origin's connections are closed", deadline)

    # --- how it does it

    def accept(self):
        listener = self.listener
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.tls:
                connection.settimeout(DEADLINE)
                connection = self.tls.wrap_socket(connection, server_side=True)
                connection.settimeout(None)
            if not self.unix:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, ssl.SSLError) as error:
            self.handshake_error = error
            connection.close()
            return
        with self.lock:
            self.connections += 1
            number = self.connections
            self.live.add(connection)
        try:
            stream = Stream(connection)
            while (request := self.read(stream, number)) is not None:
                if not self.reply(connection, stream, request):
                    break
        except (OSError, ssl.SSLError):
            pass
        finally:
            with self.lock:
                self.live.discard(connection)
            connection.close()

    def read(self, stream, number):
        raw = stream.head()
        if raw is None:
            return None
        try:
            request = Request(raw, number, stream.connection)
        except ValueError:
            self.nonsense.append(raw)
            return None
        with self.lock:
            self.requests_seen.append(request)
        if "expect" in request.headers:
            stream.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            stream.body(request)
        except ValueError:
            self.nonsense.append(raw)
            return None
        return request

    def reply(self, connection, stream, request):
        """Send the answer; True when the connection can be used again."""
        gate = self.gates.get(request.path) or self.gates.get(request.target)
        if gate is not None:
            with self.lock:
                gate.waiting += 1
            gate.open.wait(60)
        offer = self.routes.get(request.target) or self.routes.get(request.path) or Answer("not here", status=404)
        answer = offer(request) if callable(offer) else offer
        for interim in answer.interim:
            line = interim if isinstance(interim, bytes) else f"HTTP/1.1 {interim} Interim\r\n\r\n".encode()
            connection.sendall(line)
        keep = self.send(connection, request, answer)
        with self.lock:
            for path in {request.path, request.target}:
                self.answered[path] = self.answered.get(path, 0) + 1
        if answer.then is not None:
            answer.then(connection, request, stream.buffer)
            return False
        return keep

    def send(self, connection, request, answer):
        if answer.raw is not None:
            connection.sendall(answer.raw)
            return not answer.close
        if answer.unchanged(request):
            connection.sendall(self.head(answer, 304, "Not Modified", []))
            return True
        bodiless = request.method == "HEAD" or answer.status in (204, 304) or answer.status < 200
        framing = []
        if answer.chunked:
            framing = ["Transfer-Encoding: chunked"]
        elif answer.length is not None or not answer.close:
            framing = [f"Content-Length: {len(answer.body) if answer.length is None else answer.length}"]
        if answer.close:
            framing.append("Connection: close")
        if answer.status in (204, 304) or answer.status < 200:
            framing = []
        connection.sendall(self.head(answer, answer.status, answer.reason, framing))
        if bodiless:
            return not answer.close
        if answer.dies_after is not None:
            self.send_body(connection, answer.body[: answer.dies_after], answer)
            return False
        self.send_body(connection, answer.body, answer)
        if answer.chunked:
            trailers = "".join(f"{n}: {v}\r\n" for n, v in (answer.trailers or {}).items())
            connection.sendall(f"0\r\n{trailers}\r\n".encode())
        return not answer.close

    def head(self, answer, status, reason, framing):
        lines = [f"HTTP/1.1 {status} {reason}"]
        if answer.date and answer.value("date") is None:
            lines.append(f"Date: {formatdate(time.time() + self.offset, usegmt=True)}")
        lines += [*answer.lines(), *framing]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    @staticmethod
    def send_body(connection, body, answer):
        """In pieces of 64 KiB, or as the rate allows."""
        view, began, sent = memoryview(body), time.monotonic(), 0
        size = 1 << 16 if answer.rate is None else max(1, min(1 << 16, answer.rate // 50))
        while sent < len(view):
            piece = view[sent: sent + size]
            if answer.chunked:
                connection.sendall(b"%x\r\n" % len(piece) + piece.tobytes() + b"\r\n")
            else:
                connection.sendall(piece)
            sent += len(piece)
            if answer.rate is not None:
                time.sleep(max(0.0, began + sent / answer.rate - time.monotonic()))


class Stream:
    """The requests on one connection; bodies above 1 MiB are counted, not kept."""

    KEEP = 1 << 20

    def __init__(self, connection):
        self.connection, self.buffer = connection, b""

    def more(self):
        data = self.connection.recv(1 << 18)
        self.buffer += data
        return bool(data)

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                return None
        raw, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return raw + b"\r\n\r\n"

    def take(self, request, count):
        while count:
            if not self.buffer and not self.more():
                raise ConnectionResetError
            piece, self.buffer = self.buffer[:count], self.buffer[count:]
            count -= len(piece)
            request.body_length += len(piece)
            if request.body_length <= self.KEEP:
                request.body += piece

    def line(self):
        while b"\r\n" not in self.buffer:
            if not self.more():
                raise ConnectionResetError
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def body(self, request):
        if "transfer-encoding" in request.headers:
            while size := int(self.line().split(b";")[0], 16):
                self.take(request, size)
                self.line()
            lines = []
            while line := self.line():
                lines.append(line)
            request.trailers = Fields.of(lines)
        elif "content-length" in request.headers:
            self.take(request, int(request.headers["content-length"]))
