"""What Breakwater says of itself: figures, metrics, health, the access log."""
import re
import shutil
import subprocess

import pytest


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

    total = edge.stats()["since_start"]

    assert total["requests"] == 10
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


@pytest.mark.parametrize("field", ["User-Agent", "Referer"])
def test_a_line_cannot_be_forged(edge, origin, field):
    origin.serves("/news", "monday", cache_control="max-age=60")
    evil = 'x","status":500,"a":"\\" \t\x80\xff'

    edge.get("/news", headers={field: evil})
    edge.get("/news")

    lines = edge.logged(2)
    assert [line["status"] for line in lines] == [200, 200]
    raw = (edge.folder / "access.log").read_bytes()
    assert all(32 <= byte < 127 or byte == 10 for byte in raw)


def test_what_was_refused_is_logged_too(edge):
    edge.raw(b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n")

    line = edge.logged()[0]

    assert line["status"] == 400
    assert line["outcome"] == "refused"


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
