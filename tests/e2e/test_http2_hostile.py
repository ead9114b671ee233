"""HTTP/2 frames that no client would send: what is ambiguous is refused, what floods is ended, others notice nothing.

The rows are those of security.md 3 and 4 in which somebody is lax.  One Breakwater serves them all, and beside each row
a normal client asks on a connection of its own that stays open throughout.
"""
import random
import re
import time

import pytest

from vocabulary import http2
from vocabulary.edge import SLOW, Edge
from vocabulary.http2 import (ACK, CALM_DOWN, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS,
                              INTERNAL_ERROR, PADDED, PING, PRIORITY, PROTOCOL_ERROR, SETTINGS, Frames, Http2, asks,
                              block, frame, opens_window, resets, setting)
from vocabulary.origin import Answer, Origin
from vocabulary.wire import until

pytestmark = pytest.mark.ways("HTTP/2")

ENDS = END_STREAM | END_HEADERS
MIB = 1 << 20
PATIENT = 8 * SLOW  # far more than any limit here, far less than the default ones
CALM = (CALM_DOWN, INTERNAL_ERROR)  # the second: nghttp2's own limit was there first


class Front:
    """One Breakwater, its origin, and the neighbour: a client that asks for a page again and again."""

    def __init__(self, folder, way):
        self.origin = Origin()
        self.origin.serves("/news", "today", cache_control="max-age=3600")
        self.edge = Edge(folder, self.origin, way, limits={
            "head_timeout": "1s", "idle_timeout": "60s", "send_timeout": "1s", "body_timeout": "1s"})
        self.edge.start()
        self.edge.get("/news")
        self.neighbour = self.edge.connect(client=Http2)
        self.forgets()

    def forgets(self):
        self.origin.requests_seen.clear()
        self.origin.nonsense.clear()

    def is_well(self):
        assert self.edge.process.poll() is None, self.edge.stderr[-3000:]
        assert self.neighbour.ask("GET", "/news") == ("hit", "today")

    def grew_since(self, memory):
        """By so many bytes; a sanitizer, which keeps what was freed, is not asked."""
        return self.edge.memory - memory if SLOW == 1 else 0

    def count(self, name):
        return int(re.search(rf"^breakwater_{name}_total (\d+)", self.edge.metrics(), re.M)[1])


@pytest.fixture(scope="module")
def everybody(tmp_path_factory, way):
    front = Front(tmp_path_factory.mktemp("hostile"), way)
    yield front
    front.neighbour.close()
    front.edge.close()
    front.edge.check_reports()
    front.origin.stops()


@pytest.fixture
def front(everybody):
    everybody.forgets()
    routes = dict(everybody.origin.routes)
    yield everybody
    everybody.origin.routes = routes
    everybody.is_well()
    assert everybody.origin.nonsense == []


# --- heads

REFUSED = [
    # what would be a second opinion in HTTP/1.1
    ("a request line in the path", asks(path="/c HTTP/1.1")),
    ("a blank in the path", asks(path="/a b")),
    ("a TAB in the path", asks(path="/a\tb")),
    ("a line end in the path", asks(path="/a\r\nx: y")),
    ("a NUL in the path", asks(path="/a\0b")),
    ("an empty path", asks(path="")),
    ("a path without slash", asks(path="a")),
    ("an absolute path", asks(path="http://edge.test/a")),
    ("an asterisk for GET", asks(path="*")),
    ("a fragment in the path", asks(path="/a#b")),
    ("a byte above ASCII in the path", asks(path="/\xff")),
    ("no path", block([(":method", "GET"), (":scheme", "http"), (":authority", "edge.test")])),
    ("a request line in the method", asks("GET /x HTTP/1.1")),
    ("an empty method", asks("")),
    ("a method with a parenthesis", asks("G(T")),
    ("no method", block([(":scheme", "http"), (":authority", "edge.test"), (":path", "/")])),
    ("a method of 200 letters", asks("M" * 200)),
    ("a scheme of no web", asks(scheme="ftp")),
    ("a scheme of junk", asks(scheme="http://evil.test/")),
    ("no scheme", block([(":method", "GET"), (":authority", "edge.test"), (":path", "/")])),
    ("a blank in the authority", asks(authority="edge test")),
    ("a user in the authority", asks(authority="me@edge.test")),
    ("a path in the authority", asks(authority="edge.test/a")),
    ("an empty authority", asks(authority="")),
    ("a line end in the authority", asks(authority="edge.test\r\nx: y")),
    ("no authority", block([(":method", "GET"), (":scheme", "http"), (":path", "/")])),
    ("another host", asks("GET", "/", "edge.test", "http", ("host", "evil.test"))),
    ("two hosts", asks("GET", "/", "edge.test", "http", ("host", "edge.test"), ("host", "edge.test"))),
    # fields (RFC 9113, 8.2)
    ("a field without a name", asks("GET", "/", "edge.test", "http", ("", "x"))),
    ("an upper-case name", asks("GET", "/", "edge.test", "http", ("X-Upper", "x"))),
    ("a blank in a name", asks("GET", "/", "edge.test", "http", ("x y", "x"))),
    ("a colon in a name", asks("GET", "/", "edge.test", "http", ("x:y", "x"))),
    ("a line end in a name", asks("GET", "/", "edge.test", "http", ("x\r\ny", "x"))),
    ("blanks around a value", asks("GET", "/", "edge.test", "http", ("x", " y "))),
    ("a control in a value", asks("GET", "/", "edge.test", "http", ("x", "a\x01b"))),
    ("a line end in a value", asks("GET", "/", "edge.test", "http", ("x", "a\r\nb: c"))),
    ("a NUL in a value", asks("GET", "/", "edge.test", "http", ("x", "a\0b"))),
    ("connection", asks("GET", "/", "edge.test", "http", ("connection", "close"))),
    ("upgrade", asks("GET", "/", "edge.test", "http", ("upgrade", "websocket"))),
    ("keep-alive", asks("GET", "/", "edge.test", "http", ("keep-alive", "1"))),
    ("proxy-connection", asks("GET", "/", "edge.test", "http", ("proxy-connection", "close"))),
    ("transfer-encoding", asks("GET", "/", "edge.test", "http", ("transfer-encoding", "chunked"))),
    ("transfer_encoding", asks("GET", "/", "edge.test", "http", ("transfer_encoding", "chunked"))),
    ("te: gzip", asks("GET", "/", "edge.test", "http", ("te", "gzip"))),
    ("a pseudo-field behind a field", block([(":method", "GET"), (":scheme", "http"), ("x", "y"),
                                             (":authority", "edge.test"), (":path", "/")])),
    ("a pseudo-field twice", asks("GET", "/", "edge.test", "http", (":path", "/b"))),
    ("a pseudo-field that nobody knows", asks("GET", "/", "edge.test", "http", (":x", "y"))),
    ("a status", asks("GET", "/", "edge.test", "http", (":status", "200"))),
    ("a length without a body", asks("POST", "/", "edge.test", "http", ("content-length", "5"))),
    ("two lengths", asks("POST", "/", "edge.test", "http", ("content-length", "0"), ("content-length", "0"))),
    ("a length in words", asks("POST", "/", "edge.test", "http", ("content-length", "none"))),
    ("a length beyond 64 bits", asks("POST", "/", "edge.test", "http", ("content-length", "18446744073709551617"))),
    ("120 fields", asks("GET", "/", "edge.test", "http", *[("x", "y")] * 120)),
    ("a value of 70 KB in pieces", asks("GET", "/", "edge.test", "http", *[("x", "y" * 7000)] * 10)),
]
STATUSES = {"120 fields": 431, "a value of 70 KB in pieces": 431}


def names(rows):
    return [row[0] for row in rows]


def in_frames(stream, head, flags=ENDS):
    """A head, with CONTINUATION where it is long."""
    first, rest = head[:16384], head[16384:]
    said = frame(HEADERS, flags if not rest else flags & ~END_HEADERS, stream, first)
    while rest:
        piece, rest = rest[:16384], rest[16384:]
        said += frame(CONTINUATION, 0 if rest else END_HEADERS, stream, piece)
    return said


@pytest.mark.parametrize("name, head", REFUSED, ids=names(REFUSED))
def test_a_head_that_is_ambiguous_is_refused(front, name, head):
    with Frames(front.edge) as client:
        client.says(in_frames(1, head))
        outcome = client.outcome(1)

    assert outcome in (STATUSES.get(name, 400), "reset", "goaway")
    assert front.origin.requests_seen == []


@pytest.mark.parametrize("method, status", [("TRACE", 405), ("get", 501), ("PURGE", 405)])
def test_a_method_that_is_not_done_has_its_status(front, method, status):
    with Frames(front.edge) as client:
        client.says(frame(HEADERS, ENDS, 1, asks(method)))
        assert client.outcome(1) == status

    assert front.origin.requests_seen == []


def test_a_plain_connect_is_not_done(front):
    with Frames(front.edge) as client:
        client.says(frame(HEADERS, END_HEADERS, 1, block([(":method", "CONNECT"), (":authority", "edge.test:443")])))
        assert client.outcome(1) in (405, 501)

    assert front.origin.requests_seen == []


def test_the_scheme_is_that_of_the_connection_and_not_what_it_says(front):
    front.origin.serves("/scheme", "here", cache_control="no-store")

    with Frames(front.edge) as client:
        client.says(frame(HEADERS, ENDS, 1, asks(path="/scheme", scheme="https")))
        assert client.outcome(1) == 200

    assert front.origin.last("/scheme").headers.get("x-forwarded-proto") == "http"


def test_trailers_reach_no_origin_as_fields(front):
    front.origin.serves("/upload", "thanks", cache_control="no-store")

    with Frames(front.edge) as client:
        client.says(frame(HEADERS, END_HEADERS, 1, asks("POST", "/upload")) + frame(DATA, 0, 1, b"body") +
                    frame(HEADERS, ENDS, 1, block([("authorization", "me"), ("x-forwarded-for", "192.0.2.1")])))
        assert client.outcome(1) == 200

    seen = front.origin.last("/upload")
    assert seen.body == b"body"
    assert b"192.0.2.1" not in seen.raw
    assert "authorization" not in seen.headers and "authorization" not in seen.trailers


@pytest.mark.parametrize("said", [4, 6])
def test_a_body_of_another_length_than_it_says_is_no_request(front, said):
    front.origin.serves("/upload", "thanks", cache_control="no-store")
    before = front.origin.answered.get("/upload", 0)

    with Frames(front.edge) as client:
        client.says(frame(HEADERS, END_HEADERS, 1, asks("POST", "/upload", "edge.test", "http",
                                                        ("content-length", str(said)))) +
                    frame(DATA, END_STREAM, 1, b"12345"))
        assert client.outcome(1) in ("reset", 400)

    assert front.origin.answered.get("/upload", 0) == before


# --- frames out of order

NO_ORDER = [
    ("an even stream", frame(HEADERS, ENDS, 2, asks())),
    ("stream 0 for HEADERS", frame(HEADERS, ENDS, 0, asks())),
    ("DATA for an idle stream", frame(DATA, END_STREAM, 1, b"x")),
    ("RST_STREAM for an idle stream", resets(1)),
    ("a frame above the size we allow", frame(DATA, 0, 1, b"x" * 16385)),
    ("CONTINUATION out of nowhere", frame(CONTINUATION, END_HEADERS, 1, asks())),
    ("HEADERS inside of a head", frame(HEADERS, END_STREAM, 1, asks()[:9]) + frame(HEADERS, ENDS, 3, asks())),
    ("PING of seven bytes", frame(PING, 0, 0, b"1234567")),
    ("SETTINGS of five bytes", frame(SETTINGS, 0, 0, b"12345")),
    ("SETTINGS on a stream", frame(SETTINGS, 0, 1)),
    ("a window of more than 31 bits", opens_window(0, (1 << 31) - 1) * 2),
    ("a window opened by nothing", opens_window(0, 0)),
    ("an initial window of 2^31", setting(4, 1 << 31)),
    ("a frame size of one", setting(5, 1)),
    ("PUSH_PROMISE of a client", frame(http2.PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + asks())),
    ("nonsense in HPACK", frame(HEADERS, ENDS, 1, b"\xff\xff\xff\xff\xff\xff\xff")),
    ("a reference to nothing in HPACK", frame(HEADERS, ENDS, 1, b"\xbe")),
    ("a table that grows above the limit", frame(HEADERS, ENDS, 1, b"\x3f\xe1\xff\x03" + asks())),
    ("padding longer than its frame", frame(HEADERS, ENDS | http2.PADDED, 1, b"\xff" + asks())),
]


@pytest.mark.parametrize("name, said", NO_ORDER, ids=names(NO_ORDER))
def test_frames_that_break_the_protocol_end_the_connection(front, name, said):
    with Frames(front.edge) as client:
        client.says(said)
        client.is_over(PATIENT)

    assert client.goaway not in (None, http2.NO_ERROR)
    assert [request for request in front.origin.requests_seen if request.path != "/news"] == []


def test_a_stream_that_was_skipped_cannot_be_asked_on(front):
    with Frames(front.edge) as client:
        client.says(frame(HEADERS, ENDS, 5, asks(path="/news")) + frame(HEADERS, ENDS, 3, asks()))
        client.says(frame(HEADERS, ENDS, 7, asks(path="/news")))
        assert client.outcome(7) in (200, "goaway")

    assert 3 not in client.statuses
    assert front.origin.requests_seen == []


def test_what_is_no_preface_is_no_http2(front):
    with front.edge.connect() as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + frame(SETTINGS))
        assert not client.everything().startswith(b"\0")

    assert front.origin.requests_seen == []


# --- floods

def pair(stream, second, path="/slow"):
    return frame(HEADERS, ENDS, stream, asks(path=path)) + second


def test_rapid_reset_asks_nothing_of_the_origin(front):
    front.origin.serves("/slow", "x", cache_control="no-store")
    before = front.count("http2_reset_flood")

    with Frames(front.edge) as client:
        client.says(b"".join(pair(stream, resets(stream)) for stream in range(1, 40_001, 2)))
        client.is_over(PATIENT)

    assert client.goaway in (None, *CALM)  # None: what we sent behind it made the kernel forget it
    assert front.count("http2_reset_flood") == before + 1
    assert len(front.origin.requests_seen) <= 2  # a pair may come in two reads


PROVOKED = [
    ("a window opened by nothing", lambda stream: opens_window(stream, 0)),
    ("DATA behind the end", lambda stream: frame(DATA, END_STREAM, stream, b"x")),
    ("a window that flows over", lambda stream: opens_window(stream, (1 << 31) - 1) * 2),
    ("a stream that depends on itself", lambda stream: frame(PRIORITY, 0, stream, stream.to_bytes(4, "big") + b"\1")),
    ("a head behind the end", lambda stream: frame(HEADERS, ENDS, stream, asks())),
]


@pytest.mark.parametrize("name, second", PROVOKED, ids=names(PROVOKED))
def test_resets_that_we_are_provoked_to_end_the_connection(front, name, second):
    front.origin.serves("/slow", "x", cache_control="no-store")

    with Frames(front.edge) as client:
        client.says(b"".join(pair(stream, second(stream)) for stream in range(1, 40_001, 2)))
        client.is_over(PATIENT)

    assert client.goaway != http2.NO_ERROR
    assert len(front.origin.requests_seen) < 150


def sends_until_closed(client, data, times):
    """Again and again, but no longer than until it is closed, which must come about."""
    for _ in range(times):
        if client.closed or not client.says(data):
            break
        client.hears(0)
    client.is_over(PATIENT)


FLOODS = [
    ("PING", frame(PING, 0, 0, b"12345678")),
    ("answers to PING", frame(PING, ACK, 0, b"12345678")),
    ("SETTINGS", setting(3, 100)),
    ("PRIORITY", frame(PRIORITY, 0, 1, b"\0\0\0\3\x10")),
    ("PRIORITY_UPDATE", frame(16, 0, 0, b"\0\0\0\1u=0")),
    ("windows of one byte", opens_window(0, 1)),
    ("frames that nobody knows", frame(0xbe, 0, 1, b"x")),
    ("empty frames that nobody knows", frame(0x0a, 0, 1)),
]


@pytest.mark.parametrize("name, one", FLOODS, ids=names(FLOODS))
def test_a_flood_of_frames_is_ended_before_it_costs_anything(front, name, one):
    before, memory = front.count("http2_control_flood"), front.edge.memory

    with Frames(front.edge) as client:
        sends_until_closed(client, one * 100, 1000)

    assert client.goaway in (None, *CALM)
    assert front.count("http2_control_flood") == before + 1
    assert front.grew_since(memory) < 16 * MIB
    assert front.origin.requests_seen == []


def test_a_flood_of_empty_data_is_ended(front):
    front.origin.serves("/upload", "thanks", cache_control="no-store")
    before = front.count("http2_control_flood")

    with Frames(front.edge) as client:
        client.says(frame(HEADERS, END_HEADERS, 1, asks("POST", "/upload")))
        sends_until_closed(client, frame(DATA, 0, 1) * 100, 1000)

    assert front.count("http2_control_flood") == before + 1


def test_floods_whose_answers_nobody_reads_fill_no_memory(front):
    memory = front.edge.memory

    for one in (frame(PING, 0, 0, b"12345678"), setting(3, 100)):
        with Frames(front.edge) as client:
            client.wire.socket.settimeout(2)
            for _ in range(300):
                if not client.says(one * 1000):
                    break
            client.is_over(PATIENT)

    assert front.grew_since(memory) < 16 * MIB


def references(count):
    """A head that puts one field into HPACK's table, and refers to it by one byte again and again."""
    return asks("POST", "/slow") + b"\x40\x01x\x01y" + b"\xbe" * count


def test_a_bomb_of_one_byte_references_is_not_kept(front):
    memory = front.edge.memory

    with Frames(front.edge) as client:
        client.says(b"".join(frame(HEADERS, END_HEADERS, stream, references(15_900)) for stream in range(1, 201, 2)))
        client.is_over(PATIENT)

    assert client.goaway in (None, *CALM)
    assert front.grew_since(memory) < 16 * MIB
    assert front.origin.requests_seen == []


def test_a_bomb_in_continuations_is_not_kept(front):
    memory = front.edge.memory

    for _ in range(3):
        with Frames(front.edge) as client:
            for stream in range(1, 61, 2):
                if not client.says(in_frames(stream, references(400_000), END_HEADERS)):
                    break
            client.is_over(PATIENT)

    assert front.grew_since(memory) < 16 * MIB
    assert front.origin.requests_seen == []


def test_a_bomb_of_cache_digests_is_a_head_with_too_many_fields(front):
    memory = front.edge.memory
    head = asks() + b"\x40\x0ccache-digest\x40" + b"A" * 64 + b"\xbe" * 5000

    with Frames(front.edge) as client:
        client.says(frame(HEADERS, ENDS, 1, head))
        assert client.outcome(1) in (431, "goaway")

    assert front.grew_since(memory) < 16 * MIB
    assert front.origin.requests_seen == []


@pytest.mark.parametrize("payload", [b"", b"\x40\x01x\x01y"], ids=["empty", "full"])
def test_a_head_without_end_is_ended(front, payload):
    with Frames(front.edge) as client:
        client.says(frame(HEADERS, END_STREAM, 1, asks()))
        sends_until_closed(client, frame(CONTINUATION, 0, 1, payload) * 10, 1000)

    assert front.origin.requests_seen == []


def test_uploads_without_end_fill_no_memory(front):
    front.origin.serves("/upload", "thanks", cache_control="no-store")
    memory = front.edge.memory

    with front.origin.holding("/upload"), Frames(front.edge) as client:
        for stream in range(1, 201, 2):
            client.says(frame(HEADERS, END_HEADERS, stream, asks("POST", "/upload")))
        for _ in range(4):  # as far as the windows go: what is beyond breaks the protocol
            client.says(b"".join(frame(DATA, 0, stream, b"x" * 2600) for stream in range(1, 201, 2)))
        client.hears(0.5)
        assert front.grew_since(memory) < 32 * MIB


# --- what ends libh2o 2.2.5

@pytest.mark.parametrize("size", [100, 16_384, 70_000])
@pytest.mark.parametrize("what", ["a window", "settings"])
def test_windows_that_move_behind_the_last_data_are_nothing_special(front, size, what):
    front.origin.serves(f"/page/{size}", b"x" * size, cache_control="max-age=3600")
    front.edge.get(f"/page/{size}")
    front.edge.is_idle()

    for _ in range(10):
        with Frames(front.edge, b"\0\4\0\x10\0\0") as client:
            client.says(opens_window(0, 1 << 30) + b"".join(
                frame(HEADERS, ENDS, stream, asks(path=f"/page/{size}")) for stream in range(1, 199, 2)))
            moves = b"".join(opens_window(stream, 1000) for stream in range(1, 199, 2))
            client.says(moves if what == "a window" else setting(4, 1) + setting(4, 1 << 21))
            client.hears_until(lambda: len(client.ended) == 99, "all answers", PATIENT)
            assert set(client.statuses.values()) == {200}
            assert client.goaway is None
            assert {len(body) for body in client.bodies.values()} == {size}


def test_random_frames_end_nothing_but_their_own_connection(front):
    dice = random.Random(7)
    front.origin.decides("/", lambda request: Answer("x", cache_control="no-store"))
    end = time.monotonic() + 5

    while time.monotonic() < end:
        with Frames(front.edge) as client:
            for _ in range(dice.randrange(1, 60)):
                kind, stream = dice.choice([*range(10), 16, dice.randrange(256)]), dice.choice([0, 1, 3, 5, 7, 9])
                payload = dice.choice([b"", asks(), asks("POST"), dice.randbytes(dice.choice([4, 5, 8, 300])),
                                       dice.randrange(1 << 16).to_bytes(4, "big"), b"\0\4" + dice.randbytes(4)])
                if not client.says(frame(kind, dice.choice([0, 1, 4, 5, 8, 32, 255]), stream, payload)):
                    break
            client.hears(0)

    until(lambda: front.edge.stats()["now"]["connections"] <= 1, "the neighbour is left alone", PATIENT)


# --- slow clients

def drips(client, data, pause=0.1, deadline=PATIENT):
    """Byte by byte until the other side closes; how long that took."""
    began = time.monotonic()
    for at in range(len(data)):
        if time.monotonic() - began > deadline or not client.says(data[at: at + 1]) or not client.hears(pause):
            break
    return time.monotonic() - began


def test_a_client_that_asks_for_nothing_is_let_go(front):
    with Frames(front.edge) as client:
        client.is_over(PATIENT)

    assert client.goaway in (None, http2.NO_ERROR)


def test_pings_do_not_keep_a_client_that_asks_for_nothing(front):
    with Frames(front.edge) as client:
        assert drips(client, frame(PING, ACK, 0, b"12345678") * 100) < PATIENT
        assert client.closed


def test_a_head_that_drips_is_cut(front):
    with Frames(front.edge) as client:
        assert drips(client, frame(HEADERS, ENDS, 1, asks("GET", "/", "edge.test", "http", ("x", "y" * 1000)))) < PATIENT
        assert client.closed

    assert front.origin.requests_seen == []


def test_a_second_head_that_drips_is_cut(front):
    with Frames(front.edge) as client:
        client.says(frame(HEADERS, ENDS, 1, asks(path="/news")))
        assert client.outcome(1) == 200
        client.says(frame(HEADERS, END_STREAM, 3, asks()))
        client.is_over(PATIENT)

    assert front.origin.requests_seen == []


def test_empty_continuations_that_drip_are_ended(front):
    with Frames(front.edge) as client:
        client.says(frame(HEADERS, END_STREAM, 1, asks()))
        began = time.monotonic()
        while client.hears(0.1) and client.says(frame(CONTINUATION, 0, 1)) and time.monotonic() - began < PATIENT:
            pass
        assert client.closed


@pytest.mark.parametrize("drip", [True, False], ids=["byte by byte", "nothing"])
def test_a_body_that_does_not_come_is_given_up(front, drip):
    front.origin.serves("/upload", "thanks", cache_control="no-store")
    before = front.origin.answered.get("/upload", 0)

    with Frames(front.edge) as client:
        client.says(frame(HEADERS, END_HEADERS, 1, asks("POST", "/upload")))
        end = time.monotonic() + PATIENT
        while not client.statuses and not client.codes and time.monotonic() < end:
            if drip:
                client.says(frame(DATA, 0, 1, b"x"))
            client.hears(0.1)
        assert client.outcome(1) in (400, 408, "reset")

    assert front.origin.answered.get("/upload", 0) == before


@pytest.mark.parametrize("window", [0, 1])
def test_a_client_that_opens_no_window_loses_its_stream_and_not_its_connection(front, window):
    with Frames(front.edge, b"\0\4\0\0\0" + bytes([window])) as client:
        client.says(frame(HEADERS, ENDS, 1, asks(path="/news")))
        client.hears_until(lambda: 1 in client.codes, "the stream is reset", PATIENT)
        assert client.codes == {1: http2.CANCEL}
        client.says(frame(HEADERS, ENDS, 3, asks("HEAD", "/news")))
        assert client.outcome(3) == 200
        assert client.goaway is None


def test_an_upload_that_begins_before_the_settings_came_gets_a_whole_window(front):
    """RFC 9113, 6.9.2: its window shrinks when they come, under what is granted to the origin's side at once."""
    front.origin.serves("/early", "thanks", cache_control="no-store")
    body, padding = b"x" * 16_283, bytes(100)

    with Frames(front.edge) as client:
        client.says(frame(HEADERS, END_HEADERS, 1, asks("POST", "/early")))
        front.origin.has_seen("/early")
        client.says(frame(SETTINGS, ACK) + frame(DATA, PADDED, 1, bytes([len(padding)]) + body + padding))
        client.hears_until(lambda: client.windows.get(1, 0) >= 49_152, "the window of a sink")
        client.says(frame(DATA, END_STREAM, 1, body))
        assert client.outcome() == 200

    assert front.origin.last("/early").body_length == 2 * len(body)


def test_a_hundred_streams_with_windows_of_one_byte_are_in_nobodys_way(front):
    with Frames(front.edge, b"\0\4\0\0\0\1") as client:
        client.says(b"".join(frame(HEADERS, ENDS, stream, asks(path="/news")) for stream in range(1, 201, 2)))
        for _ in range(20):
            began = time.monotonic()
            front.is_well()
            assert time.monotonic() - began < 0.5 * SLOW
            client.says(b"".join(opens_window(stream, 1) for stream in range(1, 21, 2)))
            client.hears(0.02)


def test_a_client_that_leaves_with_a_goaway_gets_its_answers(front):
    with Frames(front.edge) as client:
        client.says(frame(HEADERS, ENDS, 1, asks(path="/news")) + frame(GOAWAY, 0, 0, b"\0" * 8))
        assert client.outcome(1) == 200
        client.is_over(PATIENT)

    assert client.bodies == {1: b"today"}


def test_a_protocol_error_is_said_by_its_name(front):
    with Frames(front.edge) as client:
        client.says(frame(HEADERS, ENDS, 2, asks()))
        client.is_over(PATIENT)

    assert client.goaway == PROTOCOL_ERROR
