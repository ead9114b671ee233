"""SIGHUP: the new file as a whole, or the old one; no request is lost."""
import re
import threading

import pytest

from vocabulary.wire import until


def test_a_new_rule_holds_from_the_reload_on(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")
    assert edge.get("/news").cache == "miss"

    edge.configure(rules=[{"name": "live", "match": {"path": "/*"}, "cache": "bypass"}])
    taken, _ = edge.reload()

    assert taken
    assert edge.get("/news").cache == "bypass"


def test_a_bad_file_is_refused_and_the_old_one_stays(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")

    edge.configure(rulez=[])
    taken, message = edge.reload()

    assert not taken
    assert "rulez" in message
    assert edge.get("/news") == ("hit", "monday")


def test_a_new_origin_is_asked_from_the_reload_on(edge, origin, origins):
    other = origins()
    origin.serves("/news", "old", cache_control="no-store")
    other.serves("/news", "new", cache_control="no-store")
    assert edge.get("/news").text == "old"

    edge.configure(origin=other.url)
    assert edge.reload()[0]

    assert edge.get("/news").text == "new"


def test_a_new_certificate_is_shown_from_the_reload_on(edge, origin, certs):
    old, new = certs.server("edge.test"), certs.server("edge.test")
    listen = {"address": f"127.0.0.1:{edge.port}", "tls": {"certificates": [old.files]}}
    edge.configure(listen=[listen])
    edge.tls = certs.client_context()
    origin.serves("/news", "monday")

    def serial():
        with edge.connect() as client:
            return client.socket.getpeercert()["serialNumber"]
    before = serial()
    edge.configure(listen=[listen | {"tls": {"certificates": [new.files]}}])
    assert edge.reload()[0]

    until(lambda: serial() != before, "the new certificate")


def test_a_request_under_way_keeps_the_settings_that_it_began_with(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")
    with origin.holding("/news"):
        crowd = edge.together(3, "/news")
        edge.has_waiting(3)
        edge.configure(rules=[{"name": "live", "match": {"path": "/*"}, "cache": "bypass"}])
        assert edge.reload()[0]

    assert {page.text for page in crowd} == {"monday"}
    assert origin.saw("/news") == 1


@pytest.mark.ways("HTTP/1.1", "HTTPS", "HTTP/2", "HTTP/2 over TLS")
def test_twenty_reloads_under_load_lose_no_request(edge, origin):
    origin.serves("/hit", "hit", cache_control="max-age=3600")
    origin.serves("/pass", "pass", cache_control="no-store")
    edge.get("/hit")
    over, faults, asked = threading.Event(), [], [0] * 4

    def ask(number):
        while not over.is_set():
            try:
                with edge.client() as client:
                    for _ in range(10):
                        path = ("/hit", "/pass")[asked[number] % 2]
                        page = client.ask("GET", path)
                        asked[number] += 1
                        if (page.status, page.text) != (200, path[1:]):
                            faults.append(page)
                        if page.last:
                            break
            except Exception as fault:  # noqa: any fault at all is what this looks for
                faults.append(fault)
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(20):
            edge.configure(rules=[{"name": f"rule {number}", "match": {"path": "/none"}, "ttl": "1m"}])
            assert edge.reload()[0]
    finally:
        over.set()
        for thread in threads:
            thread.join()

    assert faults == []
    assert min(asked) > 0


@pytest.mark.parametrize("key, value", [
    ("workers", 3), ("cache.directory", "elsewhere"), ("cache.size", "300MiB"), ("cache.memory", "64MiB"),
    ("cache.protect", "bytes"), ("cache.durability", "relaxed"), ("admin.listen", "127.0.0.1:1"),
])
def test_what_cannot_change_while_running_is_refused_by_name(edge, origin, key, value):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")
    group, _, name = key.partition(".")
    edge.configure(**{group: {name: value} if name else value}, rules=[{"name": "live", "cache": "bypass"}])

    taken, message = edge.reload()

    assert not taken
    assert re.fullmatch(rf"\S+:\d+:\d+: error: {key}: cannot change while running; restart .*\n", message), message
    assert edge.get("/news") == ("hit", "monday")
    assert not (edge.folder / "elsewhere").exists()


def test_the_same_said_in_other_words_is_no_change(edge):
    edge.configure(cache={"size": "1GiB"}).running()
    edge.configure(cache={"size": "1024MiB", "memory": "auto", "protect": "requests"})

    assert edge.reload() == (True, "")


def test_a_log_without_a_folder_is_refused_and_the_old_one_goes_on(edge, origin, tmp_path):
    origin.serves("/news", "monday")
    edge.get("/news")
    edge.configure(limits={"headers": 7}, log={"access": {"to": str(tmp_path / "none" / "access.log")}})

    taken, error = edge.reload()

    assert not taken and "log.access.to" in error and "does not exist" in error
    edge.get("/news")
    edge.logged(2)
