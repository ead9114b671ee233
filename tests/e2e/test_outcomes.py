"""Every outcome that Cache-Status can name (RFC 9211), each by the shortest way to it."""
import contextlib

import pytest

from vocabulary.wire import Broken

pytestmark = pytest.mark.seldom("HTTPS")


def test_a_page_that_was_fetched_once_is_a_hit(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")

    assert edge.get("/news") == ("miss", "monday")
    assert edge.get("/news") == ("hit", "monday")
    assert origin.saw("/news") == 1


def test_a_hit_tells_its_age_and_how_long_it_lives(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")
    clock.advance(20)

    page = edge.get("/news")

    assert page.cache == "hit"
    assert int(page.headers["age"]) in (20, 21)
    assert page.cache_status["hit"] is True
    assert int(page.cache_status["ttl"]) in (39, 40)


def test_a_miss_says_that_it_was_forwarded_and_stored(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")

    status = edge.get("/news").cache_status

    assert (status["fwd"], status["fwd-status"], status["stored"]) == ("uri-miss", "200", True)
    assert "hit" not in status


@pytest.mark.parametrize("control, why", [("private", "private"), ("no-store", "no-store")])
def test_what_is_nobody_elses_business_is_passed(edge, origin, control, why):
    origin.serves("/basket", "yours", cache_control=control)

    first, second = edge.get("/basket"), edge.get("/basket")

    assert (first.text, second.text) == ("yours", "yours")
    assert second.cache == "pass"
    assert why in (first.why, second.why)
    assert origin.saw("/basket") == 2


def test_a_page_that_sets_a_cookie_is_not_stored(edge, origin):
    origin.serves("/welcome", "hello", cache_control="max-age=60", set_cookie="id=1")

    edge.get("/welcome")

    assert edge.get("/welcome").cache == "pass"
    assert origin.saw("/welcome") == 2


def test_a_post_is_passed(edge, origin):
    origin.serves("/form", "thanks", cache_control="max-age=60")

    page = edge.post("/form", b"a=1")

    assert page == ("pass", "thanks")
    assert page.why == "method"
    assert origin.last("/form").body == b"a=1"


def test_a_rule_can_bypass_the_cache(edge, origin):
    edge.configure(rules=[{"name": "live", "match": {"path": "/live/*"}, "cache": "bypass"}])
    origin.serves("/live/score", "1:0", cache_control="max-age=60")

    assert edge.get("/live/score") == ("bypass", "1:0")
    assert edge.get("/live/score") == ("bypass", "1:0")
    assert origin.saw("/live/score") == 2


def test_an_expired_page_is_fetched_again(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")

    origin.serves("/news", "tuesday", cache_control="max-age=60")
    clock.advance(61)

    assert edge.get("/news") == ("expired", "tuesday")
    assert edge.get("/news") == ("hit", "tuesday")


def test_an_expired_page_that_has_not_changed_is_revalidated(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60", etag='"1"')
    edge.get("/news")
    clock.advance(61)

    page = edge.get("/news")

    assert page == ("revalidated", "monday")
    assert page.status == 200
    assert origin.last("/news").headers["if-none-match"] == '"1"'
    assert edge.get("/news") == ("hit", "monday")


def test_a_stale_page_is_served_at_once_while_it_is_refreshed(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60, stale-while-revalidate=30")
    edge.get("/news")

    origin.serves("/news", "tuesday", cache_control="max-age=60")
    clock.advance(75)

    assert edge.get("/news") == ("updating", "monday")
    origin.has_answered("/news", times=2)
    edge.is_idle()
    assert edge.get("/news") == ("hit", "tuesday")


def test_a_stale_page_is_better_than_none(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")

    origin.stops()
    clock.advance(61)

    page = edge.get("/news")
    assert page == ("stale", "monday")
    assert page.status == 200


def test_the_origin_cannot_be_reached_and_nothing_is_stored(edge, origin):
    origin.stops()

    page = edge.get("/news")

    assert page.status == 502
    assert page.why == "connect"


def test_only_if_cached_does_not_ask_the_origin(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")

    page = edge.get("/news", headers={"Cache-Control": "only-if-cached"})

    assert page.status == 504
    assert origin.saw("/news") == 0


def test_our_own_answers_carry_an_id_and_a_reason_in_the_form_that_was_asked_for(edge, origin):
    origin.stops()

    html = edge.get("/news", headers={"Accept": "text/html"})
    data = edge.get("/news", headers={"Accept": "application/json"})

    assert html.headers["content-type"].startswith("text/html")
    assert data.headers["content-type"].startswith("application/problem+json")
    assert data.json["status"] == 502
    assert data.json["request_id"]
    assert data.json["detail"]


def test_the_way_is_named_in_via(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")

    page = edge.get("/news")

    assert "breakwater" in page.headers["via"].lower()
    assert "breakwater" in origin.last("/news").headers["via"].lower()


def test_a_rule_gives_a_lifetime_to_what_has_none(edge, origin, clock):
    edge.configure(rules=[{"name": "pages", "match": {"path": "/pages/*"}, "ttl": "10m"}])
    origin.serves("/pages/1", "one")

    assert edge.get("/pages/1").cache == "miss"
    clock.advance(599)
    assert edge.get("/pages/1").cache == "hit"
    clock.advance(2)
    assert edge.get("/pages/1").cache == "expired"


def test_head_is_answered_from_a_stored_get(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60", x_paper="daily")
    edge.get("/news")

    page = edge.head("/news")

    assert (page.status, page.cache, page.body) == (200, "hit", b"")
    assert page.headers["content-length"] == "6"
    assert page.headers["x-paper"] == "daily"
    assert origin.saw("/news") == 1


def test_an_empty_page_is_a_page(edge, origin):
    origin.serves("/empty", b"", cache_control="max-age=60")

    assert edge.get("/empty") == ("miss", "")
    assert edge.get("/empty") == ("hit", "")


@pytest.mark.parametrize("size", [1, 2047, 2048, 2049, 65519, 65520, 65521, 131040, 1 << 20])
def test_bodies_of_every_size_come_back_whole(edge, origin, size):
    body = bytes(i * 7 % 251 for i in range(size))
    origin.serves("/file", body, cache_control="max-age=60")

    assert edge.get("/file").body == body
    page = edge.get("/file")
    assert page.cache == "hit"
    assert page.body == body


def test_a_page_of_unknown_length_is_stored_too(edge, origin):
    origin.serves("/chunked", "a" * 100000, cache_control="max-age=60", chunked=True)
    origin.serves("/closed", "b" * 100000, cache_control="max-age=60", close=True)

    for path, letter in (("/chunked", "a"), ("/closed", "b")):
        assert edge.get(path).text == letter * 100000
        edge.is_idle()
        page = edge.get(path)
        assert page == ("hit", letter * 100000)
        assert page.headers["content-length"] == "100000"


def test_the_log_tells_who_answered_and_how_long_that_took(edge, origin):
    edge.configure(workers=1)  # one log, in order
    origin.serves("/news", "monday", cache_control="max-age=60")
    origin.serves("/basket", "yours", cache_control="no-store")
    edge.get("/news")
    edge.post("/basket", b"x")
    edge.get("/news")
    origin.dies("/gone", after=0)
    with contextlib.suppress(Broken):  # over HTTP/2 there may be a reset and nothing else
        edge.get("/gone")

    fetched, passed, hit, failed = edge.logged(4)

    for line in (fetched, passed):
        assert (line["pool"], line["server"]) == ("origin", 0)
        assert 0 < line["origin_us"] <= line["duration_us"]
    assert failed["pool"] == "origin"
    assert not {"pool", "server", "origin_us"} & set(hit)
