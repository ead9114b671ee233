"""Parts of stored objects (RFC 9110, 14)."""
import re

import pytest

BODY = bytes(i % 251 for i in range(200_000))


@pytest.fixture
def film(edge, origin):
    origin.serves("/film", BODY, cache_control="max-age=60", etag='"f"', content_type="video/mp4")
    edge.get("/film")
    return edge


@pytest.mark.parametrize("wanted, first, last", [
    ("bytes=0-0", 0, 0),
    ("bytes=0-99", 0, 99),
    ("bytes=65519-65521", 65519, 65521),  # over the edge of a chunk
    ("bytes=199999-", 199999, 199999),
    ("bytes=-5", 199995, 199999),
    ("bytes=100-999999", 100, 199999),
    ("bytes=-999999", 0, 199999),
])
def test_a_part_of_a_stored_object(film, wanted, first, last):
    page = film.get("/film", headers={"Range": wanted})

    assert page.status == 206
    assert page.headers["content-range"] == f"bytes {first}-{last}/200000"
    assert page.body == BODY[first: last + 1]
    assert page.headers["content-length"] == str(last - first + 1)
    assert page.cache == "hit"


def test_a_part_beyond_the_end_is_refused(film):
    page = film.get("/film", headers={"Range": "bytes=200000-"})

    assert page.status == 416
    assert page.headers["content-range"] == "bytes */200000"


@pytest.mark.parametrize("wanted", ["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=", "bytes=--5"])
def test_what_is_no_range_is_ignored(film, wanted):
    page = film.get("/film", headers={"Range": wanted})

    assert page.status == 200
    assert page.body == BODY


def test_several_parts_come_as_a_multipart(film):
    page = film.get("/film", headers={"Range": "bytes=0-9,100-109"})

    assert page.status == 206
    kind = re.fullmatch(r'multipart/byteranges; ?boundary="?([^"]+)"?', page.headers["content-type"])
    parts = page.body.split(b"--" + kind[1].encode())
    assert parts[0].strip() == b"" and parts[-1].strip() == b"--"
    for part, (first, last) in zip(parts[1:-1], [(0, 9), (100, 109)], strict=True):
        head, body = part[2:].split(b"\r\n\r\n", 1)
        assert f"content-range: bytes {first}-{last}/200000" in head.decode().lower()
        assert b"video/mp4" in head
        assert body[:-2] == BODY[first: last + 1]


def test_a_greedy_list_of_parts_gets_the_whole(film):
    wanted = "bytes=" + ",".join(f"{i * 10}-{i * 10 + 5}" for i in range(9))

    assert film.get("/film", headers={"Range": wanted}).status == 200


def test_if_range_wants_the_same_object(film):
    same = film.get("/film", headers={"Range": "bytes=0-9", "If-Range": '"f"'})
    other = film.get("/film", headers={"Range": "bytes=0-9", "If-Range": '"g"'})
    weak = film.get("/film", headers={"Range": "bytes=0-9", "If-Range": 'W/"f"'})

    assert (same.status, other.status, weak.status) == (206, 200, 200)


def test_a_range_of_a_cold_object_fetches_the_whole(edge, origin):
    origin.serves("/film", BODY, cache_control="max-age=60")

    page = edge.get("/film", headers={"Range": "bytes=1000-1999"})

    assert page.status == 206
    assert page.body == BODY[1000:2000]
    assert "range" not in origin.last("/film").headers
    edge.is_idle()
    assert edge.get("/film").cache == "hit"
    assert origin.saw("/film") == 1


def test_head_with_a_range_says_what_get_would_say_of_the_whole(film):
    page = film.head("/film", headers={"Range": "bytes=0-9"})

    assert page.status in (200, 206)
    assert page.body == b""


def test_a_range_of_what_is_not_stored_is_passed_on(edge, origin):
    edge.configure(rules=[{"name": "live", "match": {"path": "/live"}, "cache": "bypass"}])
    origin.serves("/live", "part", status=206, content_range="bytes 0-3/10")

    page = edge.get("/live", headers={"Range": "bytes=0-3"})

    assert (page.status, page.text) == (206, "part")
    assert origin.last("/live").headers["range"] == "bytes=0-3"


def test_a_part_in_answer_to_the_question_for_the_whole_is_no_answer(edge, origin, clock):
    origin.serves("/film", "0123456789", cache_control="max-age=60")
    edge.get("/film")
    origin.serves("/film", "0123", status=206, cache_control="max-age=60", content_range="bytes 0-3/10")
    clock.advance(75)

    page = edge.get("/film", headers={"Range": "bytes=0-3"})

    assert "range" not in origin.last("/film").headers
    assert (page.status, page.cache, page.text) == (206, "stale", "0123")
    assert edge.get("/film") == ("stale", "0123456789")
