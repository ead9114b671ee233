"""The scenarios of gigabytes and hundreds: run by make e2e-long, and the smaller ones always."""
import threading
import time

import pytest

from vocabulary.audience import Audience
from vocabulary.edge import SLOW
from vocabulary.origin import Answer

pytestmark = pytest.mark.seldom("HTTPS")

MIB = 1 << 20
# a sanitizer needs memory of its own
plain_build = pytest.mark.skipif(SLOW > 1, reason="memory is measured without sanitizers")
PATTERN = bytes(i % 251 for i in range(251 * 4180))  # a little above 1 MiB


def film(size):
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


@pytest.mark.ways("HTTP/1.1", "HTTPS", "HTTP/2")
@pytest.mark.parametrize("count", [50, pytest.param(500, marks=pytest.mark.long)])
def test_a_crowd_at_a_cold_film_costs_one_fetch_and_waits_for_nobody(edge, origin, count):
    body = film(20 * MIB)
    sent = []

    def choose(_):
        sent.append(time.monotonic())
        return Answer(body, cache_control="max-age=60", rate=10 * MIB)
    origin.decides("/film", choose)
    edge.configure(limits={"connections_per_address": 2000})

    audience = Audience(edge, count, "/film", body)
    with origin.holding("/film"):
        audience.asks()
        edge.has_waiting(count)
    audience.sees_the_beginning()
    audience.watches_to_the_end()

    assert audience.complaints == []
    assert origin.saw("/film") == 1
    # the viewers share one Python thread, and the processors with the edge: the last is late by what the others needed
    assert audience.first_bytes[0] - sent[0] < 0.05 * SLOW
    assert audience.first_bytes[-1] - sent[0] < (0.1 if count <= 50 else 0.3) * SLOW


@pytest.mark.parametrize("count, size", [(20, 2 * MIB), pytest.param(500, 20 * MIB, marks=pytest.mark.long)])
def test_a_crowd_at_what_is_private_asks_the_origin_each_for_himself(edge, origin, count, size):
    origin.serves("/film", film(size), cache_control="private")
    edge.configure(origin=None, limits={"connections_per_address": 2000},
                   pools={"origin": {"servers": [origin.url], "connections": {"per_server": 1000}}})

    audience = Audience(edge, count, "/film", film(size))
    with origin.holding("/film"):
        audience.asks()
        edge.has_waiting(count)
    audience.watches_to_the_end()

    assert audience.complaints == []
    assert origin.saw("/film") == count


@plain_build
@pytest.mark.parametrize("count, size, budget", [
    (20, 8 * MIB, 48), pytest.param(200, 64 * MIB, 256, marks=pytest.mark.long)])
def test_misses_beyond_the_memory_budget_are_served_within_it(edge, origin, count, size, budget):
    body = film(size)
    origin.decides("/film", lambda request: Answer(body, cache_control="max-age=60"))
    edge.configure(cache={"memory": f"{budget}MiB", "size": "20GiB"}, limits={"connections_per_address": 2000},
                   origin=None,
                   pools={"origin": {"servers": [origin.url], "connections": {"per_server": 1000}}})
    edge.running()
    before, highest, over = edge.memory, [0], threading.Event()

    def watch():
        while not over.wait(0.05):
            highest[0] = max(highest[0], edge.memory)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        audience = Audience(edge, count, lambda number: f"/film?{number}", body)
        audience.asks()
        audience.watches_to_the_end(600)
    finally:
        over.set()
        watcher.join()

    assert audience.complaints == []
    # resident memory also counts pages of the store's map, which belong to the kernel's cache: they are file-backed
    assert highest[0] - before < (budget + 64) * MIB + mapped(edge)


def mapped(edge):
    """Resident bytes of files: the store's map."""
    with open(f"/proc/{edge.pid}/status", encoding="ascii") as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith(("RssFile", "RssShmem")))


@plain_build
@pytest.mark.parametrize("size", [256 * MIB, pytest.param(5120 * MIB, marks=pytest.mark.long)])
def test_an_upload_passes_through_in_bounded_memory(edge, origin, size):
    origin.serves("/upload", "thanks")
    edge.configure(limits={"body": "10GiB"}, cache={"memory": "64MiB"})
    edge.running()
    before = edge.memory

    with edge.client(timeout=60) as client:
        client.opens("POST", "/upload", length=size)
        piece = film(MIB)
        for _ in range(size // MIB):
            client.says(piece)
        page = client.page("POST")

    assert page.text == "thanks"
    assert origin.last("/upload").body_length == size
    assert edge.memory - before < 96 * MIB


@plain_build
@pytest.mark.parametrize("size", [256 * MIB, pytest.param(5120 * MIB, marks=pytest.mark.long)])
@pytest.mark.parametrize("control", ["max-age=60", "no-store"])
def test_a_download_passes_through_in_bounded_memory(edge, origin, size, control):
    piece = film(MIB)

    def send(connection, request_, rest):
        for _ in range(size // MIB):
            connection.sendall(piece)
    head = f"HTTP/1.1 200 OK\r\nCache-Control: {control}\r\nContent-Length: {size}\r\n\r\n".encode()
    origin.serves("/film", raw=head, then=send)
    edge.configure(cache={"memory": "64MiB", "max_object": "1GiB", "size": "2GiB"})
    edge.running()
    before, highest = edge.memory, 0

    with edge.client(timeout=60) as client:
        client.opens("GET", "/film")
        assert client.head().status == 200
        for number in range(size // MIB):
            assert client.exactly(MIB) == piece
            if number % 64 == 0:
                highest = max(highest, edge.memory - mapped(edge))

    assert highest - before < 128 * MIB


def test_slow_readers_keep_their_film_while_the_cache_churns(edge, origin, tmp_path):
    body, readers = film(8 * MIB), 10
    origin.serves("/film", body, cache_control="max-age=3600")
    origin.decides("/page", lambda request: Answer(film(MIB // 2), cache_control="max-age=3600"))
    edge.configure(cache={"size": "64MiB"}, limits={"send_timeout": "60s"})
    edge.get("/film")
    edge.is_idle()

    slow = Audience(edge, readers, "/film", body, slow=True)
    slow.asks()
    for number in range(256):
        assert edge.get(f"/page?{number}", settle=False).status == 200
    slow.watches_to_the_end()

    assert slow.complaints == []
    used = sum(file.stat().st_blocks * 512 for file in (edge.folder / "cache").rglob("*") if file.is_file())
    assert used < 64 * MIB * 1.3


@pytest.mark.long
def test_a_hundred_slow_readers_while_the_cache_churns_ten_times_its_size(edge, origin):
    body = film(32 * MIB)
    origin.serves("/film", body, cache_control="max-age=3600")
    origin.serves("/small", "small", cache_control="max-age=3600")
    origin.decides("/page", lambda request: Answer(film(MIB), cache_control="max-age=3600"))
    edge.configure(cache={"size": "256MiB"}, limits={"send_timeout": "120s", "connections_per_address": 1000})
    edge.get("/film")
    edge.get("/small")
    edge.is_idle()

    slow = Audience(edge, 100, "/film", body, slow=True)
    slow.asks()
    hits = 0
    for number in range(2560):
        assert edge.get(f"/page?{number}", settle=False).status == 200
        hits += edge.get("/small").cache == "hit"
    slow.watches_to_the_end(600)

    assert slow.complaints == []
    assert hits > 2500
    file = max((edge.folder / "cache").rglob("*"), key=lambda path: path.stat().st_size)
    assert file.stat().st_blocks * 512 < 256 * MIB * 1.3
