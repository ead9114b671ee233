"""Unsafe methods make stored answers invalid (RFC 9111, 4.4)."""
import pytest


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_change_makes_the_stored_page_invalid(edge, origin, method):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")

    edge.request(method, "/news", body=b"x")
    origin.serves("/news", "tuesday", cache_control="max-age=60")

    assert edge.get("/news").text == "tuesday"


def test_a_change_that_failed_changes_nothing(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")
    origin.serves("/news", "no", status=500)

    edge.post("/news", b"x")

    assert edge.get("/news") == ("hit", "monday")


@pytest.mark.parametrize("field", ["location", "content_location"])
def test_what_the_answer_names_is_invalid_too(edge, origin, field):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")
    origin.serves("/edit", "done", **{field: "/news"})
    edge.post("/edit", b"x")
    origin.serves("/news", "tuesday", cache_control="max-age=60")

    assert edge.get("/news").text == "tuesday"


def test_nobody_makes_the_pages_of_another_host_invalid(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")
    origin.serves("/edit", "done", location=f"{edge.way.scheme}://edge.test/news")
    edge.post("/edit", b"x", host="evil.test")

    assert edge.get("/news").cache == "hit"


def test_a_safe_method_changes_nothing(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")
    edge.request("OPTIONS", "/news")

    assert edge.get("/news").cache == "hit"


def test_all_variants_are_invalid(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60", vary="X-A")
    for value in "12":
        edge.get("/news", headers={"X-A": value})

    edge.post("/news", b"x")
    origin.serves("/news", "tuesday", cache_control="max-age=60", vary="X-A")

    for value in "12":
        assert edge.get("/news", headers={"X-A": value}).text == "tuesday"


@pytest.mark.parametrize("asked, field", [("/news?utm_a=1", {}), ("/edit", {"location": "/news?utm_a=1"})])
def test_what_a_change_makes_invalid_is_found_by_the_rules_for_reading_it(edge, origin, asked, field):
    edge.configure(rules=[{"name": "reads", "match": {"method": "GET", "path": "/news"},
                           "key": {"query": {"ignore": ["utm_*"]}}}])
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news?utm_b=2")
    origin.serves(asked, "done", **field)
    edge.post(asked, b"x")
    origin.serves("/news", "tuesday", cache_control="max-age=60")

    assert edge.get("/news").text == "tuesday"


def test_an_answer_to_post_that_shows_its_url_is_kept_for_get(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")
    here = f"{edge.way.scheme}://edge.test/news"
    origin.serves("/news", "tuesday", cache_control="max-age=60", content_location=here)
    edge.post("/news", b"x")
    edge.is_idle()

    assert edge.get("/news") == ("hit", "tuesday")
    assert edge.head("/news").cache == "hit"
    assert origin.saw("/news") == 2


@pytest.mark.parametrize("fields", [
    {"content_location": "/news"},
    {"cache_control": "max-age=60"},
    {"cache_control": "max-age=60", "content_location": "/other"},
    {"cache_control": "private, max-age=60", "content_location": "/news"},
    {"cache_control": "max-age=60", "content_location": "/news", "vary": "Accept-Encoding"},
    {"cache_control": "max-age=60", "content_location": "/news", "content_encoding": "deflate"},
    {"cache_control": "max-age=60", "content_location": "/news", "status": 201},
])
def test_other_answers_to_post_are_not_kept(edge, origin, fields):
    origin.serves("/news", "monday", **fields)
    edge.post("/news", b"x")
    edge.is_idle()
    origin.serves("/news", "tuesday")

    assert edge.get("/news").text == "tuesday"
