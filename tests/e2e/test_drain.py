"""SIGTERM: what is under way is finished, the rest is let go, and there is an end."""
import pytest

from vocabulary.wire import Broken


def test_a_request_under_way_is_finished(edge, origin):
    origin.serves("/news", "today", cache_control="max-age=60")

    with edge.client() as client, origin.holding("/news"):
        client.opens("GET", "/news")
        origin.has_seen("/news")
        edge.drain()
        assert edge.process.poll() is None
        origin.gates["/news"].open.set()
        page = client.page()

    assert page.text == "today"
    assert page.last
    edge.stop()


def test_a_download_under_way_is_finished(edge, origin):
    body = b"x" * 2_000_000
    origin.serves("/film", body, cache_control="max-age=60", rate=4_000_000)

    with edge.client() as client:
        client.opens("GET", "/film")
        page = client.head()
        edge.drain()
        client.body_into(page, "GET")

    assert page.body == body
    edge.stop()


def test_an_idle_connection_is_closed(edge, origin):
    origin.serves("/news", "today", cache_control="max-age=60")

    with edge.client() as client:
        client.ask("GET", "/news")
        edge.drain()
        assert client.closed()
    edge.stop()


def test_nobody_new_is_let_in(edge, origin):
    origin.serves("/film", b"x" * 500_000, rate=500_000)

    with edge.client() as client:
        client.opens("GET", "/film")
        page = client.head()
        edge.drain()
        origin.has_seen("/film")
        with pytest.raises((ConnectionError, Broken)):
            for _ in range(1000):
                edge.get("/film")
        client.body_into(page, "GET")
    edge.stop()


def test_there_is_an_end_to_waiting(edge, origin):
    edge.configure(limits={"drain": "300ms"})
    origin.serves("/news", "today")

    with origin.holding("/news"), edge.client() as client:
        client.opens("GET", "/news")
        origin.has_seen("/news")
        edge.stop(deadline=5)
