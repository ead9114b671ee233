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
    origin.serves("/edit", "done", location="http://edge.test/news")
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
