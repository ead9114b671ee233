"""Fields and targets that would make an origin answer one question under the name of another (security.md 6, 7)."""
import pytest

from vocabulary.origin import Answer

pytestmark = pytest.mark.seldom("HTTPS")

UNKEYED = ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-Port",
           "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded", "Forwarded", "X-Real-IP",
           "X-Host", "X-Original-Host", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method", "X-HTTP-Method-Override",
           "X-Method-Override", "Front-End-Https", "X-WAP-Profile", "Base-Url", "X-Base-Url", "Request-Uri", "Proxy",
           "X-Scheme", "True-Client-IP", "CF-Connecting-IP", "X-Breakwater-Debug", "X_Forwarded_Host",
           "X-Forwarded_Host", "Surrogate-Capability"]


@pytest.fixture
def poisoned(shared):
    """An origin that believes every field: what one client says would be in everybody's page."""
    shared.origin.decides("/news", lambda request: Answer(request.raw, cache_control="max-age=60"))
    return shared


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", UNKEYED)
def test_a_field_that_origins_trust_never_carries_what_the_client_said(poisoned, method, name):
    poisoned.edge.request(method, f"/news?{method}-{name}", headers={name: "evil.test"})

    assert b"evil.test" not in poisoned.origin.requests_seen[-1].raw
    assert b"evil.test" not in poisoned.edge.get(f"/news?{method}-{name}").body


@pytest.mark.parametrize("name", ["Origin", "User-Agent", "Accept", "Accept-Language", "Cookie", "Authorization",
                                  "Referer", "X-Own", "If-None-Match"])
def test_any_other_field_is_passed_on(edge, origin, name):
    origin.serves("/news", "today", cache_control="no-store")

    edge.post("/news", headers={name: '"word"'})

    assert origin.last("/news").headers[name] == '"word"'


@pytest.mark.ways("HTTP/1.1", "HTTPS")
@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Via",
                                  "Surrogate-Capability"])
def test_connection_cannot_remove_what_we_say(edge, origin, name):
    origin.serves("/news", "today")

    page = edge.get("/news", headers={"Connection": name})

    assert page.status == 400 or origin.last("/news").headers.get(name)


def test_the_address_of_the_client_is_ours_to_tell(edge, origin):
    origin.serves("/news", "today")

    edge.get("/news", headers={"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https",
                               "Forwarded": "for=192.0.2.1;host=evil.test"})

    seen = origin.last("/news").headers
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == edge.way.scheme
    assert "evil.test" not in seen.get("forwarded", "")


def test_a_trusted_proxy_is_believed(edge, origin):
    edge.configure(trusted_proxies=["127.0.0.0/8"])
    origin.serves("/news", "today")

    edge.get("/news", headers={"X-Forwarded-For": "192.0.2.1"})

    assert origin.last("/news").headers["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"


@pytest.mark.ways("HTTP/1.1", "HTTP/2")  # over TLS, https says nothing new
@pytest.mark.parametrize("name, value", [
    ("X-Forwarded-Host", "evil.test"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Scheme", "https"),
    ("X-Forwarded-Port", "8443"), ("X-Forwarded-Prefix", "/evil"), ("X-Forwarded-Server", "evil.test"),
    ("X-Host", "evil.test"), ("X-Original-Host", "evil.test"), ("Front-End-Https", "on"), ("X-Scheme", "https"),
    ("X-Forwarded-User", "alice"), ("Forwarded", "for=192.0.2.1;host=evil.test"),
])
def test_what_a_trusted_proxy_says_of_the_request_is_part_of_the_key(edge, origin, name, value):
    edge.configure(trusted_proxies=["127.0.0.0/8"])
    origin.decides("/news", lambda r: Answer(str(r.headers.get(name)), cache_control="max-age=60"))

    said = edge.get("/news", headers={name: value})
    plain = edge.get("/news")

    assert (said.cache, said.text) == ("miss", value)
    assert plain.cache == "miss" and plain.text != value
    assert edge.get("/news", headers={name: value}) == ("hit", value)
    assert edge.get("/news") == ("hit", plain.text)


def test_the_addresses_that_a_trusted_proxy_tells_are_not(edge, origin):
    edge.configure(trusted_proxies=["127.0.0.0/8"])
    origin.serves("/news", "today", cache_control="max-age=60")
    edge.get("/news")

    for number in range(3):
        page = edge.get("/news", headers={"X-Forwarded-For": f"192.0.2.{number}", "X-Real-IP": f"192.0.2.{number}",
                                          "Forwarded": f"for=192.0.2.{number}", "X-Forwarded-Host": "edge.test",
                                          "X-Forwarded-Proto": edge.way.scheme})
        assert page.cache == "hit"


def test_a_change_by_one_way_makes_the_page_of_every_way_invalid(edge, origin):
    edge.configure(trusted_proxies=["127.0.0.0/8"])
    origin.serves("/news", "today", cache_control="max-age=60")
    other = {"http": "https", "https": "http"}[edge.way.scheme]
    ways = [{}, {"X-Forwarded-Proto": other}, {"X-Forwarded-Prefix": "/p"}]
    for way in ways:
        edge.get("/news", headers=way)

    edge.post("/news", b"new", headers=ways[1])

    for way in ways:
        assert edge.get("/news", headers=way).cache == "miss"


@pytest.mark.ways("HTTP/1.1", "HTTPS")
def test_fields_that_connection_names_stay_here(edge, origin):
    origin.serves("/news", "today")

    edge.get("/news", headers={"Connection": "X-Auth", "X-Auth": "1", "Keep-Alive": "timeout=5", "TE": "trailers"})

    seen = origin.last("/news").headers
    assert "x-auth" not in seen
    assert "keep-alive" not in seen


@pytest.mark.ways("HTTP/1.1", "HTTPS")
@pytest.mark.parametrize("name", ["Host", "Content-Length", "Authorization", "Cookie"])
def test_connection_cannot_remove_what_matters(edge, origin, name):
    origin.serves("/news", "today")

    page = edge.get("/news", headers={"Connection": name, "Authorization": "Basic x", "Cookie": "a=1"})

    assert page.status == 400
    assert origin.saw("/news") == 0


def test_hop_by_hop_fields_of_the_origin_stay_there(edge, origin):
    origin.serves("/news", "today", cache_control="max-age=60", connection="X-Hop", x_hop="1", keep_alive="timeout=5",
                  proxy_authenticate="Basic")

    for _ in range(2):
        page = edge.get("/news")
        assert "x-hop" not in page.headers
        assert "keep-alive" not in page.headers


@pytest.mark.parametrize("sent, normal", [
    ("/a/../b", "/b"),
    ("/a/./b", "/a/b"),
    ("/%61bc", "/abc"),
    ("/a%2fb", "/a%2Fb"),
    ("/%7euser", "/~user"),
    ("/a/%2e%2e/b", "/b"),
    ("//a//b", "//a//b"),
    ("/a?x=%61", "/a?x=%61"),
    ("/a?", "/a?"),
    ("/a;b=c", "/a;b=c"),
    ("/a%3bb", "/a%3Bb"),
    ("/a%23b", "/a%23b"),
    ("/a%0ab", "/a%0Ab"),
    ("/a/..%2fb", "/a/..%2Fb"),
    ("/a%5c..%5cb", "/a%5C..%5Cb"),
    ("/a%3fb", "/a%3Fb"),
    ("/a?x=1;y=2", "/a?x=1;y=2"),
    ("/a?x=1&x=2", "/a?x=1&x=2"),
    ("/a?x=%ff&y=%c3%28", "/a?x=%ff&y=%c3%28"),
])
def test_what_is_keyed_is_what_is_sent(edge, origin, sent, normal):
    origin.serves(normal.split("?")[0], "here", cache_control="max-age=60")

    assert edge.get(sent).cache == "miss"
    assert origin.requests_seen[-1].target == normal
    assert edge.get(normal).cache == "hit"


def test_a_query_that_a_rule_strips_is_stripped_for_the_origin_too(edge, origin):
    edge.configure(rules=[{"name": "pages", "match": {"path": "/*"}, "key": {"query": {"ignore": ["utm_*", "gclid"]}}}])
    origin.serves("/a", "here", cache_control="max-age=60")

    assert edge.get("/a?x=1&utm_source=evil&y=2&gclid=3").cache == "miss"
    assert origin.requests_seen[-1].target == "/a?x=1&y=2"
    assert edge.get("/a?x=1&y=2&utm_medium=z").cache == "hit"


@pytest.mark.parametrize("query", ["x=1;utm_source=2", "x=1%26utm_source=2", "utm%5fsource=2&x=1", "UTM_source=2&x=1",
                                   "x=1&utm_source", "&utm_source=2&x=1", "x=1&&utm_source=2", "x=utm_source=2"])
def test_no_parameter_hides_from_the_key_behind_one_that_is_stripped(edge, origin, query):
    edge.configure(rules=[{"name": "pages", "match": {"path": "/*"}, "key": {"query": {"ignore": ["utm_*"]}}}])
    origin.decides("/a", lambda request: Answer(request.target, cache_control="max-age=60"))

    first = edge.get(f"/a?{query}")

    seen = origin.requests_seen[-1].target
    assert edge.get(seen) == ("hit", first.text), "what the origin was asked for is not what the page is kept under"
    assert edge.get("/a?x=1").text in ("/a?x=1", first.text)
    assert edge.get("/a?x=1").text == "/a?x=1"


@pytest.mark.parametrize("one, other", [
    ("/a?x=1&x=2", "/a?x=2&x=1"),
    ("/a?x=1", "/a?x=1&x=1"),
    ("/a?x=1;y=2", "/a?x=1&y=2"),
    ("/a?x=%31", "/a?x=1"),
    ("/a?x=1", "/a%3Fx=1"),
    ("/a", "/a?"),
    ("/a", "/A"),
    ("/a", "/a/"),
    ("/a", "//a"),
    ("/a%2Fb", "/a/b"),
])
def test_what_an_origin_may_tell_apart_is_kept_apart(edge, origin, one, other):
    for target in (one, other):
        origin.decides(target, lambda request: Answer(request.target, cache_control="max-age=60"))

    assert edge.get(one).cache == "miss"
    assert edge.get(other) == ("miss", other)
    assert edge.get(one) == ("hit", one)


def test_fields_of_the_key_cannot_pretend_to_be_one_another(edge, origin):
    edge.configure(rules=[{"name": "all", "key": {"headers": ["X-A", "X-B"], "cookies": ["a", "b"]}}])
    origin.decides("/a", lambda r: Answer(str([r.headers.get(n) for n in ("x-a", "x-b", "cookie")]),
                                          cache_control="max-age=60"))
    said = [{"X-A": "1", "X-B": "2"}, {"X-A": "12"}, {"X-A": "1,X-B:2"}, {"X-B": "1"}, {"X-A": ""}, {},
            {"Cookie": "a=1; b=2"}, {"Cookie": "a=1b=2"}, {"Cookie": "a=1"}, {"Cookie": "b=1"},
            {"X-A": "1", "Cookie": "a=2"}]

    first = [edge.get("/a", headers=one) for one in said]
    again = [edge.get("/a", headers=one) for one in said]

    assert {page.cache for page in first} == {"miss"}
    assert [page.text for page in again] == [page.text for page in first]
    assert {page.cache for page in again} == {"hit"}


def test_hosts_are_different_pages(edge, origin):
    origin.serves("/news", "today", cache_control="max-age=60")

    assert edge.get("/news", host="a.test").cache == "miss"
    assert edge.get("/news", host="b.test").cache == "miss"
    assert edge.get("/news", host="A.test").cache == "hit"
    assert edge.get("/news", host=f"a.test:{edge.way.port}").cache == "hit"
    assert edge.get("/news", host="a.test.").cache == "hit"
    assert edge.get("/news", host="a.test:8080").cache == "miss"
    assert {r.headers["host"] for r in origin.requests("/news")} == {"a.test", "b.test", "a.test:8080"}


@pytest.mark.ways("HTTP/1.1", "HTTPS")
@pytest.mark.parametrize("target", ["http://edge.test/news", "https://edge.test/news"])
def test_the_scheme_is_that_of_the_connection(edge, origin, target):
    origin.serves("/news", "today", cache_control="max-age=60")

    assert edge.get(target).cache == "miss"

    assert edge.get("/news").cache == "hit"
    assert origin.last("/news").headers["x-forwarded-proto"] == edge.way.scheme


def test_a_reflected_origin_without_vary_is_not_stored(edge, origin):
    origin.serves("/api", "data", cache_control="max-age=60", access_control_allow_origin="https://evil.test")

    first = edge.get("/api", headers={"Origin": "https://evil.test"})

    assert (first.cache, first.why) == ("pass", "reflected-origin")
    assert "stored" not in first.cache_status
    assert edge.get("/api").cache in ("miss", "pass")
    assert origin.saw("/api") == 2
    assert 'reason="reflected-origin"' in edge.metrics()


@pytest.mark.parametrize("how", [{"vary": "Origin"}, {"vary": "Accept-Encoding, Origin"}])
def test_a_reflected_origin_with_vary_is_kept_for_each(edge, origin, how):
    origin.decides("/api", lambda r: Answer("data", cache_control="max-age=60", **how,
                                            access_control_allow_origin=r.headers.get("origin", "none")))
    for name in ("https://a.test", "https://b.test"):
        edge.get("/api", headers={"Origin": name})

    for name in ("https://a.test", "https://b.test"):
        page = edge.get("/api", headers={"Origin": name})
        assert (page.cache, page.headers["access-control-allow-origin"]) == ("hit", name)


def test_a_reflected_origin_that_is_part_of_the_key_is_kept(edge, origin):
    edge.configure(rules=[{"name": "api", "key": {"headers": ["Origin"]}}])
    origin.decides("/api", lambda r: Answer("data", cache_control="max-age=60",
                                            access_control_allow_origin=r.headers.get("origin", "none")))
    for name in ("https://a.test", "https://b.test"):
        assert edge.get("/api", headers={"Origin": name}).cache == "miss"
    page = edge.get("/api", headers={"Origin": "https://b.test"})
    assert (page.cache, page.headers["access-control-allow-origin"]) == ("hit", "https://b.test")
    assert origin.saw("/api") == 2


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_a_get_fills_the_cache(edge, origin, method):
    origin.decides("/news", lambda request: Answer(request.method, cache_control="max-age=60"))

    edge.request(method, "/news", headers={"X-HTTP-Method-Override": "GET"})
    assert origin.last("/news").method == method

    assert edge.get("/news") == ("miss", "GET")
    assert edge.get("/news") == ("hit", "GET")


def test_a_method_is_not_another_by_an_override(edge, origin):
    origin.decides("/news", lambda request: Answer(request.method, cache_control="max-age=60"))

    edge.get("/news", headers={"X-HTTP-Method-Override": "POST", "X-Method-Override": "HEAD"})

    assert (origin.last("/news").method, edge.get("/news").text) == ("GET", "GET")


def test_a_head_that_joins_a_fetch_gets_no_body_and_spoils_none(edge, origin):
    origin.decides("/news", lambda request: Answer(request.method, cache_control="max-age=60"))

    with origin.holding("/news"):
        crowd = edge.together(1, "/news")
        origin.has_seen("/news")
        client = edge.client()
        client.opens("HEAD", "/news")
        edge.has_waiting(1)
    assert client.page("HEAD").headers["content-length"] == "3"
    client.close()

    assert [page.text for page in crowd] == ["GET"]
    assert edge.get("/news") == ("hit", "GET")


def test_a_get_with_a_body_is_not_answered_for_others(edge, origin):
    origin.serves("/news", "today", cache_control="max-age=60")

    with origin.holding("/news"):
        fat = edge.client()
        fat.opens("GET", "/news", length=3)
        fat.says(b"fat")
        origin.has_seen("/news")
        crowd = edge.together(1, "/news")
        origin.has_seen("/news", 2)
    assert fat.page().cache == "pass"
    fat.close()

    assert [page.cache for page in crowd] == ["miss"]
    assert [r.body for r in origin.requests("/news")] == [b"", b""]


def test_the_key_is_shown_to_trusted_peers_alone(edges, origin):
    origin.serves("/news", "today", cache_control="max-age=60")
    stranger, friend = edges(origin), edges(origin, trusted_proxies=["127.0.0.0/8"])

    assert "key" not in stranger.get("/news?secret=1").cache_status
    assert friend.get("/news?secret=1").cache_status["key"] == '"/news?secret=1"'


def test_a_header_that_the_origin_ends_twice_splits_no_response(edge, origin):
    origin.answers_raw("/news", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nLocation: /x\r\n"
                       b"Content-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", close=False)
    origin.serves("/next", "good")

    with edge.client() as client:
        assert client.ask("GET", "/news").body == b""
        assert client.ask("GET", "/next").text == "good"
    assert edge.get("/next").text == "good"
    assert edge.get("/news").body == b""


def test_a_loop_is_noticed(edges, origin):
    edge = edges()
    edge.configure(origin=f"http://127.0.0.1:{edge.port}")

    page = edge.get("/news")

    assert page.status in (502, 508)


def test_what_we_say_ourselves_does_not_repeat_what_was_asked(edge, origin):
    origin.stops()

    page = edge.get("/<script>alert(1)</script>".replace("<", "%3C").replace(">", "%3E"),
                    headers={"Accept": "text/html"}, host="edge.test")

    assert b"<script" not in page.body
