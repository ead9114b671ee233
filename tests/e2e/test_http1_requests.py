"""Raw requests of HTTP/1.1: nothing ambiguous gets past the door, and what gets past is written anew.

The rows are in http1_requests.py.  One Breakwater serves them all, which is part of the test: a hostile row must cost
the next one nothing.
"""
import re

import pytest
from http1_requests import PIPELINES, REFUSED, REFUSED_IN_BODY, TAKEN

from vocabulary.wire import DEADLINE

pytestmark = pytest.mark.ways("HTTP/1.1")


def names(rows):
    return [row[0] for row in rows]


@pytest.fixture
def front(shared):
    shared.origin.requests_seen.clear()
    shared.origin.nonsense.clear()
    shared.origin.routes.update({path: shared.anything for path in ("/", "/a", "/b", "*")})
    return shared


def answers(data):
    """The status lines in what came back."""
    return re.findall(rb"HTTP/1\.1 \d{3} [^\r]*", data)


def refused(front, sent, status):
    """One answer with such a status, and the end of the connection."""
    got = front.edge.raw(sent)

    allowed = status if isinstance(status, tuple) else (status,)
    assert len(answers(got)) == 1, got[:300]
    assert int(answers(got)[0].split(b" ")[1]) in allowed
    assert b"connection: close" in got.lower()


@pytest.mark.parametrize("name, sent, status", REFUSED, ids=names(REFUSED))
def test_what_is_ambiguous_is_refused(front, name, sent, status):
    refused(front, sent, status)

    assert [request for request in front.origin.requests_seen if request.path != "/body"] == []


@pytest.mark.parametrize("name, sent, status", REFUSED_IN_BODY, ids=names(REFUSED_IN_BODY))
def test_a_body_that_goes_wrong_is_refused(front, name, sent, status):
    answered = dict(front.origin.answered)

    refused(front, sent, status)

    assert front.origin.answered == answered, "the origin took it for a whole request"
    assert front.origin.nonsense == []


@pytest.mark.parametrize("name, sent, target, absent", TAKEN, ids=names(TAKEN))
def test_what_is_plain_is_taken_and_written_anew(front, name, sent, target, absent):
    with front.edge.connect() as client:
        client.send(sent)
        page = client.page()

    assert page.status in (200, 404)
    seen = [request for request in front.origin.requests_seen if request.path != "/body"]
    assert [request.target for request in seen] == [target]
    assert front.origin.nonsense == []
    assert len(seen[0].headers.all("host")) == 1
    assert b"\n" not in seen[0].raw.replace(b"\r\n", b"")
    for piece in absent:
        assert piece not in seen[0].raw
    framing = [n for n, _ in seen[0].headers if n.lower() in ("content-length", "transfer-encoding")]
    assert len(framing) == (1 if sent.lstrip().startswith(b"POST") else 0)


@pytest.mark.parametrize("name, sent, targets", PIPELINES, ids=names(PIPELINES))
def test_pipelines_stay_in_step(front, name, sent, targets):
    with front.edge.connect(timeout=DEADLINE) as client:
        client.send(sent + b"GET /last HTTP/1.1\r\nHost: edge.test\r\nConnection: close\r\n\r\n")
        got = client.everything()

    expected = targets + ([] if "Connection: close" in sent.decode() else ["/last"])
    seen = [request.target for request in front.origin.requests_seen if request.path != "/body"]
    assert seen == expected
    assert len(answers(got)) == len(expected)


def test_after_all_this_it_still_serves(front):
    assert front.edge.get("/a").status == 200
