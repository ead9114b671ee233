"""Errors, redirects and parts that one client provokes and all others would get (security.md 7; "CPDoS")."""
import contextlib

import pytest

from vocabulary.edge import Edge
from vocabulary.origin import Answer, Origin
from vocabulary.wire import Broken

pytestmark = pytest.mark.seldom("HTTPS")

LAST_YEAR = "Wed, 01 Jan 2020 00:00:00 GMT"
NEVER = [400, 401, 403, 405, 406, 408, 411, 412, 413, 414, 415, 416, 417, 421, 422, 428, 429, 431, 451, 500, 501, 502,
         503, 504, 511, 201, 202, 205, 206, 302, 303, 307]
ALWAYS = [{"name": "all", "match": {"path": "/*"}, "cache": "always", "ttl": {"default": "1h"}}]
FIXED = [{"name": "all", "match": {"path": "/*"}, "ttl": "1h"}]


@pytest.fixture(scope="module")
def fronts(tmp_path_factory, way):
    """One Breakwater without rules, one that keeps everything, one with a fixed time to live."""
    origin = Origin()
    made = {name: Edge(tmp_path_factory.mktemp(name), origin, way, **rules)
            for name, rules in (("plain", {}), ("always", {"rules": ALWAYS}), ("fixed", {"rules": FIXED}))}
    yield origin, made
    for edge in made.values():
        edge.close()
        edge.check_reports()
    origin.stops()


@pytest.mark.parametrize("front", ["plain", "always", "fixed"])
@pytest.mark.parametrize("status", NEVER)
def test_what_is_no_page_is_not_stored_without_being_told(fronts, status, front):
    origin, edges = fronts
    edge = edges[front]
    for number, fields in enumerate([{}, {"last_modified": LAST_YEAR}, {"etag": '"1"'},
                                     {"cache_control": "public", "last_modified": LAST_YEAR}]):
        path = f"/{front}/{status}/{number}"
        origin.serves(path, "" if status == 205 else "no", status=status, **fields)

        assert "stored" not in edge.get(path).cache_status, fields
        origin.serves(path, "today", cache_control="max-age=60")
        assert edge.get(path).text == "today", fields


@pytest.mark.parametrize("status", [400, 405, 431, 500, 503, 302, 307])
def test_what_is_no_page_is_stored_as_long_as_it_says(edge, origin, clock, status):
    origin.serves("/news", "no", status=status, cache_control="max-age=5")
    edge.get("/news")
    origin.serves("/news", "today", cache_control="max-age=60")

    assert edge.get("/news") == ("hit", "no")
    clock.advance(6)
    assert edge.get("/news").text == "today"


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("rules", [ALWAYS, FIXED], ids=["always", "fixed"])
def test_what_is_missing_is_remembered_for_a_minute_at_most(edge, origin, clock, rules, status):
    edge.configure(rules=rules)
    origin.serves("/news", "gone", status=status)
    edge.get("/news")
    origin.serves("/news", "back", cache_control="max-age=60")

    assert edge.get("/news") == ("hit", "gone")
    clock.advance(61)
    assert edge.get("/news").text == "back"


def test_what_is_missing_without_a_word_or_a_rule_is_asked_for_again(edge, origin):
    origin.serves("/news", "gone", status=404)
    edge.get("/news")
    origin.serves("/news", "back", cache_control="max-age=60")

    assert edge.get("/news").text == "back"


@pytest.mark.parametrize("fields", [{}, {"cache_control": "max-age=60"}, {"cache_control": "public, s-maxage=600"}],
                         ids=["bare", "max-age", "public"])
@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_an_error_never_takes_the_place_of_a_page(edge, origin, clock, status, fields):
    origin.serves("/news", "monday", cache_control="max-age=60", etag='"1"')
    edge.get("/news")
    clock.advance(61)
    origin.serves("/news", "sorry", status=status, **fields)
    assert edge.get("/news").text == "sorry"

    origin.serves("/news", "monday", cache_control="max-age=60", etag='"1"')

    assert edge.get("/news") == ("revalidated", "monday")


def test_an_error_that_says_so_does_take_the_place_of_an_error(edge, origin, clock):
    origin.serves("/news", "sorry", status=503, cache_control="max-age=5")
    edge.get("/news")
    clock.advance(6)
    origin.serves("/news", "still", status=503, cache_control="max-age=5")
    edge.get("/news")

    assert edge.get("/news") == ("hit", "still")


# --- what one client's request makes the origin say

@pytest.mark.parametrize("fields, status", [
    ({"X-Oversized": "x" * 20_000}, 431),
    ({"X-Oversized": "x" * 20_000}, 400),
    ({"X-Metal\x7f": "x"}, 400),
    ({"X-HTTP-Method-Override": "DELETE"}, 405),
    ({"Range": "bytes=9999999-"}, 416),
    ({"Range": "bytes=0-0,0-0,0-0"}, 416),
    ({"Accept-Encoding": "nonsense;q=2"}, 406),
    ({"Accept": "nonsense"}, 406),
    ({"Expect": "nonsense"}, 417),
    ({"If-Match": '"nonsense"'}, 412),
    ({"If-Unmodified-Since": LAST_YEAR}, 412),
    ({"X-Custom": "${jndi:x}"}, 403),
    ({"Transfer-Encoding": "chunked"}, 501),
], ids=lambda value: str(value)[:40])
def test_what_annoys_the_origin_hurts_only_the_one_who_says_it(edge, origin, fields, status):
    def choose(asked):
        annoyed = any(asked.headers.get(name) == value for name, value in fields.items())
        return Answer("no", status=status, last_modified=LAST_YEAR) if annoyed else Answer(
            "today", cache_control="max-age=60")
    origin.decides("/news", choose)

    with edge.client() as client, contextlib.suppress(Broken):  # what HTTP/2 cannot say breaks off its stream
        client.ask("GET", "/news", fields)

    assert edge.get("/news").text == "today"
    assert edge.get("/news") == ("hit", "today")


# --- parts

RANGES = ["bytes=0-3", "bytes=4-", "bytes=-1", "bytes=0-0,2-2", "bytes=100-", "items=0-3", "bytes=0-3, junk"]


@pytest.mark.parametrize("wanted", RANGES)
def test_a_part_is_never_asked_for_in_order_to_store(edge, origin, wanted):
    origin.serves("/film", "0123456789", cache_control="max-age=60", etag='"1"')

    edge.get("/film", headers={"Range": wanted, "If-Range": '"1"'})
    edge.is_idle()

    assert "range" not in origin.last("/film").headers
    assert "if-range" not in origin.last("/film").headers
    assert edge.get("/film") == ("hit", "0123456789")


@pytest.mark.parametrize("status, fields", [
    (206, {"content_range": "bytes 0-3/10"}),
    (206, {}),
    (416, {"content_range": "bytes */10"}),
])
@pytest.mark.parametrize("asked", [{}, {"Range": "bytes=0-3"}], ids=["whole", "part"])
def test_a_part_is_never_stored(edge, origin, status, fields, asked):
    origin.serves("/film", "0123", status=status, cache_control="public, max-age=60", **fields)
    edge.get("/film", headers=asked)
    origin.serves("/film", "0123456789", cache_control="max-age=60")

    assert edge.get("/film").text == "0123456789"


@pytest.mark.parametrize("wanted", [
    "bytes=" + ",".join(f"{i * 10}-{i * 10 + 5}" for i in range(9)),
    "bytes=0-5,3-8",
    "bytes=0-,0-,0-",
    "bytes=5-8,0-3",
    "bytes=" + ",".join(["0-0"] * 1000),
    "bytes=-5,-5",
    "bytes=" + "," * 3000 + "0-1",
], ids=["nine", "overlapping", "open", "backwards", "thousand", "suffixes", "commas"])
@pytest.mark.parametrize("kept", [True, False], ids=["hit", "miss"])
def test_a_greedy_or_overlapping_list_gets_no_more_than_the_whole(edge, origin, wanted, kept):
    body = bytes(i % 251 for i in range(100_000))
    origin.serves("/film", body, cache_control="max-age=60")
    if kept:
        edge.get("/film")

    page = edge.get("/film", headers={"Range": wanted})

    assert (page.status, page.body) in ((200, body), (206, body[:2]))


# --- conditions

@pytest.mark.parametrize("name, value", [("If-None-Match", '"1"'), ("If-None-Match", "*"), ("If-Match", '"other"'),
                                         ("If-Modified-Since", "Thu, 01 Jan 2099 00:00:00 GMT"),
                                         ("If-Unmodified-Since", LAST_YEAR), ("If-Range", '"1"')])
def test_a_condition_is_not_sent_on_with_a_fill(edge, origin, name, value):
    origin.serves("/news", "today", cache_control="max-age=60", etag='"1"', last_modified=LAST_YEAR)

    edge.get("/news", headers={name: value})
    edge.is_idle()

    assert name.lower() not in origin.last("/news").headers
    assert edge.get("/news") == ("hit", "today")


# --- redirects

@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_made_from_what_a_client_said_reaches_nobody_else(edge, origin, status):
    def choose(asked):
        host = asked.headers.get("x-forwarded-host", asked.headers["host"])
        return Answer(status=status, location=f"https://{host}/login", last_modified=LAST_YEAR)
    origin.decides("/news", choose)

    edge.get("/news", headers={"X-Forwarded-Host": "evil.test"})
    edge.get("/news", host="evil.test")

    assert edge.get("/news").headers["location"] == "https://edge.test/login"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_fresh_without_being_told(edge, origin, status):
    origin.serves("/news", status=status, location="/old", last_modified=LAST_YEAR, etag='"1"')
    edge.get("/news")
    origin.serves("/news", status=status, location="/new", last_modified=LAST_YEAR, etag='"2"')

    assert edge.get("/news").headers["location"] == "/new"
