"""Pages of one person that a cache is talked into keeping for all (security.md 7): by an address that looks like a
file, by cookies, by credentials.
"""
import pytest

from vocabulary.origin import Answer

pytestmark = pytest.mark.seldom("HTTPS")

STATIC = [{"name": "files", "match": {"extension": ["css", "js", "png", "pdf"]}, "ttl": "1h"}]
EVERYTHING = [{"name": "all", "match": {"path": "/*"}, "cache": "always", "ttl": {"default": "1h"}}]
LAST_YEAR = "Wed, 01 Jan 2020 00:00:00 GMT"

DISGUISED = ["/account/x.css", "/account.css", "/account;x.css", "/account%3bx.css", "/account%23x.css",
             "/account%0ax.css", "/x/..%2faccount.css", "/account/x.CSS", "/account%2fx.js", "/account/..%5cx.png",
             "/account.css?x.png", "/account/x.pdf"]


def answers_everything(origin, answer):
    """Whatever the normal form of the path is."""
    class Any(dict):
        def get(self, key, default=None):
            return answer
    origin.routes = Any()


@pytest.mark.parametrize("path", DISGUISED)
def test_nothing_is_kept_by_its_extension(edge, origin, path):
    answers_everything(origin, Answer("alice's", content_type="text/html"))

    edge.get(path)

    assert edge.get(path).cache != "hit"


@pytest.mark.parametrize("rules", [STATIC, EVERYTHING], ids=["by extension", "always"])
@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/json", "text/plain"])
@pytest.mark.parametrize("path", DISGUISED)
def test_a_page_in_disguise_is_not_kept_by_a_rule(edge, origin, path, kind, rules):
    edge.configure(rules=rules)
    answers_everything(origin, Answer("alice's", content_type=kind))

    first = edge.get(path)

    assert first.text == "alice's"
    assert (first.cache, first.why) == ("pass", "content-type")
    assert edge.get(path).cache != "hit"


@pytest.mark.parametrize("path, kind", [
    ("/a.css", "text/css"), ("/a.css", "application/octet-stream"), ("/a.js", "application/javascript"),
    ("/a.png", "image/webp"), ("/a.png", "video/mp4"), ("/a.pdf", "application/pdf"), ("/a.css", None),
])
def test_what_is_what_it_says_is_kept_by_the_rule(edge, origin, path, kind):
    edge.configure(rules=STATIC)
    origin.serves(path, "body", **({"content_type": kind} if kind else {}))

    assert edge.get(path).cache == "miss"
    assert edge.get(path) == ("hit", "body")


def test_what_is_missing_is_remembered_though_its_page_is_html(edge, origin):
    edge.configure(rules=[{"name": "files", "match": {"extension": ["ico"]}, "ttl": {"status": {404: "30s"}}}])
    origin.serves("/favicon.ico", "<h1>not here</h1>", status=404, content_type="text/html")

    assert edge.get("/favicon.ico").cache == "miss"
    assert edge.get("/favicon.ico").cache == "hit"


@pytest.mark.parametrize("rules", [STATIC, EVERYTHING], ids=["by extension", "always"])
@pytest.mark.parametrize("asked, fields", [
    ({}, {"cache_control": "private"}),
    ({}, {"cache_control": "no-store"}),
    ({}, {"set_cookie": "id=alice"}),
    ({}, {"set_cookie": "id=alice", "cache_control": "public, max-age=60"}),
    ({"Authorization": "Basic YWxpY2U6"}, {}),
    ({"Authorization": "Basic YWxpY2U6"}, {"cache_control": "max-age=60"}),
    ({}, {"vary": "*"}),
], ids=["private", "no-store", "set-cookie", "set-cookie public", "authorization", "authorization max-age", "vary"])
def test_no_rule_overrides_what_is_personal(edge, origin, asked, fields, rules):
    edge.configure(rules=rules)
    origin.serves("/a.css", "alice's", content_type="text/css", **fields)

    edge.get("/a.css", headers=asked)
    origin.serves("/a.css", "bob's", content_type="text/css", **fields)

    assert edge.get("/a.css").text == "bob's"


@pytest.mark.parametrize("fields, shared", [
    ({"cache_control": "max-age=60"}, False),
    ({"expires": "Thu, 01 Jan 2099 00:00:00 GMT"}, False),
    ({"last_modified": LAST_YEAR}, False),
    ({"cache_control": "max-age=60, public"}, True),
    ({"cache_control": "s-maxage=60"}, True),
    ({"cache_control": "max-age=60, must-revalidate"}, True),
], ids=lambda value: str(value))
def test_answers_to_credentials_are_shared_only_where_that_is_said(edge, origin, fields, shared):
    origin.serves("/page", "alice's", **fields)
    first = edge.get("/page", headers={"Authorization": "Basic YWxpY2U6"})
    origin.serves("/page", "bob's", **fields)

    assert first.why == (None if shared else "authorization")
    assert edge.get("/page").text == ("alice's" if shared else "bob's")


def test_credentials_do_not_open_what_was_kept_without_them(edge, origin):
    origin.serves("/page", "everybody's", cache_control="max-age=60")
    edge.get("/page")
    origin.serves("/page", "alice's", cache_control="max-age=60")

    assert edge.get("/page", headers={"Authorization": "Basic YWxpY2U6"}).text == "alice's"
    assert edge.get("/page") == ("hit", "everybody's")


@pytest.mark.parametrize("fields, shared", [
    ({"last_modified": LAST_YEAR}, False),
    ({"etag": '"1"'}, False),
    ({"etag": '"1"', "last_modified": LAST_YEAR}, False),
    ({"cache_control": "public", "last_modified": LAST_YEAR}, True),
    ({"cache_control": "max-age=60"}, True),
    ({"cache_control": "s-maxage=60"}, True),
], ids=lambda value: str(value))
def test_answers_to_cookies_are_shared_where_somebody_says_how_long(edge, origin, clock, fields, shared):
    origin.serves("/page", "alice's", **fields)
    first = edge.get("/page", headers={"Cookie": "id=alice"})
    assert first.why == (None if shared else "cookie")

    origin.stops()
    clock.advance(1)

    page = edge.get("/page", headers={"Cookie": "id=bob"})
    assert (page.text == "alice's") == shared


def test_a_file_is_everybodys_whatever_cookies_come_with_the_question(edge, origin):
    origin.serves("/a.css", "style", content_type="text/css", last_modified=LAST_YEAR)

    assert edge.get("/a.css", headers={"Cookie": "_ga=1"}).cache == "miss"
    assert edge.get("/a.css", headers={"Cookie": "_ga=2"}) == ("hit", "style")


def test_one_with_cookies_may_confirm_what_is_everybodys(edge, origin, clock):
    origin.serves("/page", "all", etag='"1"', last_modified=LAST_YEAR)
    edge.get("/page")
    clock.advance(2 * 86400)

    assert edge.get("/page", headers={"Cookie": "id=alice"}) == ("revalidated", "all")
    assert edge.get("/page", headers={"Cookie": "id=bob"}) == ("hit", "all")


def test_vary_by_cookie_keeps_people_apart(edge, origin):
    origin.decides("/page", lambda r: Answer(r.headers.get("cookie", "nobody"), cache_control="max-age=60",
                                             vary="Cookie"))
    for cookie in ("id=alice", "id=bob", "id=alice; x=1", "id=alicex=1"):
        assert edge.get("/page", headers={"Cookie": cookie}) == ("miss", cookie)
    for cookie in ("id=alice", "id=bob", "id=alice; x=1", "id=alicex=1"):
        assert edge.get("/page", headers={"Cookie": cookie}) == ("hit", cookie)


def test_a_crowd_with_cookies_gets_each_its_own(edge, origin):
    origin.decides("/page", lambda r: Answer(r.headers["cookie"], etag='"1"', last_modified=LAST_YEAR))
    edge.running()

    with origin.holding("/page"):
        crowds = [edge.together(1, "/page", headers={"Cookie": f"id={n}"}) for n in range(5)]
        origin.has_seen("/page")
        edge.has_waiting(4)

    assert [page.text for crowd in crowds for page in crowd] == [f"id={n}" for n in range(5)]
