"""Upgrade: a tunnel only where client and origin both want it (RFC 9110, 7.8)."""
import time

import pytest


def echo(connection, rest):
    while data := rest or connection.recv(65536):
        connection.sendall(data.upper())
        rest = b""


def test_bytes_go_both_ways_through_a_tunnel(edge, origin):
    origin.switches("/chat", echo)

    with edge.client() as client:
        client.opens_tunnel("/chat")
        page = client.head()
        client.says(b"hello")
        answer = client.exactly(5)
        client.says(b"x" * 300_000)
        long_answer = client.exactly(300_000)

    assert page.status == client.SWITCHED
    assert (answer, long_answer) == (b"HELLO", b"X" * 300_000)
    assert origin.last("/chat").headers["upgrade"] == "websocket"
    origin.last("/chat").was_left()


@pytest.mark.ways("HTTP/1.1", "HTTPS")
def test_the_101_is_that_of_the_origin(edge, origin):
    origin.switches("/chat", echo)

    with edge.client() as client:
        client.opens_tunnel("/chat")
        page = client.head()

    assert page.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3
    assert page.headers["upgrade"] == "websocket"


def test_what_the_client_sends_behind_its_request_waits_for_the_origin(edge, origin):
    origin.switches("/chat", echo)

    with edge.client() as client:
        client.opens_tunnel("/chat")
        client.says(b"early")
        assert client.head().status == client.SWITCHED
        assert client.exactly(5) == b"EARLY"


def test_the_origin_may_refuse_and_the_connection_goes_on(edge, origin):
    origin.serves("/chat", "no", status=403)
    origin.serves("/news", "today")

    with edge.client() as client:
        client.opens_tunnel("/chat")
        assert client.page().text == "no"
        assert client.ask("GET", "/news").text == "today"


def test_the_origin_closes_the_tunnel(edge, origin):
    origin.switches("/chat", lambda connection, rest: connection.sendall(b"bye"))

    with edge.client() as client:
        client.opens_tunnel("/chat")
        assert client.head().status == client.SWITCHED
        assert client.rest() == b"bye"


@pytest.mark.ways("HTTP/1.1", "HTTPS")
def test_an_upgrade_to_h2c_is_not_taken_up(edge, origin):
    origin.serves("/news", "today")

    page = edge.get("/news", headers={"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c",
                                      "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA"})

    assert (page.status, page.text) == (200, "today")
    assert "http2-settings" not in origin.last("/news").headers


def test_a_101_that_nobody_asked_for_is_an_error(edge, origin):
    origin.switches("/chat", echo)

    assert edge.get("/chat").status == 502


def test_a_tunnel_is_counted_and_drained(edge, origin):
    edge.configure(limits={"drain": "300ms"})
    origin.switches("/chat", echo)

    with edge.client() as client:
        client.opens_tunnel("/chat")
        client.head()
        edge.drain()
        assert client.closed()
    edge.stop()


def test_a_tunnel_in_which_nobody_speaks_is_closed(edge, origin):
    edge.configure(limits={"tunnel_timeout": "200ms", "idle_timeout": "10s"})
    origin.switches("/chat", echo)

    with edge.client() as client:
        client.opens_tunnel("/chat")
        assert client.head().status == client.SWITCHED
        assert client.rest() == b""
    origin.last("/chat").was_left()


def test_a_tunnel_in_which_somebody_speaks_stays(edge, origin):
    edge.configure(limits={"tunnel_timeout": "400ms"})
    origin.switches("/chat", echo)

    with edge.client() as client:
        client.opens_tunnel("/chat")
        assert client.head().status == client.SWITCHED
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            client.says(b"x")
            assert client.exactly(1) == b"X"
