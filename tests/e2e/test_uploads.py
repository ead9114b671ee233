"""Request bodies: streamed, held back by a slow origin, never guessed at."""
import contextlib

import pytest

from vocabulary.origin import Request
from vocabulary.wire import until


def test_the_origin_sees_the_body_while_it_is_being_sent(edge, origin):
    origin.serves("/upload", "thanks")

    with edge.client() as client:
        client.opens("POST", "/upload", length=200_000)
        client.says(b"x" * 100_000)
        origin.has_seen("/upload")
        until(lambda: origin.last("/upload").body_length >= 50_000, "half of the body at the origin")
        client.says(b"x" * 100_000)
        assert client.page("POST").text == "thanks"

    assert origin.last("/upload").body_length == 200_000


def test_a_body_of_no_known_length_arrives_whole(edge, origin):
    origin.serves("/upload", "thanks")

    with edge.client() as client:
        client.opens("POST", "/upload", length="unknown")
        for piece in (b"hello ", b"world", b"!" * 5000):
            client.says(piece)
        client.ends()
        assert client.page("POST").text == "thanks"

    assert origin.last("/upload").body == b"hello world" + b"!" * 5000


def test_a_client_that_waits_for_100_gets_it(edge, origin):
    origin.serves("/upload", "thanks")

    with edge.client() as client:
        client.opens("POST", "/upload", {"Expect": "100-continue"}, length=5)
        assert client.head().status == 100
        client.says(b"hello")
        page = client.page("POST")

    assert page.text == "thanks"
    assert origin.last("/upload").body == b"hello"


def test_any_other_expectation_fails(edge, origin):
    page = edge.post("/upload", b"hello", headers={"Expect": "the-unexpected"})

    assert page.status == 417
    assert origin.saw("/upload") == 0


def test_a_body_above_the_limit_is_refused(edge, origin):
    edge.configure(limits={"body": "1MiB"})

    with edge.client() as client:
        client.opens("POST", "/upload", length=2 << 20)
        page = client.page("POST")

    assert page.status == 413
    assert origin.saw("/upload") == 0


def test_a_body_of_no_known_length_that_grows_above_the_limit_is_cut(edge, origin):
    edge.configure(limits={"body": "64KiB"})
    origin.serves("/upload", "thanks")

    with edge.client() as client:
        client.opens("POST", "/upload", length="unknown")
        with contextlib.suppress(OSError):  # cut before the end
            client.says(b"x" * 65_536)
            client.says(b"x" * 16)
            client.ends()
        page = client.page("POST")

    assert page.status in (413, 502) or page.broken
    assert page.status != 200


def test_an_early_answer_reaches_the_client_and_the_connection_is_not_used_again(edge, origin):
    origin.answers_raw("/upload", b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", close=True)
    early = origin.read

    def answer_before_the_body(stream, number):
        raw = stream.head()
        if raw is None:
            return None
        seen = Request(raw, number, stream.connection)
        with origin.lock:
            origin.requests_seen.append(seen)
        return seen
    origin.read = answer_before_the_body

    with edge.client() as client:
        client.opens("POST", "/upload", length=1_000_000)
        client.says(b"x" * 1000)
        page = client.page("POST")

    assert (page.status, page.text) == (403, "no")
    origin.read = early
    origin.last("/upload").was_left()


def test_a_client_that_leaves_in_mid_body_leaves_no_half_request_behind(edge, origin):
    origin.serves("/upload", "thanks")
    origin.serves("/news", "today")

    client = edge.client()
    client.opens("POST", "/upload", length=1000)
    client.says(b"x" * 100)
    origin.has_seen("/upload")
    client.reset()
    origin.last("/upload").was_left()

    assert edge.get("/news").text == "today"
    assert origin.last("/news").connection != origin.last("/upload").connection


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_body_with_a_get_is_neither_sent_on_nor_cached(edge, origin, method):
    origin.serves("/news", "today", cache_control="max-age=60")

    page = edge.request(method, "/news", body=b"fat")

    assert page.status == 200
    assert page.cache == "pass"
    assert origin.last("/news").body == b""
    assert edge.get("/news").cache == "miss"


def test_an_upload_is_not_sent_twice(edge, origin):
    origin.answers_raw("/upload", b"")

    page = edge.post("/upload", b"once")

    assert page.status == 502
    assert origin.saw("/upload") == 1


def test_trailers_of_a_request_do_not_become_fields(edge, origin):
    origin.serves("/upload", "thanks")

    with edge.client() as client:
        client.opens("POST", "/upload", length="unknown")
        client.says(b"hello")
        client.ends({"Authorization": "let-me-in"})
        assert client.page("POST").text == "thanks"

    assert "authorization" not in origin.last("/upload").headers
