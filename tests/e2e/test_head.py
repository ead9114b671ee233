"""What an answer to HEAD does to the stored page (RFC 9111, 4.3.5)."""
import threading

import pytest
from vocabulary.origin import Answer
from vocabulary.wire import until

pytestmark = pytest.mark.seldom("HTTPS")

LAST_YEAR = "Mon, 01 Jan 2024 00:00:00 GMT"
THIS_YEAR = "Wed, 01 Jan 2025 00:00:00 GMT"


def gets(origin, path="/news"):
    return [request.method for request in origin.requests_seen if request.path == path].count("GET")


def is_gone(edge, origin):
    """The stale page would stand in for an origin that is away, were it there."""
    origin.stops()
    until(lambda: edge.get("/news").status == 502, "the stored page is gone")


def is_there(edge, origin):
    origin.stops()
    edge.is_idle()
    return edge.get("/news") == ("stale", "monday")


@pytest.mark.parametrize("validators", [{"etag": '"1"'}, {"etag": 'W/"1"'}, {"last_modified": LAST_YEAR},
                                        {"etag": '"1"', "last_modified": LAST_YEAR}],
                         ids=["tag", "weak", "date", "both"])
def test_a_head_that_describes_the_stored_page_brings_it_up_to_date(edge, origin, clock, validators):
    origin.serves("/news", "monday", cache_control="max-age=60", x_edition="morning", **validators)
    edge.get("/news")
    origin.serves("/news", "monday", cache_control="max-age=120", x_edition="evening", **validators)
    clock.advance(75)

    assert edge.head("/news").headers["x-edition"] == "evening"
    edge.is_idle()
    clock.advance(100)

    page = edge.get("/news")
    assert page == ("hit", "monday")
    assert page.headers["x-edition"] == "evening"
    assert 100 <= int(page.headers["age"]) < 110
    assert gets(origin) == 1


@pytest.mark.parametrize("size", [100, 100_000])
def test_the_body_stays_what_it_was(edge, origin, clock, size):
    body = bytes(i % 251 for i in range(size))
    origin.serves("/news", body, cache_control="max-age=60", etag='"1"')
    edge.get("/news")
    clock.advance(75)
    edge.head("/news")
    edge.is_idle()

    page = edge.get("/news")

    assert (page.cache, page.body) == ("hit", body)


def test_a_304_to_the_clients_own_condition_counts_as_well(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60", etag='"1"')
    edge.get("/news")
    clock.advance(75)

    assert edge.head("/news", headers={"If-None-Match": '"1"'}).status == 304
    edge.is_idle()

    assert edge.get("/news") == ("hit", "monday")
    assert gets(origin) == 1


def test_a_304_about_another_page_ends_the_stored_one(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60", etag='"1"')
    edge.get("/news")
    origin.serves("/news", "tuesday", cache_control="max-age=60", etag='"2"')
    clock.advance(75)

    assert edge.head("/news", headers={"If-None-Match": '"2"'}).status == 304

    is_gone(edge, origin)


@pytest.mark.parametrize("before, after", [
    ({"etag": '"1"'}, {"etag": '"2"'}),
    ({"last_modified": LAST_YEAR}, {"last_modified": THIS_YEAR}),
    ({"etag": '"1"', "last_modified": LAST_YEAR}, {"etag": '"1"', "last_modified": THIS_YEAR}),
    ({}, {"length": 7}),
    ({"etag": '"1"'}, {"etag": '"1"', "length": 7}),
], ids=["tag", "date", "one of two", "length", "length despite the tag"])
def test_a_head_that_describes_another_page_ends_the_stored_one(edge, origin, clock, before, after):
    origin.serves("/news", "monday", cache_control="max-age=60", **before)
    edge.get("/news")
    origin.serves("/news", "monday", cache_control="max-age=60", **after)
    clock.advance(75)

    edge.head("/news")

    is_gone(edge, origin)


@pytest.mark.parametrize("before, after", [
    ({}, {}),
    ({"etag": '"1"'}, {}),
    ({}, {"etag": '"1"'}),
    ({"etag": '"1"'}, {"etag": '"2"', "content_encoding": "gzip"}),
    ({"etag": '"1"'}, {"etag": '"1"', "vary": "accept-language"}),
    ({"etag": '"1"'}, {"etag": '"1"', "status": 404}),
    ({"etag": '"1"'}, {"etag": '"2"', "status": 503}),
    ({"etag": '"1"'}, {"etag": '"1"', "cache_control": "no-store"}),
], ids=["no validators", "none in HEAD", "none in GET", "other coding", "other Vary", "404", "503", "no-store"])
def test_a_head_that_tells_nothing_of_the_page_leaves_it_as_it_is(edge, origin, clock, before, after):
    origin.serves("/news", "monday", cache_control="max-age=60", **before)
    edge.get("/news")
    origin.serves("/news", "monday", **{"cache_control": "max-age=60", **after})
    clock.advance(75)

    edge.head("/news")

    assert is_there(edge, origin)


def test_a_head_with_credentials_tells_nothing_of_a_page_for_all(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60", etag='"1"')
    edge.get("/news")
    origin.serves("/news", "mine", cache_control="max-age=60", etag='"2"')
    clock.advance(75)

    edge.head("/news", headers={"Authorization": "Basic eDp5"})

    assert is_there(edge, origin)


def test_a_head_speaks_of_the_variant_that_it_would_have_got(edge, origin, clock):
    def choose(request):
        language = request.headers.get("accept-language", "en")
        return Answer(language, cache_control="max-age=60", etag=f'"{language}"', vary="accept-language")
    origin.decides("/news", choose)
    for language in ("de", "fr"):
        edge.get("/news", headers={"Accept-Language": language})
    clock.advance(75)

    edge.head("/news", headers={"Accept-Language": "de"})
    edge.is_idle()

    assert edge.get("/news", headers={"Accept-Language": "de"}) == ("hit", "de")
    assert edge.get("/news", headers={"Accept-Language": "fr"}) == ("revalidated", "fr")


def test_a_page_that_was_purged_while_head_was_on_its_way_does_not_come_back(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60", etag='"1"')
    edge.get("/news")
    clock.advance(75)

    with origin.holding("/news") as gate:
        asking = threading.Thread(target=edge.head, args=("/news",))
        asking.start()
        until(lambda: gate.waiting == 1, "the origin is asked")
        origin.gates.pop("/news")
        edge.post("/news")
    asking.join()
    edge.is_idle()

    assert edge.get("/news") == ("miss", "monday")
