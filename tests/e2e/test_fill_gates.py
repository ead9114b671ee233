"""The fill's protocol at the points where it could go wrong: each held by a gate of the test build (fill.md 8)."""
import pytest

from vocabulary.edge import SLOW
from vocabulary.origin import Answer
from vocabulary.wire import until

pytestmark = pytest.mark.seldom("HTTPS")


def test_a_request_between_index_and_table_finds_the_record_that_has_landed(edge, origin):
    origin.serves("/news", "today", cache_control="max-age=60")

    with origin.holding("/news"):
        leader = edge.together(1, "/news")
        origin.has_seen("/news")
        with edge.gate("reader.lookup") as gate:
            late = edge.together(1, "/news")
            gate.has_waiting()
            origin.gates["/news"].open.set()
            leader.all()
            edge.is_idle()

    assert late.all()[0] == ("hit", "today")
    assert origin.saw("/news") == 1


@pytest.mark.parametrize("name", ["owner.note", "owner.publish"])
def test_a_crowd_gets_through_whatever_the_owner_is_held_at(edge, origin, name):
    origin.serves("/news", "today" * 30000, cache_control="max-age=60")

    with edge.gate(name) as gate:
        crowd = edge.together(10, "/news")
        gate.has_waiting()

    assert {page.text for page in crowd} == {"today" * 30000}
    assert origin.saw("/news") == 1


def test_two_variants_held_before_the_note_cost_two_fetches(edge, origin):
    origin.decides("/news", lambda r: Answer(r.headers.get("x-lang"), cache_control="max-age=60", vary="X-Lang"))

    with edge.gate("owner.note") as gate, origin.holding("/news"):
        crowds = [edge.together(10, "/news", headers={"X-Lang": lang}) for lang in ("de", "en")]
        edge.has_waiting(20)
        origin.gates["/news"].open.set()
        gate.has_waiting()

    assert [{page.text for page in crowd} for crowd in crowds] == [{"de"}, {"en"}]
    assert origin.saw("/news") == 2


def test_who_wants_another_variant_does_not_wait_for_the_record_of_this_one(edge, origin, clock):
    edge.configure(workers=1, cache={"collapse": {"wait": "60s"}})
    origin.serves("/news", "de", cache_control="max-age=60", etag='"1"')
    edge.get("/news")
    clock.advance(61)

    def choose(request_):  # of what did not vary: the variant it was is confirmed, and there is another one now
        if request_.headers["x-lang"] == "de":
            return Answer(status=304, cache_control="max-age=60", vary="X-Lang", etag='"1"')
        return Answer("en", cache_control="max-age=60", vary="X-Lang", etag='"2"')
    origin.decides("/news", choose)
    with edge.gate("writer.commit"), origin.holding("/news"):
        confirmed = edge.together(1, "/news", headers={"X-Lang": "de"})
        origin.has_seen("/news", times=2)
        other = edge.together(1, "/news", headers={"X-Lang": "en"})
        edge.has_waiting(2)
        origin.gates["/news"].open.set()
        origin.has_answered("/news", times=3)

    assert confirmed.all()[0] == ("revalidated", "de")
    assert other.all()[0].text == "en"


def test_one_who_joins_while_the_last_reader_leaves_keeps_the_fill_alive(edge, origin):
    body = b"x" * 2_000_000
    origin.serves("/film", body, cache_control="max-age=60", rate=2_000_000)

    first = edge.client()
    first.opens("GET", "/film")
    first.head()
    with edge.gate("owner.poke") as gate:
        first.reset()
        gate.has_waiting()
        second = edge.together(1, "/film")
        until(lambda: edge.stats()["now"]["requests_waiting"] >= 1, "the second one is inside")

    assert second.all()[0].body == body
    assert origin.saw("/film") == 1


def test_all_leave_near_the_end_and_the_page_is_stored_all_the_same(edge, origin):
    body = b"x" * 1_000_000
    origin.serves("/film", body, cache_control="max-age=60", rate=2_000_000)

    with edge.client() as client:
        client.opens("GET", "/film")
        client.head()
        client.exactly(930_000)
        client.reset()
    origin.has_answered("/film")
    edge.is_idle()

    assert edge.get("/film").cache == "hit"
    assert origin.saw("/film") == 1


def test_the_answer_to_a_leader_who_left_is_nobody_elses_when_it_is_private(edge, origin):
    numbers = iter(range(100))
    origin.decides("/basket", lambda _: Answer(f"for {next(numbers)}", cache_control="private"))

    with origin.holding("/basket"):
        leader = edge.client()
        leader.opens("GET", "/basket")
        origin.has_seen("/basket")
        crowd = edge.together(3, "/basket")
        edge.has_waiting(4)
        leader.reset()

    texts = [page.text for page in crowd]
    assert "for 0" not in texts
    assert len(set(texts)) == 3


def test_two_films_in_a_small_memory_both_get_through(edge, origin):
    edge.configure(cache={"memory": "32MiB"}, workers=1)
    body = b"x" * (12 << 20)
    for path in ("/a", "/b"):
        origin.serves(path, body, cache_control="max-age=60")

    with edge.client() as reads_a, edge.client() as reads_b:
        reads_a.opens("GET", "/a")
        reads_a.head()  # and does not read on before it has b
        reads_b.opens("GET", "/b")
        page_b = reads_b.page()
        rest = reads_a.exactly(len(body))

    assert page_b.body == rest == body


def test_what_was_fetched_before_a_change_is_not_stored_as_fresh(edge, origin):
    origin.serves("/news", "old", cache_control="max-age=60")

    with origin.holding("/news"):
        early = edge.together(1, "/news")
        origin.has_seen("/news")
        held = origin.gates.pop("/news")  # whoever comes from now on is not held
        edge.post("/news", b"change")
        origin.serves("/news", "new", cache_control="max-age=60")
        late = edge.get("/news")
        held.open.set()
    early.all()
    edge.is_idle()

    assert late.text == "new"
    assert edge.get("/news").text == "new"


def test_an_origin_that_is_down_for_ever_is_asked_seldom(edge, origin):
    origin.serves("/news", "sorry", status=503)

    with origin.holding("/news"):
        crowd = edge.together(100, "/news")
        edge.has_waiting(100)

    assert {page.status for page in crowd} == {503}
    assert origin.saw("/news") <= 2 * SLOW
