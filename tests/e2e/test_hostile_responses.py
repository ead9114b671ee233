"""Raw responses of HTTP/1.1: what an origin can send, and that none of it is stored, shared or believed by mistake.

The rows are in hostile_responses.py; one Breakwater meets them all.
"""
import pytest
from hostile_responses import BROKEN, REFUSED, TAKEN

pytestmark = pytest.mark.seldom("HTTPS")


def names(rows):
    return [row[0].replace(" ", "-") for row in rows]


@pytest.fixture
def front(shared):
    shared.origin.requests_seen.clear()
    return shared


def whole_again(front, path):
    """After the fault the page is fetched anew: nothing of it was kept."""
    front.origin.serves(path, "whole", cache_control="max-age=60")
    return front.edge.get(path).text == "whole"


@pytest.mark.parametrize("number, name, sent", [(i, *row) for i, row in enumerate(REFUSED)], ids=names(REFUSED))
def test_what_is_not_http_is_answered_502(front, number, name, sent):
    path = f"/refused/{number}"
    front.origin.answers_raw(path, sent, close=False)

    page = front.edge.get(path)

    assert page.status == 502
    assert page.why in ("bad-response", "closed")
    front.origin.last(path).was_left()
    assert whole_again(front, path)


@pytest.mark.parametrize("number, name, sent", [(i, *row) for i, row in enumerate(BROKEN)], ids=names(BROKEN))
def test_what_goes_wrong_behind_the_head_is_visibly_not_whole(front, number, name, sent):
    path = f"/broken/{number}"
    front.origin.answers_raw(path, sent, close=False)

    page = front.edge.get(path)

    assert page.broken or page.status == 502
    front.origin.last(path).was_left()
    assert whole_again(front, path)


@pytest.mark.parametrize("number, name, sent, body, kept", [(i, *row) for i, row in enumerate(TAKEN)], ids=names(TAKEN))
def test_what_is_whole_is_taken(front, number, name, sent, body, kept):
    path = f"/taken/{number}"
    front.origin.answers_raw(path, sent, close=False)

    page = front.edge.get(path)

    assert (page.status, page.body) in ((200, body), (204, body))
    if not kept:
        front.origin.last(path).was_left()


def test_a_head_with_a_body_does_not_get_out_of_step(front):
    front.origin.answers_raw("/head", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", close=False)
    front.origin.serves("/news", "today", cache_control="no-store")

    assert front.edge.head("/head").body == b""
    front.origin.last("/head").was_left()
    assert [front.edge.get("/news").text for _ in range(4)] == ["today"] * 4


def test_bytes_behind_one_answer_are_never_the_answer_to_another(front):
    front.origin.answers_raw("/a", b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 1\r\n\r\na"
                             b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", close=False)
    front.origin.serves("/b", "good", cache_control="no-store")

    for _ in range(5):
        assert front.edge.get("/a").text == "a"
        assert front.edge.get("/b").text == "good"


@pytest.mark.parametrize("ask", ["get", "head", "post"])
@pytest.mark.parametrize("fields", [{}, {"content_range": "bytes 0-3/10"}], ids=["bare", "with Content-Range"])
def test_a_part_that_nobody_asked_for_is_not_passed_on_as_the_whole(front, ask, fields):
    path = f"/part/{ask}/{len(fields)}"
    front.origin.serves(path, "0123", status=206, cache_control="max-age=60", **fields)

    page = getattr(front.edge, ask)(path)

    assert (page.status, page.why) == (502, "unasked-part")
    assert b"0123" not in page.body
    front.origin.last(path).was_left()
    assert whole_again(front, path)
