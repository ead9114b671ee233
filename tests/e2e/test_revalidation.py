"""Conditional requests on both sides (RFC 9110, 13; RFC 9111, 4.3)."""
from vocabulary.origin import Answer


def test_a_client_that_has_the_page_is_told_so(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60", etag='"1"')
    edge.get("/news")

    page = edge.get("/news", headers={"If-None-Match": '"1"'})

    assert (page.status, page.body) == (304, b"")
    assert page.headers["etag"] == '"1"'
    assert page.cache == "hit"
    assert "content-length" not in page.headers or page.headers["content-length"] != "0"
    assert origin.saw("/news") == 1


def test_weak_tags_and_lists_and_stars_match(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60", etag='W/"1"')
    edge.get("/news")

    for tags in ('"1"', 'W/"1"', '"0", "1"', "*"):
        assert edge.get("/news", headers={"If-None-Match": tags}).status == 304
    assert edge.get("/news", headers={"If-None-Match": '"2"'}).status == 200


def test_a_client_that_has_a_page_as_new_is_told_so(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60", last_modified="Mon, 01 Jan 2024 00:00:00 GMT")
    edge.get("/news")

    assert edge.get("/news", headers={"If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"}).status == 304
    assert edge.get("/news", headers={"If-Modified-Since": "Sun, 31 Dec 2023 00:00:00 GMT"}).status == 200


def test_the_tag_counts_before_the_date(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60", etag='"2"',
                  last_modified="Mon, 01 Jan 2024 00:00:00 GMT")
    edge.get("/news")

    page = edge.get("/news", headers={"If-None-Match": '"1"', "If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"})

    assert page.status == 200


def test_a_condition_is_not_sent_on_with_a_fill(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60", etag='"1"')

    page = edge.get("/news", headers={"If-None-Match": '"1"'})

    assert page.status == 304
    assert "if-none-match" not in origin.last("/news").headers
    assert edge.get("/news") == ("hit", "monday")


def test_a_304_renews_the_fields_of_the_stored_page(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60", etag='"1"', x_edition="morning")
    edge.get("/news")
    origin.serves("/news", "monday", cache_control="max-age=120", etag='"1"', x_edition="evening")
    clock.advance(61)

    assert edge.get("/news").headers["x-edition"] == "evening"
    clock.advance(100)
    page = edge.get("/news")

    assert page == ("hit", "monday")
    assert page.headers["x-edition"] == "evening"


def test_both_validators_are_sent_to_the_origin(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60", etag='"1"',
                  last_modified="Mon, 01 Jan 2024 00:00:00 GMT")
    edge.get("/news")
    clock.advance(61)
    edge.get("/news")

    asked = origin.last("/news").headers
    assert asked["if-none-match"] == '"1"'
    assert asked["if-modified-since"] == "Mon, 01 Jan 2024 00:00:00 GMT"


def test_a_crowd_at_an_expired_page_costs_one_question(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60", etag='"1"')
    edge.get("/news")
    clock.advance(61)

    with origin.holding("/news"):
        crowd = edge.together(10, "/news")
        edge.has_waiting(10)

    assert {page.text for page in crowd} == {"monday"}
    assert origin.saw("/news") == 2


def test_no_cache_is_asked_about_every_time(edge, origin):
    origin.serves("/news", "monday", cache_control="no-cache", etag='"1"')
    edge.get("/news")

    assert edge.get("/news") == ("revalidated", "monday")
    assert edge.get("/news") == ("revalidated", "monday")
    assert origin.saw("/news") == 3


def test_a_304_that_nobody_asked_for_is_an_error(edge, origin):
    origin.answers_raw("/news", b"HTTP/1.1 304 Not Modified\r\n\r\n")

    assert edge.get("/news").status == 502


def test_a_page_without_validators_is_fetched_whole(edge, origin, clock):
    origin.decides("/news", lambda r: Answer("monday", cache_control="max-age=60"))
    edge.get("/news")
    clock.advance(61)

    assert edge.get("/news").cache == "expired"
    assert "if-modified-since" not in origin.last("/news").headers
