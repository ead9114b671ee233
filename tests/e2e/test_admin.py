"""What Breakwater says of itself: figures, metrics, health, the access log."""
import json
import re
import shutil
import subprocess

import pytest

from vocabulary.wire import Client, request, until

pytestmark = pytest.mark.seldom("HTTPS")


def test_healthz_and_readyz_say_yes(edge):
    edge.running()

    assert edge.admin("GET", "/healthz").status == 200
    assert edge.admin("GET", "/readyz").status == 200


def test_the_admin_address_serves_nothing_else(edge, origin):
    edge.running()

    assert edge.admin("GET", "/news").status == 404
    assert edge.admin("POST", "/v1/stats", b"").status == 405
    assert origin.requests_seen == []


def test_the_public_address_serves_no_figures(edge, origin):
    origin.serves("/v1/stats", "the origin's", cache_control="no-store")

    assert edge.get("/v1/stats").text == "the origin's"


def test_the_offload_is_counted(edge, origin):
    origin.serves("/news", b"x" * 1000, cache_control="max-age=60")
    for _ in range(10):
        edge.get("/news")

    until(lambda: edge.stats()["since_start"]["requests"] == 10, "ten requests in the figures")
    total = edge.stats()["since_start"]

    assert total["origin_fetches"] == 1
    assert total["request_offload"] == pytest.approx(0.9)
    assert total["byte_offload"] > 0.8


def test_a_revalidation_is_a_fetch(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60", etag='"1"')
    edge.get("/news")
    clock.advance(61)
    edge.get("/news")

    assert edge.stats()["since_start"]["origin_fetches"] == 2


def test_figures_are_kept_by_rule_and_host(edge, origin):
    edge.configure(rules=[{"name": "pages", "match": {"path": "/pages/*"}, "ttl": "1m"}])
    origin.serves("/pages/1", "one")
    edge.get("/pages/1", host="a.test")
    edge.get("/pages/1", host="b.test")

    stats = edge.stats()

    assert stats["rules"]["pages"]["requests"] == 2
    assert stats["hosts"]["a.test"]["requests"] == 1


def test_metrics_are_good_prometheus(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")
    for _ in range(3):
        edge.get("/news")
    origin.stops()
    edge.get("/other")

    text = edge.metrics()

    assert re.search(r"^breakwater_\w*requests\w*\{[^}]*\} \d", text, re.M)
    if shutil.which("promtool"):
        judged = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True,
                                check=False)
        assert (judged.returncode, judged.stderr) == (0, ""), judged


def test_metric_labels_cannot_be_forged_or_grown_by_clients(edge, origin):
    for number in range(300):
        edge.get("/", host=f"h{number}.test")

    assert len(edge.metrics().splitlines()) < 3000


# --- the access log

def test_a_line_tells_the_request_and_its_outcome(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news?a=1")

    line = edge.logged()[0]

    assert (line["method"], line["status"], line["outcome"]) == ("GET", 200, "miss")
    assert line["host"] == "edge.test"
    assert "/news?a=1" in (line.get("target"), line.get("path", "") + "?" + (line.get("query") or ""))
    assert line["client"].startswith("127.0.0.1")
    assert line["bytes"] >= 6


@pytest.mark.ways("HTTP/1.1", "HTTPS")
@pytest.mark.parametrize("form", ["json", "combined"])
@pytest.mark.parametrize("field", ["User-Agent", "Referer", "X-Forwarded-For", "Cookie", "X-Request-Id"])
def test_a_line_cannot_be_forged(edge, origin, field, form):
    edge.configure(log={"access": {"format": form}})
    origin.serves("/news", "monday", cache_control="max-age=60")
    evil = 'x","status":500,"a":"\\" 500 \t\x80\xff'

    edge.get("/news", headers={field: evil})
    edge.get("/news")
    edge.stop()

    raw = (edge.folder / "access.log").read_bytes()
    assert all(32 <= byte < 127 or byte == 10 for byte in raw)
    lines = raw.decode().splitlines()
    if form == "json":
        assert [json.loads(line)["status"] for line in lines] == [200, 200]
    else:
        assert [re.match(r'127\.0\.0\.1 - - \[[^]]+\] "GET /news HTTP/1\.1" 200 6 ', line) is not None
                for line in lines] == [True, True]


@pytest.mark.ways("HTTP/1.1")
@pytest.mark.parametrize("form", ["json", "combined"])
@pytest.mark.parametrize("sent", [
    b'GET /"a\\b HTTP/1.1\r\nHost: a\r\n\r\n',
    b"GET /a\nforged HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /\x1b[31m HTTP/1.1\r\nHost: a\r\n\r\n",
    b'G"ET / HTTP/1.1\r\nHost: a\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: a"b\r\n\r\n',
    b"GET / HTTP/1.1\r\nHost: a\xe2\x80\xaeb\r\n\r\n",
    b"\0\x01\x02\n\r\x85\r\n\r\n",
    b"GET /%0a%0dforged HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
], ids=range(8))
def test_no_request_is_more_than_one_line(edge, origin, sent, form):
    edge.configure(log={"access": {"format": form}})

    edge.raw(sent)
    edge.stop()

    raw = (edge.folder / "access.log").read_bytes()
    assert raw.count(b"\n") == 1 and raw.endswith(b"\n")
    assert all(32 <= byte < 127 for byte in raw[:-1])
    if form == "json":
        assert json.loads(raw)["status"] in (400, 404)


@pytest.mark.ways("HTTP/1.1")
def test_the_error_log_has_lines_of_ours_alone(edges, origin, certs):
    """What a peer chose is in it escaped, or not at all: here the name in a certificate."""
    evil = certs.another().server("evil.test")
    tls = origin.__class__(tls=evil.server_context())
    edge = edges(tls, log={"level": "debug"})

    assert edge.get("/news").status == 502
    edge.raw(b"GET /\x1b[31m HTTP/1.1\r\n\x0b\r\n\r\n")
    edge.stop()
    tls.stops()

    raw = (edge.folder / "stderr.log").read_bytes()
    assert all(32 <= byte < 127 or byte == 10 for byte in raw)
    for line in raw.decode().splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warn|error) ", line), line


def test_the_id_of_a_request_is_ours(edge, origin):
    origin.stops()

    page = edge.get("/news", headers={"X-Request-Id": "forged"})

    assert page.status == 502
    assert page.headers["x-request-id"] != "forged"
    assert edge.logged()[0]["id"] == page.headers["x-request-id"]


@pytest.mark.ways("HTTP/1.1")
def test_what_was_refused_is_logged_too(edge):
    edge.raw(b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n")

    line = edge.logged()[0]

    assert line["status"] == 400
    assert line["outcome"] == "refused"


@pytest.mark.ways("HTTP/1.1", "HTTPS")
def test_the_combined_format(edge, origin):
    edge.configure(log={"access": {"format": "combined"}})
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news", headers={"User-Agent": 'a"b', "Referer": "http://x/"})
    edge.stop()

    text = (edge.folder / "access.log").read_text()

    assert re.fullmatch(r'127\.0\.0\.1 - - \[[^]]+\] "GET /news HTTP/1\.1" 200 6 "http://x/" "a\\(x22|")b".*\n', text)


def test_a_long_line_is_cut(edge, origin):
    edge.get("/" + "a" * 8000, headers={"User-Agent": "b" * 20000})

    edge.logged()
    assert max(len(line) for line in (edge.folder / "access.log").read_bytes().splitlines()) <= 4096


def asked_as(edge, host, path="/v1/stats", version="HTTP/1.1"):
    with Client(("127.0.0.1", edge.running().admin_port)) as client:
        client.send(request("GET", path, {"Connection": "close"}, host=host, version=version))
        return client.page()


def test_the_admin_address_is_not_asked_by_a_strangers_name(edge):
    """DNS rebinding: a page of evil.test whose name leads to us would be read by its scripts."""
    for path in ("/v1/stats", "/metrics", "/healthz", "/news"):
        for host in ("evil.test", f"evil.test:{edge.admin_port}", "127.0.0.1.evil.test", "localhost.evil.test"):
            page = asked_as(edge, host, path)
            assert (path, host, page.status) == (path, host, 421)
            assert "admin.hosts" in page.json["error"]


def test_the_admin_address_is_asked_by_address_or_as_localhost(edge):
    for host in ("127.0.0.1", f"127.0.0.1:{edge.admin_port}", "[::1]", "10.0.0.1", "localhost", "LOCALHOST:9180"):
        assert (host, asked_as(edge, host).status) == (host, 200)


def test_the_admin_address_has_the_names_that_it_is_given(edge):
    edge.configure(admin={"hosts": ["edge.internal", "*.cluster.local"]})
    for host in ("edge.internal", "Edge.Internal.", "a.cluster.local"):
        assert (host, asked_as(edge, host).status) == (host, 200)
    assert asked_as(edge, "cluster.local").status == 421

    edge.configure(admin={"hosts": "other.internal"})
    assert edge.reload()[0]

    assert asked_as(edge, "other.internal").status == 200
    assert asked_as(edge, "edge.internal").status == 421
