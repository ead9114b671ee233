"""clients - what wrk and h2load cannot do, each a process of its own that answers one line of JSON.

    clients.py crowd|wave|steady|idle '{"port": 8080, ...}'

crowd   all ask for one large object at the same moment
wave    all ask for one object at stated moments, on connections that are open already
steady  so many requests a second whatever the answers take; when no connection is idle,
        times count from when one was due
idle    connections that have had one response and stay open until the input is closed

A time ends when the kernel got the bytes (its time stamp), not when Python reads them: that a client waits for its own
core, behind other clients and the origin, is not the server's doing.

Python is slow, so bodies are thrown away in the kernel (MSG_TRUNC) except those of a few, which are compared with the
file.
"""
import hashlib
import json
import os
import select
import socket
import ssl
import struct
import sys
import time

CHECKED = 16  # so many bodies of a crowd are read and compared
PIECE = 65536
NOWHERE = bytearray(4 * PIECE)  # nothing is written to it: MSG_TRUNC
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SO_TIMESTAMPNS, TIMESPEC = 35, struct.Struct("@ll")
DATA, HEADERS, SETTINGS, END_STREAM, END_HEADERS = 0, 1, 4, 1, 4


def connect(port):
    s = socket.create_connection(("127.0.0.1", port), timeout=20)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return s


def receive(s, most):
    """Bytes, and when the last of them arrived, by the monotonic clock."""
    data, notes, _, _ = s.recvmsg(most, 64)
    for _, kind, value in notes:
        if kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = TIMESPEC.unpack(value)
            return data, seconds + nanoseconds / 1e9 - time.time() + time.monotonic()
    return data, time.monotonic()


def get(port, path):
    """With the Host that wrk and the checks send: it is a part of the key."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()


class Wrong(Exception):
    """A response that is not as it must be; str() says how."""


def length_of(head, status=200):
    """The length of the body behind this head."""
    lines = head.split(b"\r\n")
    if int(lines[0].split()[1]) != status:
        raise Wrong(lines[0].decode("latin-1"))
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise Wrong("no Content-Length")


class Client:
    """One connection and the response it is reading."""

    def __init__(self, port, wanted):
        self.socket, self.wanted, self.hash = connect(port), wanted, None
        self.socket.setblocking(False)

    def ask(self, request, check=False):
        self.head, self.left, self.first, self.done = b"", None, 0, 0
        self.hash = hashlib.sha256() if check else None
        self.socket.send(request)

    def read_head(self, data):
        self.head += data
        end = self.head.find(b"\r\n\r\n")
        if end < 0:
            return
        self.left = length_of(self.head[:end])
        if self.left != self.wanted:
            raise Wrong(f"{self.left} bytes instead of {self.wanted}")
        self.take(self.head[end + 4:])

    def take(self, data):
        if self.hash:
            self.hash.update(data)
        self.left -= len(data)

    def read(self):
        """What there is, one piece; True: the response is whole."""
        if self.left is None or self.hash:
            data, at = receive(self.socket, PIECE if self.left is None else min(PIECE, self.left))
            n = len(data)
            self.first = self.first or at
            if self.left is None:
                self.read_head(data)
            else:
                self.take(data)
        else:
            n, at = self.socket.recv_into(NOWHERE, min(len(NOWHERE), self.left), socket.MSG_TRUNC), time.monotonic()
            self.left -= n
        if n == 0:
            raise Wrong("the connection was closed in the middle")
        if self.left == 0:
            self.done = at
        return self.left == 0


class Group:
    """Many clients, one epoll."""

    def __init__(self, port, count, wanted):
        self.clients = [Client(port, wanted) for _ in range(count)]
        self.epoll = select.epoll()
        self.by_fd = {c.socket.fileno(): c for c in self.clients}
        for fd in self.by_fd:
            self.epoll.register(fd, select.EPOLLIN)

    def ask_all(self, request):
        step = max(len(self.clients) // CHECKED, 1)
        self.waiting, self.errors = set(), []
        for i, client in enumerate(self.clients):
            client.asked = time.monotonic()
            try:
                client.ask(request, i % step == 0)
                self.waiting.add(client)
            except OSError as error:
                self.errors.append(str(error))

    def read_all(self, seconds):
        end = time.monotonic() + seconds
        while self.waiting and time.monotonic() < end:
            for fd, _ in self.epoll.poll(0.1):
                client = self.by_fd[fd]
                try:
                    if client.read():
                        self.waiting.discard(client)
                except BlockingIOError:
                    pass
                except (Wrong, OSError) as error:
                    self.errors.append(str(error))
                    self.waiting.discard(client)
                    self.epoll.unregister(fd)
        self.errors += ["no whole answer in time"] * len(self.waiting)

    def compare(self, wanted):
        self.errors += ["other bytes than the origin's"
                        for c in self.clients if c.hash and c.left == 0 and c.hash.hexdigest() != wanted]


def crowd(port, path, clients, file, seconds):
    body = open(file, "rb").read()
    group = Group(port, clients, len(body))
    began = time.monotonic()
    group.ask_all(get(port, path))
    group.read_all(seconds)
    group.compare(hashlib.sha256(body).hexdigest())
    firsts = [c.first for c in group.clients if c.first]
    return {"last_first_byte": max(firsts, default=0), "total_s": max(c.done for c in group.clients) - began,
            "errors": len(group.errors), "why": group.errors[:1]}


def wave(port, path, clients, file, lifetime, waves, seconds, limit):
    """
    `lifetime`: how long a response is fresh; each wave comes just when what the one before brought has expired.
    `limit`: who takes so many seconds has waited for the origin.
    """
    body = open(file, "rb").read()
    group = Group(port, clients, len(body))
    times, errors = [], []
    group.clients[0].ask(get(port, path))
    group.waiting, group.errors = {group.clients[0]}, []
    group.read_all(seconds)
    for _ in range(waves):
        time.sleep(lifetime + 0.05)
        group.ask_all(get(port, path))
        group.read_all(seconds)
        group.compare(hashlib.sha256(body).hexdigest())
        errors += group.errors
        times += [c.done - c.asked for c in group.clients if c.done]
    times.sort()
    return {"waited": sum(t >= limit for t in times), "slowest_ms": times[-1] * 1000, "errors": len(errors),
            "p50_ms": times[len(times) // 2] * 1000, "why": errors[:1]}


def percentile(ordered, share):
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


class Steady:
    """Requests come due at a constant rate and are sent on whichever connection is idle."""

    def __init__(self, port, path, rate, connections, objects, seed, wanted):
        self.port, self.path, self.rate, self.objects, self.seed = port, path, rate, objects, seed
        self.idle = [Client(port, wanted) for _ in range(connections)]
        self.busy, self.times, self.errors, self.sent, self.wanted = {}, [], [], 0, wanted
        self.held_up = 0  # requests that are due before that wait for a connection

    def next_request(self):
        self.sent += 1
        n = (self.sent - 1) % self.objects + 1 if self.objects else self.sent
        return get(self.port, self.path.replace("{n}", str(n)).replace("{seed}", self.seed))

    def send_due(self, began, now, until):
        while self.idle and self.sent < (min(now, until) - began) * self.rate:
            client = self.idle.pop()
            due = began + self.sent / self.rate
            client.due = due if due < self.held_up else time.monotonic()  # else only this process is late
            client.ask(self.next_request())
            self.busy[client.socket] = client
        if not self.idle:
            self.held_up = now

    def read(self, readable):
        for s in readable:
            client = self.busy[s]
            try:
                if not client.read():
                    continue
                self.times.append(client.done - client.due)
            except BlockingIOError:
                continue
            except (Wrong, OSError) as error:
                self.errors.append(str(error))
                client = Client(self.port, self.wanted)
            del self.busy[s]
            self.idle.append(client)

    def run(self, seconds):
        began = time.monotonic()
        until = began + seconds
        while time.monotonic() < until or (self.busy and time.monotonic() < until + 10):
            self.send_due(began, time.monotonic(), until)
            wait = began + self.sent / self.rate - time.monotonic() if self.idle else 0.1
            self.read(select.select(list(self.busy), [], [], min(max(wait, 0), 0.1))[0])
        self.errors += ["no answer in time"] * len(self.busy)


def steady(port, path, rate, connections, seconds, size, objects=0, seed="0", first=False):
    """`first`: before all others on its core, where that is allowed, so that its times are the server's."""
    if first:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        except PermissionError:
            pass
    client = Steady(port, path, rate, connections, objects, seed, size)
    client.run(seconds)
    times = sorted(client.times) or [0]
    return {"p50_ms": percentile(times, 0.5) * 1000, "p99_ms": percentile(times, 0.99) * 1000,
            "p999_ms": percentile(times, 0.999) * 1000, "requests": len(client.times), "asked": client.sent,
            "errors": len(client.errors), "why": client.errors[:1]}


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def field(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def exactly(s, count):
    data = b""
    while len(data) < count:
        more = s.recv(count - len(data))
        if not more:
            raise Wrong("the connection was closed in the middle")
        data += more
    return data


def h2_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def h2_connection(port, path, context):
    """TLS, HTTP/2, one request and its response."""
    s = context.wrap_socket(connect(port))
    request = b"".join((field(b":method", b"GET"), field(b":scheme", b"https"),
                        field(b":authority", f"127.0.0.1:{port}".encode()), field(b":path", path.encode())))
    s.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, END_HEADERS | END_STREAM, 1, request))
    while True:
        head = exactly(s, 9)
        exactly(s, int.from_bytes(head[:3], "big"))
        if head[3] in (DATA, HEADERS) and head[4] & END_STREAM:
            return s
        if head[3] == SETTINGS and not head[4]:
            s.sendall(frame(SETTINGS, 1, 0, b""))


def http_connection(port, path, _):
    s = connect(port)
    s.sendall(get(port, path))
    data = b""
    while b"\r\n\r\n" not in data:
        data += s.recv(PIECE)
    head, _, body = data.partition(b"\r\n\r\n")
    exactly(s, length_of(head) - len(body))
    return s


def idle(port, path, connections, protocol):
    opens, context = h2_connection if protocol == "h2" else http_connection, h2_context()
    held = [opens(port, path, context) for _ in range(connections)]
    print(json.dumps({"open": len(held)}), flush=True)
    sys.stdin.read()


def main(name, arguments):
    answer = {"crowd": crowd, "wave": wave, "steady": steady, "idle": idle}[name](**json.loads(arguments))
    if answer is not None:
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
