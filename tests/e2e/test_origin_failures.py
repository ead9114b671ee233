"""What an origin can do wrong, and the cause that status, log and metrics then name."""
import socket
import time

import pytest

from vocabulary.origin import Answer

pytestmark = pytest.mark.seldom("HTTPS")


def pool(*servers, **settings):
    return {"origin": {"servers": list(servers)} | settings}


def test_nobody_listens(edge, origin):
    origin.stops()

    page = edge.get("/news")

    assert (page.status, page.why) == (502, "connect")
    assert edge.logged()[-1]["reason"] == "connect"


def test_a_name_that_does_not_exist(edges):
    edge = edges(pools=pool("http://no-such-host.invalid:80", timeouts={"resolve": "2s"}))

    page = edge.get("/news")

    assert page.status in (502, 504)
    assert page.why == "resolve"


def test_the_first_byte_does_not_come(edges, origin):
    edge = edges(pools=pool(origin.url, timeouts={"first_byte": "200ms"}))

    with origin.holding("/news"):
        page = edge.get("/news")

    assert (page.status, page.why) == (504, "first-byte-timeout")
    origin.last("/news").was_left()


def test_the_next_byte_does_not_come(edges, origin):
    edge = edges(pools=pool(origin.url, timeouts={"between_bytes": "300ms"}))
    origin.serves("/news", raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
                  then=lambda connection, _, rest: connection.recv(1))

    page = edge.get("/news")

    assert page.broken
    assert page.text == "hello"


def test_the_origin_closes_without_an_answer(edge, origin):
    origin.answers_raw("/news", b"")

    page = edge.get("/news")

    assert (page.status, page.why) == (502, "closed")


def test_the_origin_closes_in_mid_head(edge, origin):
    origin.answers_raw("/news", b"HTTP/1.1 200 OK\r\nContent-Le")

    assert edge.get("/news").status == 502


def test_a_truncated_body_is_never_presented_as_whole(edge, origin):
    origin.answers_raw("/news", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhello")

    assert edge.get("/news").broken
    origin.serves("/news", "whole", cache_control="max-age=60")
    assert edge.get("/news") == ("miss", "whole")


def test_another_server_is_asked_before_a_byte_was_sent(edges, origin, origins):
    broken, good = origins(reachable=False), origin
    good.serves("/news", "today", cache_control="no-store")
    edge = edges(pools=pool(broken.url, good.url, balance="round-robin"))

    pages = [edge.get("/news") for _ in range(10)]

    assert {page.text for page in pages} == {"today"}


def test_round_robin_asks_each_in_turn(edges, origins):
    servers = [origins() for _ in range(3)]
    for server in servers:
        server.serves("/news", "today", cache_control="no-store")
    edge = edges(workers=1, pools=pool(*(server.url for server in servers), balance="round-robin"))

    for _ in range(9):
        edge.get("/news")

    assert [server.saw("/news") for server in servers] == [3, 3, 3]


def test_random_asks_all_of_them(edges, origins):
    servers = [origins() for _ in range(2)]
    for server in servers:
        server.serves("/news", "today", cache_control="no-store")
    edge = edges(pools=pool(*(server.url for server in servers), balance="random"))

    for _ in range(60):
        edge.get("/news")

    assert all(server.saw("/news") > 5 for server in servers)


def test_a_connection_that_died_while_idle_costs_the_client_nothing(edge, origin):
    edge.configure(workers=1)
    origin.serves("/news", "today", cache_control="no-store")
    edge.get("/news")
    for connection in list(origin.live):
        connection.shutdown(socket.SHUT_RDWR)

    assert edge.get("/news").text == "today"


def test_a_connection_that_dies_under_a_get_is_tried_again_once(edge, origin):
    edge.configure(workers=1)
    origin.serves_in_turn("/news", Answer("first", cache_control="no-store"), Answer(raw=b"", close=True),
                          Answer("third", cache_control="no-store"))

    assert edge.get("/news").text == "first"
    assert edge.get("/news").text == "third"


def test_connections_to_one_server_are_limited_and_the_others_wait(edges, origin):
    edge = edges(workers=1, pools=pool(origin.url, connections={"per_server": 2}))
    origin.decides("/news", lambda _: Answer("today", cache_control="no-store"))

    with origin.holding("/news") as gate:
        crowd = edge.together(6, lambda i: f"/news?{i}")
        origin.has_seen("/news", times=2)
        assert gate.waiting <= 2

    assert {page.text for page in crowd} == {"today"}
    assert len(origin.live) <= 2


def test_a_full_queue_refuses_with_its_reason(edges, origin):
    edge = edges(workers=1, pools=pool(origin.url, connections={"per_server": 1, "queue": 1, "queue_for": "5s"}))
    origin.decides("/news", lambda _: Answer("today", cache_control="no-store"))

    with origin.holding("/news"):
        crowd = edge.together(5, lambda i: f"/news?{i}")
        origin.has_seen("/news")
        refused = edge.logged(3)

    assert {line["status"] for line in refused} <= {503, 502}
    assert {line["reason"] for line in refused} == {"queue-full"}
    assert sum(page.status == 200 for page in crowd) == 2


def test_the_origin_is_held_back_by_the_reader_of_what_is_not_stored(edge, origin):
    body = b"x" * (64 << 20)
    sent = []

    def send(connection, _, rest):
        view = memoryview(body)
        for at in range(0, len(view), 1 << 16):
            connection.sendall(view[at: at + (1 << 16)])
            sent.append(at)
    origin.serves("/film", raw=b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: %d\r\n\r\n" % len(body),
                  then=send)

    with edge.client() as client:
        client.opens("GET", "/film")
        client.head()
        stalled = stands_still(sent)
        assert stalled < len(body) - (8 << 20)
        assert len(client.exactly(len(body))) == len(body)


def stands_still(sent):
    """The last thing that was sent, once nothing more is sent for a fifth of a second."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < 0.2:
        if sent and sent[-1] != last:
            last, since = sent[-1], time.monotonic()
    return last


@pytest.mark.parametrize("host, expected", [("client", "edge.test"), ("app.example", "app.example")])
def test_the_host_that_the_origin_sees(edges, origin, host, expected):
    origin.serves("/news", "today")
    edge = edges(pools=pool(origin.url, host=host))

    edge.get("/news")

    assert origin.last("/news").headers["host"] == expected
