"""HTTP/1.1 as bytes: just enough of a client to see everything that came back, and to send what no library would.

A Client is one connection.  It reads whole responses (interim ones, chunks, trailers) without judging them; what it
cannot frame is an error of the test.  Every wait here has a deadline, so that no scenario needs one of its own.
"""
import contextlib
import json
import re
import select
import socket
import ssl
import threading
import time

DEADLINE = 10.0
_contexts = threading.Lock()  # ALPN is asked for by the context, which others use, too


class Broken(Exception):
    """The connection ended before the response was whole."""


def until(condition, what, deadline=DEADLINE):
    """Wait until condition() is true and return what it gave; fail with `what` after the deadline."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {deadline:g} s")
        time.sleep(0.005)


def parse_fields(lines):
    """[(b"Name", b"value"), ...] of the lines of a head, names as they were sent."""
    return [tuple(part.strip() for part in line.split(b":", 1)) for line in lines if b":" in line]


class Fields(list):
    """Header fields in order, looked up without regard to case; a name that comes twice is joined by a comma."""

    def get(self, name, default=None):
        values = self.all(name)
        return ", ".join(values) if values else default

    def all(self, name):
        return [value for field, value in self if field.lower() == name.lower()]

    def __getitem__(self, name):
        if isinstance(name, (int, slice)):
            return super().__getitem__(name)
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name):
        return self.get(name) is not None

    @classmethod
    def of(cls, lines):
        return cls((n.decode("latin-1"), v.decode("latin-1")) for n, v in parse_fields(lines))


class Page:
    """One response as the client got it.  Compares equal to (cache, text)."""

    def __init__(self, status, reason, fields, version="HTTP/1.1"):
        self.status, self.reason, self.headers, self.version = status, reason, fields, version
        self.body = b""
        self.trailers = Fields()
        self.interim = []  # the 1xx responses before it
        self.broken = False  # ended before it was whole
        self.last = self.headers.get("connection", "").lower() == "close"  # no request may follow on its connection
        self.first_byte_at = self.last_byte_at = 0.0  # time.monotonic()

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def cache_status(self):
        """The parameters of our own member of Cache-Status (RFC 9211): {"hit": True, "ttl": "12", ...}."""
        for member in (self.headers.get("cache-status") or "").split(","):
            name, *parameters = [part.strip() for part in member.split(";")]
            if name.strip('"').lower() == "breakwater":
                pairs = [p.partition("=") for p in parameters if p]
                return {key: (value if eq else True) for key, eq, value in pairs}
        return {}

    @property
    def cache(self):
        """The outcome: hit, miss, stale, updating, revalidated, expired, bypass, pass."""
        return str(self.cache_status.get("detail", "")).partition("/")[0] or None

    @property
    def why(self):
        """The reason behind the outcome, or None."""
        return str(self.cache_status.get("detail", "")).partition("/")[2] or None

    def __eq__(self, other):
        if isinstance(other, tuple):
            return (self.cache, self.text) == other
        return self is other

    __hash__ = object.__hash__

    def __repr__(self):
        text = self.text if len(self.body) <= 200 else f"{self.text[:200]}... ({len(self.body)} bytes)"
        return f"<{self.status} {self.cache}/{self.why} {text!r}{' BROKEN' if self.broken else ''}>"


def request(method, target, headers=(), body=None, host="edge.test", version="HTTP/1.1"):
    """The bytes of a request.  `headers` is a dict or pairs; a body gets a Content-Length unless one is named."""
    pairs = list(headers.items() if isinstance(headers, dict) else headers)
    names = {name.lower() for name, _ in pairs}
    if "host" not in names and host is not None:
        pairs.insert(0, ("Host", host))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(body))))
    lines = [f"{method} {target} {version}"] + [f"{name}: {value}" for name, value in pairs]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


class Client:
    """One connection to Breakwater."""

    def __init__(self, address, tls=None, server_name=None, timeout=DEADLINE, source=None, first=b"", alpn=()):
        family = (socket.AF_UNIX if isinstance(address, str)
                  else socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.connect(address)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if first:  # a PROXY line comes before the handshake
            self.socket.sendall(first)
        if tls is not None:
            with _contexts:
                tls.set_alpn_protocols(list(alpn))
                self.socket = tls.wrap_socket(self.socket, server_hostname=server_name, do_handshake_on_connect=False)
            self.socket.do_handshake()
        self.buffer = b""
        self.ended = False
        self.chunked = False  # the request under way has a body of no known length

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.close()

    def reset(self):
        """Leave with a TCP reset rather than an orderly close."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self, size=1 << 18):
        """Read once into the buffer; False at the end of the connection."""
        try:
            data = self.socket.recv(size)
        except (ConnectionResetError, ssl.SSLError, BrokenPipeError):
            data = b""
        self.ended = self.ended or not data
        self.buffer += data
        return bool(data)

    def drips(self, data, pause=0.02):
        """Send byte by byte until the other side answers or closes; how many seconds that took."""
        began = time.monotonic()
        self.socket.settimeout(pause)
        try:
            for at in range(len(data)):
                self.send(data[at: at + 1])
                with contextlib.suppress(socket.timeout):
                    if not self.more() or self.buffer:
                        break
        except OSError:
            pass  # closed, and what was sent then came back as a reset
        self.socket.settimeout(DEADLINE)
        return time.monotonic() - began

    def sips(self, until, patience, pause=0.02):
        """Read byte by byte until until() holds."""
        end = time.monotonic() + patience
        while not until() and time.monotonic() < end:
            self.socket.settimeout(pause)
            with contextlib.suppress(OSError):
                self.socket.recv(1)
            select.select([], [], [], pause)

    def upto(self, mark):
        while mark not in self.buffer:
            if not self.more():
                raise Broken(f"closed before {mark!r}; got {self.buffer[:200]!r}")
        line, self.buffer = self.buffer.split(mark, 1)
        return line

    def exactly(self, count):
        """So many bytes; a Broken carries those that came."""
        parts, have = [self.buffer], len(self.buffer)
        self.buffer = b""
        while have < count:
            if not self.more():
                raise Broken(f"closed after {have} of {count} bytes", b"".join(parts))
            parts.append(self.buffer)
            have += len(self.buffer)
            self.buffer = b""
        whole = b"".join(parts)
        self.buffer = whole[count:]
        return whole[:count]

    def everything(self):
        """All bytes until the other side closes."""
        while self.more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def closed(self):
        """Has the other side closed?  Waits for it until the deadline."""
        with contextlib.suppress(socket.timeout):
            return self.ended or (not self.buffer and not self.more())
        return False

    def head(self):
        """One response head, interim or final."""
        first, *lines = self.upto(b"\r\n\r\n").split(b"\r\n")
        line = re.fullmatch(rb"(HTTP/1\.[01]) (\d{3}) ?(.*)", first)
        assert line is not None, f"not a status line: {first[:200]!r}"
        version, status, reason = line.groups()
        return Page(int(status), reason.decode("latin-1"), Fields.of(lines), version.decode())

    def body_into(self, page, method):
        if method == "HEAD" or page.status in (204, 304) or page.status < 200:
            return
        if "chunked" in page.headers.get("transfer-encoding", ""):
            self.chunks_into(page)
        elif "content-length" in page.headers:
            length = int(page.headers["content-length"])
            try:
                page.body = self.exactly(length)
            except Broken as broken:
                page.body, page.broken = broken.args[1], True
        else:
            page.body = self.everything()

    def chunks_into(self, page):
        parts = []
        try:
            while size := int(self.upto(b"\r\n").split(b";")[0], 16):
                parts.append(self.exactly(size))
                assert self.exactly(2) == b"\r\n", "a chunk does not end with CRLF"
            lines = []
            while line := self.upto(b"\r\n"):
                lines.append(line)
            page.trailers = Fields.of(lines)
        except Broken:
            page.broken = True
        page.body = b"".join(parts)

    def page(self, method="GET"):
        """The next final response with its body; interim ones are in page.interim."""
        interim = []
        while True:
            page = self.head()
            if page.status >= 200 or page.status == 101:
                break
            interim.append(page)
        page.interim, page.first_byte_at = interim, time.monotonic()
        self.body_into(page, method)
        page.last_byte_at = time.monotonic()
        return page

    def ask(self, method, target, headers=(), body=None, **options):
        self.send(request(method, target, headers, body, **options))
        return self.page(method)

    # --- a request and its answer in pieces; http2.Http2 has the same words

    SWITCHED = 101  # the status before a tunnel

    def opens(self, method, target, headers=(), length=None, **options):
        """Send the head.  The body follows by says(): of `length` bytes, or, where that is "unknown", until ends()."""
        framing = {None: {}, "unknown": {"Transfer-Encoding": "chunked"}}.get(length, {"Content-Length": length})
        self.chunked = length == "unknown"
        self.send(request(method, target, {**dict(headers), **framing}, **options))

    def opens_tunnel(self, target):
        self.opens("GET", target, {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                                   "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})

    def says(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    def ends(self, trailers=()):
        self.send(b"0\r\n%s\r\n" % "".join(f"{n}: {v}\r\n" for n, v in dict(trailers).items()).encode())

    def rest(self):
        """What comes until the other side ends the tunnel."""
        return self.everything()
