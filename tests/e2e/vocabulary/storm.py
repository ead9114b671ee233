"""Visitors who do all that visitors do, at random, and judge every byte that they get.

Every page says in its ETag what it is: version, whose, length.  From that and the path the body follows, so that a
visitor knows a foreign, torn or mixed-up answer when it sees one, whole or in ranges.  A POST makes the next version of
its page: whoever asks after its answer must not get an older one (RFC 9111, 4.4).

    storm = Storm(edge, origin, seed)
    storm.begins(visitors=12)
    ...
    storm.ends()
    assert storm.faults == []
"""
import collections
import contextlib
import random
import re
import select
import socket
import ssl
import threading
import traceback
import zlib

import h2.exceptions

from .origin import Answer
from .http2 import CANCEL, Http2
from .wire import Broken, Client, request, until

PAGES = 6  # of each kind
SMALL, MIDDLE, LARGE = (40, 3000), (3000, 300000), (1 << 20, 2 << 20)
# kind: (Cache-Control, sizes, options)
KINDS = {
    "fresh": ("max-age=60", SMALL, {}),
    "short": ("max-age=1, stale-while-revalidate=2, stale-if-error=5", SMALL, {}),
    "checked": ("no-cache", MIDDLE, {}),
    "private": ("private, max-age=60", SMALL, {}),
    "unstored": ("no-store", MIDDLE, {}),
    "sorted": ("max-age=60", MIDDLE, {"vary": "X-Sort"}),
    "chunked": ("max-age=30", MIDDLE, {"chunked": True}),
    "large": ("max-age=60", LARGE, {}),
    "dying": ("max-age=5", MIDDLE, {}),
    "failing": ("max-age=1, stale-if-error=10", SMALL, {}),
    "nonsense": ("max-age=5", SMALL, {}),
    "slow": ("max-age=5", MIDDLE, {"rate": 400_000}),
}
NONSENSE = [b"", b"\0\1\2\3", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\n" + b"a" * 70000]
RUBBISH = [b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 40, b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", b"POST /",
           b"POST /fresh/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
           b"POST /fresh/0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]
# what may be answered when the origin is not there, dies or talks nonsense, or when we stop
FAILURES = {500, 502, 503, 504, *range(520, 531)}


def content(path, tag):
    """The body of that page in that version for that visitor, of that length."""
    line = f"{path} {tag}\n".encode()
    length = int(tag.split(".")[2])
    return (line * (length // len(line) + 1))[:length]


class Storm:
    def __init__(self, edge, origin, seed, addresses):
        self.edge, self.origin, self.seed, self.addresses = edge, origin, seed, addresses
        self.versions, self.floors = collections.Counter(), collections.Counter()
        self.seen, self.faults = collections.Counter(), []
        self.over, self.draining, self.threads = threading.Event(), False, []
        self.random = random.Random(f"{seed} origin")  # its order hangs on the threads, its values do not matter
        self.paths = [f"/{kind}/{number}" for kind in KINDS for number in range(PAGES)]
        for path in self.paths:
            origin.decides(path, self.answer)
        origin.switches("/chat", self.echoes)

    def begins(self, visitors, kind=None):
        self.threads = [threading.Thread(target=(kind or Visitor)(self, number).lives, daemon=True)
                        for number in range(visitors)]
        for thread in self.threads:
            thread.start()

    def calms(self, deadline=120):
        """All go home."""
        self.over.set()
        for thread in self.threads:
            thread.join(deadline)
            if thread.is_alive():
                self.faults.append(f"a visitor still waits after {deadline} s")

    def ends(self, deadline=120):
        """SIGTERM in the midst of it."""
        self.draining = True
        self.edge.drain()
        until(lambda: self.faults or self.edge.process.poll() is not None, "the end of the drain", deadline)
        self.calms(deadline)

    # --- the origin

    @staticmethod
    def echoes(connection, rest):
        while data := rest or connection.recv(65536):
            connection.sendall(data.upper())
            rest = b""

    def answer(self, asked):
        kind = asked.path.split("/")[1]
        cache_control, sizes, options = KINDS[kind]
        if asked.method not in ("GET", "HEAD"):
            self.versions[asked.path] += 1
            return Answer("done", status=200, x_version=self.versions[asked.path], x_sum=zlib.crc32(asked.body))
        fate = self.random.random()
        if kind == "failing" and fate < 0.5:
            return Answer("no", status=503)
        if kind == "nonsense" and fate < 0.5:
            return Answer(raw=self.random.choice(NONSENSE), close=True)
        who = {"private": asked.headers.get("cookie"), "sorted": asked.headers.get("x-sort")}.get(kind) or "all"
        version = self.versions[asked.path]
        length = random.Random(f"{asked.path} {version}").randint(*sizes)
        tag = f"{version}.{who}.{length}"
        if kind == "dying" and fate < 0.5:
            options = {"dies_after": self.random.randrange(length), "chunked": fate < 0.25}
        body = content(asked.path, tag)
        if kind == "chunked":
            options = options | {"trailers": {"X-Sum": zlib.crc32(body)}}
        return Answer(body, cache_control=cache_control, etag=f'"{tag}"', **options)


class Visitor:
    """One thread, one connection after the other, each of a few actions."""

    def __init__(self, storm, number):
        self.storm, self.random = storm, random.Random(f"{storm.seed} {number}")
        self.who, self.sort, self.tags = f"v{number}", "abc"[number % 3], {}
        self.doing = ""  # on this connection
        self.scheme = None  # http and https are two pages, and a POST to one leaves the other alone
        self.slow = None  # a connection with an answer that is read a little now and then

    def lives(self):
        while not self.storm.over.is_set() and not self.storm.faults:
            try:
                self.visits()
            except TimeoutError as fault:
                self.storm.faults.append(f"{self.who}, {self.doing}: was left waiting: {fault!r}")
            except ConnectionRefusedError as fault:
                if not self.storm.draining:
                    self.storm.faults.append(f"{self.who} was not let in: {fault!r}")
                break
            except (OSError, Broken, ssl.SSLError) as loss:
                self.storm.seen[type(loss).__name__] += 1
            except Exception as fault:  # noqa: any fault at all is what this looks for
                self.storm.faults.append(f"{self.who}, {self.doing}: {fault!r} {traceback.format_exc(limit=-2)}")
        self.puts_down()

    def visits(self):
        address, tls, protocol = self.random.choice(self.storm.addresses)
        self.scheme = "https" if tls else "http"
        self.doing = f"{self.scheme} {protocol}"
        with self.storm.edge.connect(address=address, tls=tls, client=protocol) as client:
            for _ in range(self.random.randint(1, 8)):
                actions = [self.gets] * 6 + [self.asks_again] * 3 + [self.cuts] * 3 + [self.posts, self.heads]
                actions += {Client: [self.pipelines, self.leaves, self.idles, self.talks_rubbish],
                            Http2: [self.begins_many, self.begins_many]}[protocol]
                action = self.random.choice(actions)
                self.doing = f"{self.doing[-200:]} {action.__name__}"
                if not action(client) or self.storm.over.is_set():
                    return

    # --- what they do; True: the connection is still good

    def chooses(self):
        return self.random.choice(self.storm.paths)

    def floor(self, path):
        return self.storm.floors[self.scheme, path]

    def fields_for(self, path, **headers):
        return {"X-Sort": self.sort, **headers, **({"Cookie": self.who} if path.startswith("/private/") else {})}

    def head_of(self, path, method="GET", **headers):
        return request(method, path, self.fields_for(path, **headers))

    def asks(self, client, path, method="GET", **headers):
        floor = self.floor(path)
        self.doing += f" {path}"
        page = client.ask(method, path, self.fields_for(path, **headers))
        return page, self.judges(path, floor, page, method, headers)

    def gets(self, client):
        return self.asks(client, self.chooses())[1]

    def heads(self, client):
        return self.asks(client, self.chooses(), "HEAD")[1]

    def asks_again(self, client):
        path = self.chooses()
        tag = self.tags.get(path, "none")
        return self.asks(client, path, **{"If-None-Match": f'"{tag}"'})[1]

    def cuts(self, client):
        """Ranges: one, several, from the end, of a version that may be gone, out of bounds."""
        path, at = self.chooses(), self.random.choice([0, 10, 1000, 100000, 1500000])
        wanted = self.random.choice([f"{at}-{at + self.random.choice([0, 99, 70000])}", f"{at}-", f"-{at + 1}",
                                     f"0-9, {at + 20}-{at + 39}"])
        headers = {"Range": f"bytes={wanted}"}
        if path in self.tags and self.random.random() < 0.3:
            headers["If-Range"] = f'"{self.tags[path]}"'
        return self.asks(client, path, **headers)[1]

    def posts(self, client):
        path = self.chooses()
        self.doing += f" {path}"
        body = b"x" * self.random.choice([0, 10, 100000])
        if isinstance(client, Http2) or self.random.random() < 0.5:
            page = client.ask("POST", path, body=body)
        else:
            chunks = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
            client.send(request("POST", path, {"Transfer-Encoding": "chunked"}) + chunks)
            if self.random.random() < 0.2:
                return False  # leaves before the last chunk
            client.send(b"0\r\n\r\n")
            page = client.page("POST")
        if page.status == 200:
            self.storm.floors[self.scheme, path] = max(self.floor(path), int(page.headers["x-version"]))
        assert page.status == 200 or page.status in FAILURES, f"POST {path}: {page}"
        self.storm.seen["POST", page.status] += 1
        return self.stays(page)

    def pipelines(self, client):
        paths = [self.chooses() for _ in range(self.random.randint(2, 5))]
        self.doing += f" {paths}"
        floors = [self.floor(path) for path in paths]
        client.send(b"".join(self.head_of(path) for path in paths))
        return all(self.judges(path, floor, client.page(), "GET", {}) for path, floor in zip(paths, floors))

    def begins_many(self, client):
        """Begin some, wait for the last of them, and break the others off, or leave in the midst of them."""
        path = self.chooses()
        for _ in range(self.random.randint(1, 5)):
            other = client.begins("GET", self.chooses(), self.fields_for(path))
            client.flush()
            if self.random.random() < 0.5:
                client.events()
            if self.random.random() < 0.7:
                with contextlib.suppress(h2.exceptions.StreamClosedError):
                    client.h2.reset_stream(other, CANCEL)
        return self.random.random() < 0.7 and self.asks(client, path)[1]

    def leaves(self, client):
        """In mid-answer: in good order, by a reset, or without having read anything."""
        path = self.chooses()
        self.doing += f" {path}"
        client.send(self.head_of(path))
        if self.random.random() < 0.7:
            client.more(self.random.choice([1, 100, 70000]))
        if self.random.random() < 0.5 and not isinstance(client.socket, ssl.SSLSocket):
            client.reset()
        return False

    def idles(self, client):
        """Begin a long answer, and read a little of it between other things."""
        if self.slow is None:
            self.slow = self.storm.edge.connect()
            self.slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.slow.send(self.head_of(f"/large/{self.random.randrange(PAGES)}"))
        elif select.select([self.slow.socket], [], [], 0)[0] and not self.slow.more(self.random.choice([1, 4096])):
            self.puts_down()
        elif self.random.random() < 0.1:
            self.puts_down()
        return True

    def puts_down(self):
        if self.slow is not None:
            self.slow.close()
        self.slow = None

    def talks_rubbish(self, client):
        with contextlib.suppress(OSError):
            client.send(self.random.choice(RUBBISH))
            if self.random.random() < 0.5:
                client.socket.shutdown(socket.SHUT_WR)
                client.everything()
        return False

    # --- what they think of it

    def stays(self, page):
        return not page.broken and not page.last

    def judges(self, path, floor, page, method, headers):
        self.storm.seen[page.cache, page.status] += 1
        if page.status == 200 and path.startswith("/nonsense/") and "etag" not in page.headers:
            assert page.broken or method == "HEAD", f"{path}: nonsense taken for an answer: {page}"
            return False
        if page.status in (200, 206, 304):
            tag = page.headers["etag"].strip('"')
            version, who, length = tag.split(".")
            mine = {"private": self.who, "sorted": self.sort}.get(path.split("/")[1], "all")
            assert who == mine, f"{path} of {who} given to {mine}: {page}"
            assert int(version) >= floor, f"{path}: version {version} after a POST made {floor}: {page}"
            self.tags[path] = tag
        if page.status == 200:
            self.judges_whole(path, page, method)
        elif page.status == 206:
            assert "Range" in headers, f"{path}: nobody asked for a part: {page}"
            self.judges_parts(path, page)
        elif page.status == 304:
            assert "If-None-Match" in headers, f"{path}: nobody had a copy: {page}"
        else:
            assert page.status in FAILURES or page.status == 416 and "Range" in headers, f"{path}: {page}"
        return self.stays(page)

    def judges_whole(self, path, page, method):
        whole = content(path, page.headers["etag"].strip('"'))
        if method == "HEAD":
            assert page.headers.get("content-length") in (None, str(len(whole))), f"{path}: {page}"
        elif page.broken:
            assert whole.startswith(page.body), f"{path}: wrong bytes before it broke: {page}"
        else:
            assert page.body == whole, f"{path}: wrong bytes: {page} {page.headers}"

    def judges_parts(self, path, page):
        whole = content(path, page.headers["etag"].strip('"'))
        parts = [(page.headers.get("content-range"), page.body)]
        boundary = re.search("boundary=(\\S+)", page.headers.get("content-type", ""))
        if boundary is not None and not page.broken:
            pieces = page.body.split(b"--" + boundary[1].encode())[1:-1]
            split = [piece[2:-2].partition(b"\r\n\r\n") for piece in pieces]
            parts = [(re.search("(?i)content-range: (.+)", head.decode())[1], body) for head, _, body in split]
        for place, body in parts if boundary is None or not page.broken else []:
            first, last, length = map(int, re.match(r"bytes (\d+)-(\d+)/(\d+)", place).groups())
            assert length == len(whole), f"{path}: {place} of {len(whole)}"
            part = whole[first: last + 1]
            assert body == part or page.broken and part.startswith(body), f"{path}: wrong bytes in {place}: {page}"
