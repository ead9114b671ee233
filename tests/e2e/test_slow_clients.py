"""Clients that take their time: each is given up after what is configured, and costs the others nothing.

The table of slow clients of security.md 3, in milliseconds: nothing sent, a head, a body or an answer that moves byte
by byte.  A byte comes often enough to keep a clock alive that every byte restarts.
"""
import itertools
import random
import select
import socket
import threading
import time

import pytest

from vocabulary.wire import request, until

PATIENT = 5  # far more than any limit here, far less than the default ones
MUCH = 64 << 20  # more than the kernel takes on both sides
HEAD = b"GET /news HTTP/1.1\r\nHost: edge.test\r\nX: " + b"y" * 1000
UPLOAD = request("POST", "/upload", {"Content-Length": "100000"})
CHUNKED = request("POST", "/upload", {"Transfer-Encoding": "chunked"})


@pytest.fixture
def strict(edge, origin):
    edge.configure(limits={"head_timeout": "500ms", "idle_timeout": "500ms", "send_timeout": "500ms",
                           "body_timeout": "500ms", "body_rate": "1KiB"})
    origin.serves("/news", "today", cache_control="max-age=60")
    origin.serves("/upload", "thanks")
    origin.serves("/film", b"x" * (32 << 20), cache_control="max-age=60")
    edge.get("/news")
    return edge


def still_well(edge):
    """Others are served, and nothing is left of the connection."""
    assert edge.get("/news") == ("hit", "today")
    until(lambda: edge.stats()["now"]["connections"] == 0, "no connection is left")


@pytest.mark.ways("HTTP/1.1")
def test_a_client_that_says_nothing_is_closed(strict):
    with strict.connect() as client:
        began = time.monotonic()
        assert client.everything() == b""

    assert 0.3 < time.monotonic() - began < PATIENT
    still_well(strict)


@pytest.mark.parametrize("first", [b"", b"\r\n", b"G"], ids=["from the first byte", "an empty line", "a letter"])
@pytest.mark.ways("HTTP/1.1")
def test_a_head_that_drips_is_answered_408_and_closed(strict, origin, first):
    with strict.connect() as client:
        client.send(first)
        took = client.drips(HEAD)
        answer = client.everything()

    assert took < PATIENT
    assert answer.startswith(b"HTTP/1.1 408 ") or answer == b""
    assert origin.saw("/news") == 1
    still_well(strict)


@pytest.mark.ways("HTTP/1.1")
def test_a_second_head_that_drips_is_no_better(strict):
    with strict.connect() as client:
        assert client.ask("GET", "/news").text == "today"
        assert client.drips(HEAD) < PATIENT

    still_well(strict)


@pytest.mark.parametrize("head, body", [
    (UPLOAD, b"x" * 100_000),
    (CHUNKED, b"1\r\nx\r\n" * 1000),
    (CHUNKED, b"0" * 1000),
    (CHUNKED, b"1;" + b"e" * 1000),
    (CHUNKED, b"0\r\nX: " + b"t" * 1000),
    (UPLOAD, b""),
], ids=["length", "chunks", "a size", "an extension", "a trailer", "nothing"])
@pytest.mark.ways("HTTP/1.1")
def test_a_body_that_drips_is_given_up(strict, origin, head, body):
    with strict.connect() as client:
        client.send(head)
        took = client.drips(body) if body else 0
        began = time.monotonic()
        answer = client.everything()

    assert took + time.monotonic() - began < PATIENT
    assert answer == b"" or answer.split(b" ")[1] in (b"400", b"408")
    assert origin.answered.get("/upload", 0) == 0, "the origin took it for a whole request"
    still_well(strict)


@pytest.mark.ways("HTTP/1.1")
def test_a_body_that_nobody_wanted_may_not_drip_either(strict, origin):
    with strict.connect() as client:
        client.send(request("GET", "/news", {"Content-Length": "50000"}))
        assert client.page().status == 200
        assert client.drips(b"x" * 50_000) < PATIENT

    still_well(strict)


def slow_reader(edge, target):
    """A client whose window is as small as can be."""
    client = edge.connect()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.opens("GET", target)
    return client


@pytest.mark.parametrize("kept", [True, False], ids=["a hit", "a miss"])
def test_an_answer_that_is_read_byte_by_byte_is_given_up(strict, origin, kept):
    if kept:
        strict.get("/film")
        strict.is_idle()

    with slow_reader(strict, "/film") as client:
        began = time.monotonic()
        before = strict.stats()["since_start"]["requests"]
        client.sips(until=lambda: strict.stats()["since_start"]["requests"] > before, patience=PATIENT)

    assert time.monotonic() - began < PATIENT
    still_well(strict)


@pytest.mark.ways("HTTP/1.1")
def test_questions_whose_answers_nobody_reads_are_given_up(strict, origin):
    origin.serves("/page", b"x" * 50_000, cache_control="max-age=60")
    strict.get("/page")
    strict.is_idle()

    with strict.connect() as client:
        client.socket.settimeout(0.2)
        sent = 0
        began = time.monotonic()
        try:
            while sent < MUCH and time.monotonic() - began < PATIENT:
                sent += client.socket.send(request("GET", "/page") * 100)
        except TimeoutError:
            pass  # nothing more is taken: the answers stand in the way
        except OSError:
            pass  # given up already
        until(lambda: strict.stats()["now"]["connections"] == 0, "the connection is given up", PATIENT)

    assert sent < MUCH
    still_well(strict)


@pytest.mark.ways("HTTP/1.1")
def test_a_hundred_slow_clients_are_in_nobodys_way(strict):
    slow = [strict.connect() for _ in range(100)]
    for client in slow:
        client.send(HEAD)

    began = time.monotonic()
    assert strict.get("/news") == ("hit", "today")
    assert time.monotonic() - began < 0.5
    for client in slow:
        assert client.everything()[:13] in (b"HTTP/1.1 408 ", b"")
        client.close()
    still_well(strict)


@pytest.mark.ways("HTTP/1.1")
def test_one_who_goes_on_after_the_refusal_is_not_listened_to(strict):
    with strict.connect() as client:
        client.send(b"GET /\x01 HTTP/1.1\r\n\r\n")
        assert client.page().status == 400
        assert client.drips(b"z" * 1000) < PATIENT

    still_well(strict)


def pushes(client, data):
    """Sends `data` again and again until the other side takes no more; how many bytes it took."""
    sent = 0
    while select.select([], [client.socket], [], 0.3)[1]:
        sent += client.socket.send(data[sent % len(data):], socket.MSG_DONTWAIT)
    return sent


@pytest.mark.ways("HTTP/1.1")
def test_a_pipeline_that_was_not_read_for_a_while_arrives_byte_for_byte(edge, origin):
    pages = [random.Random(n).randbytes(size) for n, size in enumerate((0, 1, 700, 1500, 2000))]
    for n, page in enumerate(pages):
        origin.serves(f"/{n}", page, cache_control="max-age=60")
        edge.get(f"/{n}")
    origin.serves("/other", b"o" * 2000, cache_control="max-age=60")
    once = b"".join(request("GET", f"/{n}") for n in range(len(pages)))

    with edge.connect() as client:
        sent = pushes(client, once)
        for _ in range(20):  # others are served meanwhile, by each of the workers
            with edge.connect() as other:
                assert other.ask("GET", "/other").body == b"o" * 2000
        rest = once[sent % len(once):]
        sender = threading.Thread(target=client.send, args=(rest,))
        sender.start()
        for page in itertools.chain.from_iterable(itertools.repeat(pages, (sent + len(rest)) // len(once))):
            assert client.page().body == page
        sender.join()
