"""A crowd at a cold address (fill.md): one fetch, whoever comes, whoever leaves, whatever the origin does."""
import threading

import pytest

from vocabulary.edge import SLOW
from vocabulary.origin import Answer
from vocabulary.wire import until

pytestmark = pytest.mark.seldom("HTTPS")


def test_a_crowd_at_a_cold_url_costs_one_fetch(edge, origin):
    origin.serves("/news", "today", cache_control="max-age=60")

    with origin.holding("/news"):
        crowd = edge.together(20, "/news")
        edge.has_waiting(20)  # all are inside before the door opens

    assert {page.text for page in crowd} == {"today"}
    assert origin.saw("/news") == 1


def test_those_who_shared_a_fetch_are_told_so(edge, origin):
    origin.serves("/news", "today", cache_control="max-age=60")

    with origin.holding("/news"):
        crowd = edge.together(5, "/news")
        edge.has_waiting(5)

    collapsed = [page for page in crowd if page.cache_status.get("collapsed")]
    assert len(collapsed) == 4


def test_every_one_of_a_crowd_gets_what_is_private_from_the_origin_itself(edge, origin):
    everybody = threading.Barrier(19)
    numbers = iter(range(1000))

    def choose(_):
        number = next(numbers)
        if number > 0:
            everybody.wait(10)  # the others have to be at the origin at once
        return Answer(f"for {number}", cache_control="private")
    origin.decides("/basket", choose)

    with origin.holding("/basket"):
        crowd = edge.together(20, "/basket")
        edge.has_waiting(20)

    assert len({page.text for page in crowd}) == 20
    assert origin.saw("/basket") == 20


def test_what_was_private_once_is_not_collapsed_the_next_time(edge, origin):
    origin.serves("/basket", "yours", cache_control="private")
    edge.get("/basket")

    with origin.holding("/basket"):
        crowd = edge.together(5, "/basket")
        origin.has_seen("/basket", times=6)

    assert {page.cache for page in crowd} == {"pass"}


def test_the_first_client_leaves_and_the_others_are_served(edge, origin):
    origin.serves("/news", "today" * 1000, cache_control="max-age=60")

    with origin.holding("/news"):
        leader = edge.client()
        leader.opens("GET", "/news")
        origin.has_seen("/news")
        crowd = edge.together(5, "/news")
        edge.has_waiting(6)
        leader.reset()

    assert {page.text for page in crowd} == {"today" * 1000}
    assert origin.saw("/news") == 1


def test_when_all_clients_leave_at_once_the_fetch_is_given_up(edge, origin):
    origin.serves("/film", b"x" * (8 << 20), cache_control="max-age=60", rate=1 << 20)

    client = edge.client()
    client.opens("GET", "/film")
    client.head()
    client.reset()

    origin.last("/film").was_left()
    edge.is_idle()


def test_an_origin_that_dies_in_mid_body_breaks_every_response_visibly(edge, origin):
    origin.dies("/film", after=50000, length=200000, cache_control="max-age=60")

    with origin.holding("/film"):
        crowd = edge.together(5, "/film")
        edge.has_waiting(5)
    pages = list(crowd)

    # who had nothing of it yet is told so instead
    assert all(page.broken or (page.status, page.why) == (502, "truncated") for page in pages)
    origin.serves("/film", "whole", cache_control="max-age=60")
    assert edge.get("/film").text == "whole"


def test_a_chunked_body_that_breaks_off_is_never_given_out_as_whole(edge, origin):
    origin.answers_raw("/film", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n"
                                b"5\r\nhello\r\n")

    assert edge.get("/film").broken
    origin.serves("/film", "whole", cache_control="max-age=60")
    assert edge.get("/film").text == "whole"


def test_waiters_see_the_first_bytes_before_the_last_were_sent(edge, origin):
    origin.serves("/film", b"x" * 500000, cache_control="max-age=60", rate=500000)

    with origin.holding("/film"):
        crowd = edge.together(10, "/film")
        edge.has_waiting(10)

    assert all(page.last_byte_at - page.first_byte_at > 0.5 for page in crowd)
    assert origin.saw("/film") == 1


def test_one_who_comes_in_mid_body_gets_it_all(edge, origin):
    body = bytes(i % 251 for i in range(600000))
    origin.serves("/film", body, cache_control="max-age=60", rate=600000)

    with edge.client() as first:
        first.opens("GET", "/film")
        page = first.head()
        late = edge.get("/film")
        first.body_into(page, "GET")

    assert late.body == page.body == body
    assert origin.saw("/film") == 1


def test_a_slow_reader_does_not_hold_up_a_fast_one(edge, origin):
    body = b"x" * (20 << 20)
    origin.serves("/film", body, cache_control="max-age=60")

    with edge.client() as slow:
        slow.opens("GET", "/film")
        slow.head()  # and does not read on
        fast = edge.get("/film")
        assert len(fast.body) == len(body)
        page_rest = slow.exactly(len(body))

    assert page_rest == body
    assert origin.saw("/film") == 1


def test_variants_of_a_crowd_cost_one_fetch_each(edge, origin):
    origin.decides("/news", lambda r: Answer(r.headers.get("x-lang"), cache_control="max-age=60", vary="X-Lang"))

    with origin.holding("/news"):
        crowds = [edge.together(10, "/news", headers={"X-Lang": lang}) for lang in ("de", "en")]
        edge.has_waiting(20)

    assert [{page.text for page in crowd} for crowd in crowds] == [{"de"}, {"en"}]
    assert origin.saw("/news") == 2


def test_a_failing_origin_is_not_asked_by_everyone_in_turn(edge, origin):
    origin.serves("/news", "sorry", status=503)

    with origin.holding("/news"):
        crowd = edge.together(50, "/news")
        edge.has_waiting(50)

    assert {page.status for page in crowd} == {503}
    assert origin.saw("/news") <= 2 * SLOW  # who wakes up after the second one was over begins another


def test_collapsing_can_be_switched_off(edge, origin):
    edge.configure(cache={"collapse": "off"})
    origin.serves("/news", "today", cache_control="max-age=60")

    with origin.holding("/news"):
        crowd = edge.together(5, "/news")
        origin.has_seen("/news", times=5)

    assert {page.text for page in crowd} == {"today"}


@pytest.mark.parametrize("gate", ["writer.commit", "writer.publish"])
def test_one_who_comes_between_the_last_byte_and_the_commit_costs_no_second_fetch(edge, origin, gate):
    origin.serves("/news", "today" * 5000, cache_control="max-age=60")

    with edge.gate(gate) as held:
        first = edge.get("/news")
        held.has_waiting()
        crowd = list(edge.together(10, "/news"))

    assert {page.text for page in crowd} == {first.text}
    assert origin.saw("/news") == 1


def test_waiters_give_up_after_the_time_that_was_set(edge, origin):
    edge.configure(cache={"collapse": {"wait": "200ms"}})
    origin.serves("/news", "today", cache_control="max-age=60")

    with origin.holding("/news"):
        leader = edge.together(1, "/news")
        origin.has_seen("/news")
        waiter = edge.together(1, "/news")
        until(lambda: origin.saw("/news") == 2 or not waiter.threads[0].is_alive(), "the waiter gave up")

    assert leader.all()[0].text == "today"
    assert waiter.all()[0].status in (200, 503, 504)
