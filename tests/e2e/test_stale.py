"""What may be served past its time, and what may not (RFC 5861; RFC 9111, 4.2.4)."""
import pytest

pytestmark = pytest.mark.seldom("HTTPS")


def test_one_refresh_runs_however_many_ask(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60, stale-while-revalidate=30")
    edge.get("/news")
    clock.advance(75)

    with origin.holding("/news"):
        pages = [edge.get("/news") for _ in range(10)]
        origin.has_seen("/news", times=2)

    assert {(page.cache, page.text) for page in pages} == {("updating", "monday")}
    assert origin.saw("/news") == 2


def test_after_the_window_everybody_waits_for_the_origin(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60, stale-while-revalidate=30")
    edge.get("/news")
    origin.serves("/news", "tuesday", cache_control="max-age=60")
    clock.advance(95)

    assert edge.get("/news") == ("expired", "tuesday")


def test_a_refresh_that_fails_does_not_replace_what_is_stored(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60, stale-while-revalidate=600")
    edge.get("/news")
    origin.serves("/news", "sorry", status=500)
    clock.advance(75)

    assert edge.get("/news") == ("updating", "monday")
    origin.has_answered("/news", times=2)
    edge.is_idle()
    assert edge.get("/news").text == "monday"


def test_an_error_is_covered_by_a_stale_page_where_that_is_allowed(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60, stale-if-error=600")
    edge.get("/news")
    origin.serves("/news", "sorry", status=503)
    clock.advance(75)

    page = edge.get("/news")

    assert page == ("stale", "monday")
    assert page.status == 200


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_each_error_of_rfc_5861_is_covered(edge, origin, clock, status):
    origin.serves("/news", "monday", cache_control="max-age=60, stale-if-error=600")
    edge.get("/news")
    origin.serves("/news", "sorry", status=status)
    clock.advance(75)

    assert edge.get("/news") == ("stale", "monday")


@pytest.mark.parametrize("status", [429, 501, 505, 507, 599])
def test_no_other_error_is_covered_and_none_costs_the_page(edge, origin, clock, status):
    origin.serves("/news", "monday", cache_control="max-age=60, stale-if-error=600", etag='"1"')
    edge.get("/news")
    origin.serves("/news", "sorry", status=status)
    clock.advance(75)

    with origin.holding("/news"):
        crowd = edge.together(3, "/news")
        edge.has_waiting(3)
    assert [page.status for page in crowd] == [status] * 3
    assert origin.saw("/news") == 3  # the first, and two for the crowd

    origin.serves("/news", "monday", cache_control="max-age=60", etag='"1"')
    assert edge.get("/news") == ("revalidated", "monday")


def test_an_error_is_shown_where_nothing_allows_a_stale_page(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")
    origin.serves("/news", "sorry", status=503)
    clock.advance(75)

    assert edge.get("/news").status == 503


def test_a_rule_allows_what_the_origin_did_not_say(edge, origin, clock):
    edge.configure(rules=[{"name": "all", "stale": {"while_revalidating": "1m", "on_error": "1d"}}])
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")
    origin.serves("/news", "sorry", status=503)
    clock.advance(3600)

    assert edge.get("/news") == ("stale", "monday")


@pytest.mark.parametrize("control", ["must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache"])
def test_what_forbids_a_stale_page_is_obeyed(edge, origin, clock, control):
    origin.serves("/news", "monday", cache_control=f"max-age=60, {control}", etag='"1"')
    edge.get("/news")
    origin.stops()
    clock.advance(75)

    page = edge.get("/news")

    assert page.status in (502, 504)
    assert page.text != "monday"


def test_an_origin_that_closes_without_an_answer_is_covered(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")
    origin.answers_raw("/news", b"")
    clock.advance(75)

    assert edge.get("/news") == ("stale", "monday")


def test_a_stale_page_becomes_fresh_when_the_origin_is_back(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")
    origin.stops()
    clock.advance(75)
    assert edge.get("/news").cache == "stale"

    origin.comes_back()
    origin.serves("/news", "tuesday", cache_control="max-age=60")

    assert edge.get("/news") == ("expired", "tuesday")
