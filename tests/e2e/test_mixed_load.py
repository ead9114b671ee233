"""Everything at once, on a few paths: every byte says whose it is, and nobody gets another one's.

A body is a row of cells, each with its path, its variant, the number of the fetch that brought it, and its place in the
row.  So a part that is foreign, mixed of two answers, moved or doubled is seen, whatever the load did to cause it.
"""
import contextlib
import os
import random
import re
import threading

import pytest

from vocabulary.origin import Answer
from vocabulary.wire import Broken, request

CELL = 33
SIZES = [0, 1, 60, 64, 200, 2047, 2100, 8000, 20000, 50000]  # in cells, around all the borders of the store
CONTROLS = ["max-age=1", "max-age=0, stale-while-revalidate=5", "no-cache", "private", "no-store",
            "max-age=1, stale-if-error=100", "max-age=60", "max-age=1, stale-while-revalidate=2"]
PATHS, CLIENTS, REQUESTS = 40, 24, 40
RANGES = ["bytes=0-99", "bytes=50-", "bytes=-70", "bytes=10-200,300-500", "bytes=33-65", "bytes=70000-80000"]


def cell(path, variant, fetch, place):
    return b"%04d.%02d.%07d.%08d........\n" % (path, variant, fetch, place)


class Offer:
    """What is offered under the path of a number."""

    def __init__(self, number):
        self.number, self.cells = number, SIZES[number * 7 % len(SIZES)]
        self.control, self.varies = CONTROLS[number % len(CONTROLS)], number % 3 == 0
        self.is_shared = self.control not in ("private", "no-store")

    def variant(self, value):
        return int(value or 0) if self.varies else 0


class Fickle(dict):
    """An origin's routes: answers that are slow, cut, sick or unchanged as the dice say."""

    def __init__(self, dice):
        super().__init__()
        self.dice, self.fetches, self.lock = dice, 0, threading.Lock()

    def get(self, path, default=None):
        return self.answer

    def answer(self, asked):
        offer = Offer(int(asked.path.rpartition("/")[2]))
        variant = offer.variant(asked.headers.get("x-a"))
        with self.lock:
            self.fetches += 1
            fetch, dice = self.fetches, random.Random(self.dice.random())
        common = {"cache_control": offer.control} | ({"vary": "X-A"} if offer.varies else {})
        known = asked.headers.get("if-none-match") or ""
        if re.fullmatch(rf'"\d+\.{variant}"', known) and dice.random() < 0.5:
            return Answer(status=304, reason="Not Modified", etag=known, **common)
        if dice.random() < 0.06:
            return Answer("sick", status=dice.choice([500, 503]))
        body = b"".join(cell(offer.number, variant, fetch, place) for place in range(offer.cells))
        if body and dice.random() < 0.08:
            return Answer(body, dies_after=dice.randrange(len(body)), length=len(body), **common)
        return Answer(body, etag=f'"{fetch}.{variant}"', chunked=offer.number % 5 == 4,
                      rate=10_000_000 if dice.random() < 0.1 else None, **common)


class Visitor:
    """A client that asks for anything, leaves as it likes, and reads every byte it gets."""

    def __init__(self, edge, dice):
        self.edge, self.dice, self.faults, self.own, self.left = edge, dice, [], [], REQUESTS

    def visits(self):
        try:
            while self.left > 0 and not self.faults:
                with contextlib.suppress(Broken, ConnectionError), self.edge.connect() as client:
                    self.stays(client)
        except Exception as fault:  # noqa: a thread has nobody else to tell
            self.faults.append(repr(fault))

    def stays(self, client):
        stays = True
        while stays and self.left > 0:
            self.left -= 1
            stays = self.asks(client)
        if self.dice.random() < 0.5:
            client.reset()

    def asks(self, client):
        offer, way = Offer(self.dice.randrange(PATHS)), self.dice.choice(["fill", "fill", "fill", "pass"])
        method, fields, body = self.dice.choice(["GET"] * 9 + ["HEAD", "POST"]), {}, None
        variant = self.dice.randrange(3)
        if offer.varies:
            fields["X-A"] = str(variant)
        if self.dice.random() < 0.3:
            fields["Range"] = self.dice.choice(RANGES)
        for name in ("If-None-Match", "If-Range"):
            if self.dice.random() < 0.1:
                fields[name] = f'"{self.dice.randrange(1, 50)}.{variant}"'
        if method == "POST":
            body = b"x" * self.dice.choice([0, 10, 70000])
        asked = request(method, f"/{way}/{offer.number}", fields, body)
        leaves = self.dice.random()
        client.send(asked[:self.dice.randrange(1, len(asked))] if leaves < 0.05 else asked)
        if 0.05 < leaves < 0.1:
            client.more(self.dice.choice([1, 100, 5000]))
        if leaves < 0.15:
            return False
        page = client.page(method)
        if method != "HEAD":
            self.reads(page, offer, offer.variant(variant), way)
        return not page.broken and page.headers.get("connection") != "close"

    def reads(self, page, offer, variant, way):
        length = offer.cells * CELL
        if page.status == 200:
            self.has_its_length(page, page.body, length)
            fetch = self.belongs(page, page.body, 0, offer, variant)
            if fetch and way == "fill" and not offer.is_shared:
                self.own.append((offer.number, fetch))
        elif page.status == 206:
            for first, last, part in self.parts(page):
                self.has_its_length(page, part, last - first + 1)
                self.belongs(page, part, first, offer, variant)
        elif page.status in (304, 416):
            self.has_its_length(page, page.body, 0)
        elif page.status not in (500, 502, 503, 504):
            self.faults.append(f"{page}: that status was never offered")

    def parts(self, page):
        kind = re.search(r'boundary="?([^"]+)', page.headers.get("content-type") or "")
        if kind is None:
            pieces = [(page.headers["content-range"].encode(), page.body)]
        else:
            pieces = [part.split(b"\r\n\r\n", 1) for part in page.body.split(b"\r\n--" + kind[1].encode())
                      if b"\r\n\r\n" in part]
        for head, body in pieces:
            found = re.search(rb"bytes (\d+)-(\d+)/\d+", head)
            yield int(found[1]), int(found[2]), body

    def has_its_length(self, page, body, length):
        if not page.broken and len(body) != length:
            self.faults.append(f"{page}: {len(body)} bytes instead of {length}")

    def belongs(self, page, body, first, offer, variant):
        """The number of the one fetch that all these bytes, which begin at `first`, come from."""
        whole = re.search(rb"\d{4}\.\d\d\.(\d{7})\.\d{8}\.{8}\n", body)
        if whole is None:
            return None
        begin, end = first // CELL, (first + len(body)) // CELL + 1
        row = b"".join(cell(offer.number, variant, int(whole[1]), place) for place in range(begin, end))
        if body != row[first % CELL:][:len(body)]:
            self.faults.append(f"{page}: not the bytes from {first} of path {offer.number}, variant {variant}")
        return int(whole[1])


@pytest.mark.parametrize("workers", [1, 3])
def test_every_byte_belongs_to_who_gets_it(edge, origin, workers):
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    dice = random.Random(seed)
    edge.configure(workers=workers, cache={"size": "64MiB", "memory": "32MiB", "collapse": {"wait": "150ms"}},
                   rules=[{"name": "live", "match": {"path": "/pass/*"}, "cache": "bypass"}])
    edge.running()
    origin.routes = Fickle(random.Random(dice.random()))

    visitors = [Visitor(edge, random.Random(dice.random())) for _ in range(CLIENTS)]
    threads = [threading.Thread(target=visitor.visits) for visitor in visitors]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        edge.reload()  # to the same, again and again
        threads[0].join(0.2)
        threads.append(threads.pop(0))

    faults = [fault for visitor in visitors for fault in visitor.faults]
    assert not faults, f"SEED={seed}: {len(faults)} faults, the first: {faults[0]}"
    own = [one for visitor in visitors for one in visitor.own]
    assert len(own) == len(set(own)), f"SEED={seed}: what is private was shared"
