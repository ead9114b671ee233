"""What stands around a response: 1xx before it, trailers behind it, HEAD without it."""
import pytest

from vocabulary.wire import request


def test_early_hints_and_processing_are_passed_on(edge, origin):
    origin.serves("/news", "today", interim=[
        b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"])

    page = edge.get("/news")

    assert [(i.status, i.headers.get("link")) for i in page.interim] == [
        (102, None), (103, "</a.css>; rel=preload")]
    assert page.text == "today"


@pytest.mark.ways("HTTP/1.1", "HTTPS")
def test_a_client_of_http_1_0_is_spared_them(edge, origin):
    origin.serves("/news", "today", interim=[103])

    page = edge.get("/news", version="HTTP/1.0")

    assert page.interim == []
    assert page.text == "today"


@pytest.mark.ways("HTTP/1.1", "HTTPS")
def test_a_client_of_http_1_0_gets_no_chunks(edge, origin):
    origin.serves("/news", "today", chunked=True)

    page = edge.get("/news", version="HTTP/1.0")

    assert "transfer-encoding" not in page.headers
    assert page.text == "today"


def test_trailers_are_passed_on(edge, origin):
    origin.serves("/news", "today", chunked=True, trailers={"X-Sum": "42"})

    page = edge.get("/news", headers={"TE": "trailers"})

    assert page.text == "today"
    assert page.trailers.get("x-sum") == "42"


def test_head_of_a_cold_page_is_the_head_of_a_get(edge, origin):
    origin.serves("/news", "today", cache_control="max-age=60", x_paper="daily")

    page = edge.head("/news")

    assert (page.status, page.body) == (200, b"")
    assert page.headers["content-length"] == "5"
    assert page.headers["x-paper"] == "daily"


@pytest.mark.ways("HTTP/1.1", "HTTPS")
def test_requests_in_a_pipeline_are_answered_in_order(edge, origin):
    for name in "abc":
        origin.serves(f"/{name}", name * 3, cache_control="max-age=60")

    with edge.connect() as client:
        client.send(b"".join(request("GET", f"/{name}") for name in "abcabc"))
        texts = [client.page().text for _ in range(6)]

    assert texts == ["aaa", "bbb", "ccc"] * 2


@pytest.mark.ways("HTTP/1.1", "HTTPS")
def test_a_connection_is_used_again_until_somebody_says_close(edge, origin):
    origin.serves("/news", "today", cache_control="max-age=60")

    with edge.connect() as client:
        for _ in range(20):
            assert client.ask("GET", "/news").text == "today"
        page = client.ask("GET", "/news", {"Connection": "close"})
        assert page.headers["connection"].lower() == "close"
        assert client.closed()


@pytest.mark.ways("HTTP/1.1", "HTTPS")
def test_http_1_0_closes_unless_it_asks_to_keep_alive(edge, origin):
    origin.serves("/news", "today", cache_control="max-age=60")

    with edge.connect() as client:
        client.ask("GET", "/news", version="HTTP/1.0")
        assert client.closed()
    with edge.connect() as client:
        client.ask("GET", "/news", {"Connection": "keep-alive"}, version="HTTP/1.0")
        assert client.ask("GET", "/news", version="HTTP/1.0").text == "today"


def test_connections_to_the_origin_are_used_again(edge, origin):
    edge.configure(workers=1)
    origin.serves("/news", "today", cache_control="no-store")

    for _ in range(10):
        edge.get("/news")

    assert len({seen.connection for seen in origin.requests("/news")}) == 1


def test_responses_without_bodies_leave_the_connection_in_step(edge, origin):
    origin.serves("/nothing", status=204, reason="No Content", cache_control="no-store")
    origin.serves("/news", "today", cache_control="no-store")

    with edge.client() as client:
        for _ in range(3):
            assert client.ask("GET", "/nothing").status == 204
            assert client.ask("HEAD", "/news").body == b""
            assert client.ask("GET", "/news").text == "today"
