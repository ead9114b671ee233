"""Limits, each with its status, and the patience with slow clients (security.md 5 and 6)."""
import contextlib
import time

import pytest

from vocabulary.wire import Broken, request, until


@pytest.mark.parametrize("what, status", [
    (request("GET", "/" + "a" * 9000), 414),
    (request("GET", "/", {f"X-{i}": "1" for i in range(120)}), 431),
    (request("GET", "/", {"X-Long": "a" * 70_000}), 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-Endless: " + b"a" * 200_000, 431),
    (request("GET", "/", version="HTTP/1.2"), 505),
    (request("GET", "/", version="HTTP/2.0"), 505),
    (request("TRACE", "/"), 405),
    (request("PURGE", "/"), 405),
    (request("CONNECT", "edge.test:443"), 501),
    (request("POST", "/", {"Transfer-Encoding": "gzip, chunked"}), 501),
], ids=["target", "fields", "value", "endless", "1.2", "2.0", "trace", "purge", "connect", "coding"])
@pytest.mark.ways("HTTP/1.1")
def test_what_is_too_much_or_not_done_has_a_status_of_its_own(edge, origin, what, status):
    answer = edge.raw(what)

    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:100]
    assert origin.requests_seen == []


def test_405_names_what_is_allowed(edge):
    page = edge.request("TRACE", "/")

    assert page.status == 405
    assert {"GET", "HEAD", "POST"} <= {word.strip() for word in page.headers["allow"].split(",")}


def test_further_methods_are_passed_on_where_that_is_configured(edge, origin):
    edge.configure(limits={"methods": ["M-SEARCH"]})
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")

    assert edge.request("M-SEARCH", "/news", body=b"x") == ("pass", "monday")
    assert edge.get("/news").cache == "miss"  # it may have changed something
    assert edge.request("PROPFIND", "/news").status == 501
    assert "M-SEARCH" in edge.request("TRACE", "/news").headers["allow"]


def test_limits_are_as_configured(edge, origin):
    edge.configure(limits={"head": "2KiB", "headers": 10})
    origin.serves("/", "here")

    assert edge.get("/", headers={"X-A": "a" * 1000}).status == 200
    assert edge.get("/", headers={"X-A": "a" * 3000}).status == 431
    assert edge.get("/", headers={f"X-{i}": "1" for i in range(20)}).status == 431


@pytest.mark.ways("HTTP/1.1")
def test_a_head_that_is_not_finished_in_time_is_answered_408_or_closed(edge):
    edge.configure(limits={"head_timeout": "300ms"})

    with edge.connect() as client:
        began = time.monotonic()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow")
        answer = client.everything()

    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
    assert 0.2 < time.monotonic() - began < 5


@pytest.mark.ways("HTTP/1.1")
def test_a_head_that_comes_byte_by_byte_does_not_buy_time(edge):
    edge.configure(limits={"head_timeout": "500ms"})

    with edge.connect() as client:
        began = time.monotonic()
        client.socket.settimeout(0.05)
        drip = iter(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 1000)
        closed = False
        while not closed and time.monotonic() - began < 5:
            try:
                client.send(bytes([next(drip)]))
                closed = not client.more() or bool(client.buffer)
            except TimeoutError:
                continue
            except OSError:
                closed = True

    assert closed
    assert time.monotonic() - began < 4


@pytest.mark.ways("HTTP/1.1")
def test_a_connection_on_which_nothing_comes_is_closed(edge):
    edge.configure(limits={"head_timeout": "300ms", "idle_timeout": "300ms"})

    with edge.connect() as client:
        assert client.everything() == b""


def test_an_idle_connection_is_closed_after_its_time(edge, origin):
    edge.configure(limits={"idle_timeout": "300ms"})
    origin.serves("/news", "today", cache_control="max-age=60")

    with edge.client() as client:
        client.ask("GET", "/news")
        began = time.monotonic()
        assert client.closed()
        assert time.monotonic() - began < 5


def test_a_body_that_comes_too_slowly_is_given_up(edge, origin):
    edge.configure(limits={"body_timeout": "300ms"})

    with edge.client() as client:
        client.opens("POST", "/upload", length=1000)
        client.says(b"x")
        with contextlib.suppress(Broken):  # it may be told, or not
            assert client.page("POST").status in (400, 408)

    origin.serves("/news", "today")
    assert edge.get("/news").text == "today"


def test_a_client_that_does_not_read_is_let_go(edge, origin):
    edge.configure(limits={"send_timeout": "500ms"})
    origin.serves("/film", b"x" * (32 << 20), cache_control="max-age=60")
    edge.get("/film")
    edge.is_idle()

    with edge.client() as client:
        client.opens("GET", "/film")
        client.head()
        before = edge.stats()["now"]["connections"]
        until(lambda: edge.stats()["now"]["connections"] < before, "the connection is given up")
        with pytest.raises((Broken, OSError)):
            client.exactly(32 << 20)


def test_connections_of_one_address_are_limited(edge, origin):
    edge.configure(limits={"connections_per_address": 5})
    origin.serves("/news", "today", cache_control="max-age=60")

    clients = [edge.client() for _ in range(5)]
    for client in clients:
        assert client.ask("GET", "/news").text == "today"
    with contextlib.suppress(OSError), edge.client() as one_more:  # over TLS it ends in the handshake
        assert one_more.closed()
    clients.pop().close()
    for client in clients:
        assert client.ask("GET", "/news").text == "today"
        client.close()


@pytest.mark.ways("HTTP/1.1", "HTTP/2")  # over TLS the handshake would wait
def test_connections_in_total_are_limited_and_the_others_wait(edge, origin):
    edge.configure(limits={"connections": 4})
    origin.serves("/news", "today", cache_control="max-age=60")

    clients = [edge.client() for _ in range(4)]
    for client in clients:
        client.ask("GET", "/news")
    waiting = edge.client()
    waiting.opens("GET", "/news")
    for client in clients:
        client.close()

    try:
        assert waiting.page().text == "today"
    except Broken:
        assert edge.get("/news").text == "today"
    waiting.close()


def test_requests_of_one_connection_can_be_limited(edge, origin):
    edge.configure(limits={"requests_per_connection": 3})
    origin.serves("/news", "today", cache_control="max-age=60")

    with edge.client() as client:
        pages = [client.ask("GET", "/news") for _ in range(3)]
        assert client.closed()

    assert pages[-1].last


def test_a_client_that_leaves_is_noticed_at_once(edge, origin):
    origin.serves("/news", "today", cache_control="no-store")

    with origin.holding("/news"):
        client = edge.client()
        client.opens("POST", "/news", length=0)
        origin.has_seen("/news")
        client.close()
        origin.last("/news").was_left(deadline=2)
