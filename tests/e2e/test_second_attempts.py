"""A request that has to try again: what it learnt the first time counts no more, what it began with stays."""
import itertools

import pytest

from vocabulary.origin import Answer
from vocabulary.wire import until

pytestmark = pytest.mark.seldom("HTTPS")


def test_after_a_reload_it_asks_the_origin_that_it_began_with(edges, origins):
    other, old, new = origins(), origins(), origins()
    numbers = itertools.count()
    old.decides("/basket", lambda _: Answer(f"old {next(numbers)}", cache_control="private"))
    new.serves("/basket", "new", cache_control="private")
    other.serves("/basket", "other", cache_control="private")
    edge = edges(pools={"other": {"servers": [other.url]}, "app": {"servers": [old.url]}},
                 rules=[{"name": "all", "pool": "app"}])

    with old.holding("/basket"):
        crowd = edge.together(3, "/basket")
        edge.has_waiting(3)
        edge.configure(pools={"other": None, "app": {"servers": [new.url]}})
        assert edge.reload()[0]

    assert {page.text for page in crowd} == {"old 0", "old 1", "old 2"}
    assert edge.get("/basket").text == "new"


def test_a_stale_page_is_as_old_as_it_is_when_it_is_sent(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")
    clock.advance(75)

    with origin.holding("/news"):
        crowd = edge.together(1, "/news")
        origin.has_seen("/news", times=2)
        clock.advance(100)
        origin.stops()
    page = crowd.all()[0]

    assert page == ("stale", "monday")
    assert int(page.headers["age"]) >= 175
    assert int(page.cache_status["ttl"]) <= -115


def test_what_has_become_too_old_while_it_waited_is_not_sent(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60, stale-if-error=60")
    edge.get("/news")
    clock.advance(75)

    with origin.holding("/news"):
        crowd = edge.together(1, "/news")
        origin.has_seen("/news", times=2)
        clock.advance(100)
        origin.stops()

    assert crowd.all()[0].status == 502


def test_a_stale_page_in_place_of_a_broken_one_tells_of_itself(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.get("/news")
    origin.answers_raw("/news", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n"
                                b"Transfer-Encoding: chunked\r\n\r\nno size\r\n")
    clock.advance(75)

    page = edge.get("/news")

    assert page == ("stale", "monday")
    assert "stored" not in page.cache_status
    assert int(page.cache_status["ttl"]) < 0


def test_who_has_waited_in_vain_and_leads_then_is_not_collapsed(edge, origin):
    edge.configure(cache={"collapse": {"wait": "200ms"}})
    origin.serves("/news", "monday", cache_control="max-age=60")

    with origin.holding("/news") as gate:
        first = edge.together(1, "/news")
        edge.has_waiting(1)
        second = edge.together(1, "/news")
        origin.has_seen("/news", times=2)
        gate.open.set()

    assert first.all()[0].text == "monday"
    assert second.all()[0] == ("miss", "monday")
    assert "collapsed" not in second.all()[0].cache_status


def test_nobody_waits_for_ever_for_a_commit(edge, origin):
    edge.configure(cache={"collapse": {"wait": "200ms"}})
    origin.serves("/news", "monday", cache_control="no-cache", etag='"m"')

    with edge.gate("writer.commit"):
        first = edge.get("/news", settle=False)
        second = edge.get("/news", settle=False)

    assert (first.text, second.text) == ("monday", "monday")


def test_a_part_far_ahead_of_the_fill_says_nothing_of_the_fill(edge, origin):
    size = 40 << 20
    part = Answer(b"part", status=206, reason="Partial Content", content_range=f"bytes 30000000-30000003/{size}")
    whole = Answer(b"x" * 1_000_000, length=size, cache_control="max-age=60", then=lambda *_: until(
        lambda: origin.saw("/film") == 2, "the part is asked for"))
    origin.decides("/film", lambda request: part if "range" in request.headers else whole)

    page = edge.get("/film", headers={"Range": "bytes=30000000-30000003"}, settle=False)

    assert (page.status, page.text) == (206, "part")
    assert "stored" not in page.cache_status
    assert "ttl" not in page.cache_status


@pytest.mark.parametrize("size", [1500, 5000, 200_000])
def test_what_lies_damaged_in_the_store_is_fetched_anew(edge, origin, size):
    body = b"Quetzalcoatl" * (size // 12)
    origin.serves("/news", body, cache_control="max-age=600")
    edge.get("/news")
    edge.stop()
    for file in (edge.folder / "cache").rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            file.write_bytes(data.replace(b"Quetzalcoatl" * 9, b"Quetzalcoatl" * 8 + b"Huitzilopoch"))
    edge.start()

    page = edge.get("/news")

    assert page.body == body
    assert page.cache == "miss"
    assert edge.get("/news") == ("hit", body.decode())


def test_who_was_sent_back_by_a_sick_answer_gets_it_when_nobody_is_to_ask_again(edge, origin, clock):
    origin.serves("/news", "monday", cache_control="max-age=60, stale-while-revalidate=20")
    edge.get("/news")
    origin.serves("/news", "sorry", status=503)
    clock.advance(78)
    assert edge.get("/news").cache == "updating"  # and the refresh behind it fails
    origin.has_answered("/news", times=2)
    edge.is_idle()
    clock.advance(3)

    with origin.holding("/news"):
        crowd = edge.together(2, "/news")
        edge.has_waiting(2)

    assert [page.status for page in crowd] == [503, 503]
    assert origin.saw("/news") == 3
