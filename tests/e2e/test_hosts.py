"""Hosts that are served, and no others (RFC 9110, 15.5.20; 7.4)."""
import pytest
from vocabulary.wire import until

NAMES = ["shop.test", "*.blog.test"]


@pytest.fixture
def choosy(edge, origin):
    """Serves shop.test and what is below blog.test; its certificate would do for any name."""
    origin.serves("/news", "today", cache_control="max-age=60")
    edge.configure(hosts=NAMES)
    return edge


def test_a_host_of_the_list_is_served(choosy, origin):
    for host in ("shop.test", "shop.test:8443", "de.blog.test", "a.b.blog.test"):
        assert choosy.get("/news", host=host) == ("miss", "today")
        assert choosy.get("/news", host=host) == ("hit", "today")
    for host in ("SHOP.test", "shop.test."):
        assert choosy.get("/news", host=host) == ("hit", "today")
    assert origin.saw("/news") == 4


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_another_host_meets_neither_cache_nor_origin(choosy, origin, method):
    for host in ("other.test", "blog.test", "shop.test.evil", "myshop.test", "127.0.0.1", "shop"):
        page = choosy.request(method, "/news", host=host)
        assert (host, page.status, page.why) == (host, 421, "unknown-host")
    assert origin.requests_seen == []
    assert choosy.stats()["store"]["objects"] == 0


def test_the_answer_says_why_in_the_form_that_is_wanted(choosy):
    for accept, given in (("application/json", "application/problem+json"), ("text/html", "text/html")):
        page = choosy.get("/news", host="other.test", headers={"Accept": accept})
        assert page.headers["content-type"].startswith(given)
        assert "No site of that name is served here." in page.text


def test_what_is_stored_is_not_shown_under_another_name(choosy, origin):
    choosy.get("/news", host="shop.test")

    assert choosy.get("/news", host="other.test").status == 421
    assert choosy.get("/news", host="shop.test") == ("hit", "today")


@pytest.mark.ways("HTTP/1.1", "HTTPS")
def test_the_connection_ends_with_the_answer(choosy):
    with choosy.client() as client:
        assert client.ask("GET", "/news", host="other.test").status == 421
        assert client.closed()


@pytest.mark.ways("HTTP/1.1", "HTTPS")
def test_the_host_of_an_absolute_target_counts(choosy, origin):
    answer = choosy.raw(b"GET http://other.test/news HTTP/1.1\r\nHost: other.test\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 421 ")
    assert origin.requests_seen == []


@pytest.mark.ways("HTTP/1.1", "HTTPS")
def test_who_names_no_host_is_not_served(choosy, origin):
    answer = choosy.raw(b"GET /news HTTP/1.0\r\n\r\n")

    assert b" 421 " in answer.split(b"\r\n")[0]
    assert origin.requests_seen == []


@pytest.mark.ways("HTTP/1.1", "HTTPS")
def test_an_upgrade_for_another_host_is_no_way_in(choosy, origin):
    page = choosy.get("/news", host="other.test", headers={"Connection": "Upgrade", "Upgrade": "websocket"})

    assert page.status == 421
    assert origin.requests_seen == []


def test_unknown_hosts_take_no_place_in_the_figures(edge, origin):
    edge.configure(hosts=NAMES)
    origin.serves("/news", "today", cache_control="max-age=60")
    for i in range(5):
        edge.get("/news", host=f"h{i}.test")
    edge.get("/news", host="shop.test")
    until(lambda: edge.stats()["since_start"]["requests"] == 6, "six requests in the figures")

    assert [name for name in edge.stats()["hosts"] if name.endswith(".test")] == ["shop.test"]
    assert {line["host"] for line in edge.logged(6)} == {"h0.test", "h1.test", "h2.test", "h3.test", "h4.test",
                                                         "shop.test"}


def test_a_reload_changes_the_list(edge, origin):
    edge.configure(hosts=NAMES)
    origin.serves("/news", "today", cache_control="max-age=60")
    assert edge.get("/news", host="other.test").status == 421

    edge.configure(hosts=["other.test"])
    assert edge.reload()[0]

    assert edge.get("/news", host="other.test").text == "today"
    assert edge.get("/news", host="shop.test").status == 421


def test_without_a_list_every_host_is_served(edge, origin):
    origin.serves("/news", "today", cache_control="max-age=60")

    assert edge.get("/news", host="whatever.test").text == "today"
