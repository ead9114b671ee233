"""Fields and targets that would make an origin answer one question under the name of another (security.md 6, 7)."""
import pytest

UNKEYED = ["X-Forwarded-Host", "X-Forwarded-Scheme", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server",
           "X-Host", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method", "X-HTTP-Method-Override",
           "X-Method-Override", "Front-End-Https", "X-WAP-Profile", "X-Original-Host", "Proxy"]


@pytest.mark.parametrize("name", UNKEYED)
def test_a_field_that_origins_trust_never_carries_what_the_client_said(edge, origin, name):
    origin.serves("/news", "today", cache_control="max-age=60")

    edge.get("/news", headers={name: "evil.test"})

    assert b"evil.test" not in origin.last("/news").raw


def test_the_address_of_the_client_is_ours_to_tell(edge, origin):
    origin.serves("/news", "today")

    edge.get("/news", headers={"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https",
                               "Forwarded": "for=192.0.2.1;host=evil.test"})

    seen = origin.last("/news").headers
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "http"
    assert "evil.test" not in seen.get("forwarded", "")


def test_a_trusted_proxy_is_believed(edge, origin):
    edge.configure(trusted_proxies=["127.0.0.0/8"])
    origin.serves("/news", "today")

    edge.get("/news", headers={"X-Forwarded-For": "192.0.2.1"})

    assert origin.last("/news").headers["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"


def test_fields_that_connection_names_stay_here(edge, origin):
    origin.serves("/news", "today")

    edge.get("/news", headers={"Connection": "X-Auth", "X-Auth": "1", "Keep-Alive": "timeout=5", "TE": "trailers"})

    seen = origin.last("/news").headers
    assert "x-auth" not in seen
    assert "keep-alive" not in seen


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


def test_hosts_are_different_pages(edge, origin):
    origin.serves("/news", "today", cache_control="max-age=60")

    assert edge.get("/news", host="a.test").cache == "miss"
    assert edge.get("/news", host="b.test").cache == "miss"
    assert edge.get("/news", host="A.test").cache == "hit"
    assert edge.get("/news", host="a.test:80").cache == "hit"
    assert edge.get("/news", host="a.test:8080").cache == "miss"


def test_a_reflected_origin_without_vary_is_not_stored(edge, origin):
    origin.serves("/api", "data", cache_control="max-age=60", access_control_allow_origin="https://evil.test")

    edge.get("/api", headers={"Origin": "https://evil.test"})

    assert edge.get("/api").cache in ("miss", "pass")
    assert origin.saw("/api") == 2


def test_answers_to_requests_with_credentials_are_shared_only_where_that_is_said(edge, origin):
    origin.serves("/mine", "mine", cache_control="max-age=60")
    origin.serves("/ours", "ours", cache_control="public, max-age=60")
    for path in ("/mine", "/ours"):
        edge.get(path, headers={"Authorization": "Basic x"})

    assert edge.get("/mine").cache in ("miss", "pass")
    assert edge.get("/ours").cache == "hit"


@pytest.mark.parametrize("status", [400, 405, 413, 414, 431, 500, 502, 503])
def test_errors_are_not_stored_without_being_told(edge, origin, status):
    origin.serves("/news", "no", status=status)
    edge.get("/news")
    origin.serves("/news", "today", cache_control="max-age=60")

    assert edge.get("/news").text == "today"


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
