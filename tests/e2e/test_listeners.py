"""Where Breakwater listens: IPv4, IPv6, unix sockets, behind a balancer that speaks the PROXY protocol."""
import socket
import struct

import pytest

from vocabulary.edge import free_port
from vocabulary.wire import request


def test_several_addresses_are_one_front(edge, origin):
    other, path = free_port(), str(edge.folder / "front.sock")
    edge.configure(listen=[f"127.0.0.1:{edge.port}", f"[::1]:{other}", f"unix:{path}"])
    origin.serves("/news", "today", cache_control="max-age=60")

    assert edge.get("/news").cache == "miss"
    assert edge.get("/news", address=("::1", other)).cache == "hit"
    assert edge.get("/news", address=path).cache == "hit"


def test_a_unix_socket_left_over_is_taken_over(edge, origin):
    path = str(edge.folder / "front.sock")
    edge.configure(listen=[f"127.0.0.1:{edge.port}", f"unix:{path}"])
    origin.serves("/news", "today", cache_control="max-age=60")
    edge.get("/news", address=path)
    edge.kill()

    assert edge.start().get("/news", address=path).text == "today"


def test_an_origin_behind_a_unix_socket(edges, origins, tmp_path):
    origin = origins(unix=str(tmp_path / "origin.sock"))
    origin.serves("/news", "today", cache_control="max-age=60")
    edge = edges(origin)

    assert edge.get("/news") == ("miss", "today")
    assert edge.get("/news") == ("hit", "today")


V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command, family, payload):
    return V2 + bytes([0x20 | command, family]) + struct.pack("!H", len(payload)) + payload


@pytest.fixture
def behind(edge, origin):
    edge.configure(listen=[{"address": f"127.0.0.1:{edge.port}", "proxy_protocol": ["127.0.0.1/32"]}])
    origin.serves("/news", "today", cache_control="no-store")
    return edge


@pytest.mark.parametrize("line, client", [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 80\r\n", "192.0.2.7"),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 80\r\n", "2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    (v2(1, 0x11, socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 40000, 80)),
     "192.0.2.7"),
    (v2(1, 0x21, socket.inet_pton(socket.AF_INET6, "2001:db8::7") * 2 + struct.pack("!HH", 40000, 80)),
     "2001:db8::7"),
    (v2(1, 0x11, socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 40000, 80)
        + b"\x04\x00\x03abc"), "192.0.2.7"),  # with an extension
    (v2(0, 0x00, b""), "127.0.0.1"),  # LOCAL
], ids=["v1-4", "v1-6", "v1-unknown", "v2-4", "v2-6", "v2-extension", "v2-local"])
def test_the_address_of_the_client_comes_from_the_line(behind, origin, line, client):
    assert behind.get("/news", first=line).text == "today"

    assert origin.last("/news").headers["x-forwarded-for"].split(",")[-1].strip() == client
    assert behind.logged()[-1]["client"].startswith(client)


@pytest.mark.parametrize("line", [
    b"",
    b"PROXY TCP4 999.0.2.7 198.51.100.1 40000 80\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 99999\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 80\n",
    b"PROXY " + b"x" * 200 + b"\r\n",
    b"proxy UNKNOWN\r\n",
    V2 + b"\x31\x11\0\x0c" + b"\0" * 12,  # version 3
    V2 + b"\x21\x11\0\x04" + b"\0" * 4,  # too short for its family
    V2 + b"\x2f\x11\0\x0c" + b"\0" * 12,  # unknown command
])
@pytest.mark.ways("HTTP/1.1")
def test_without_a_good_line_the_connection_is_closed(behind, origin, line):
    answer = behind.raw(line + request("GET", "/news"))

    assert b"200" not in answer.split(b"\r\n")[0]
    assert origin.saw("/news") == 0


def test_a_sender_that_is_not_trusted_is_not_believed(edge, origin):
    edge.configure(listen=[{"address": f"127.0.0.1:{edge.port}", "proxy_protocol": ["192.0.2.0/24"]}])

    answer = edge.raw(b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 80\r\n" + request("GET", "/news"))

    assert not answer.startswith(b"HTTP/1.1 200")
    assert origin.saw("/news") == 0


@pytest.mark.ways("HTTP/1.1")
def test_a_line_that_never_ends_is_closed(behind):
    behind.configure(limits={"head_timeout": "300ms"})

    with behind.connect() as client:
        client.send(b"PROXY TCP4 ")
        assert client.closed()


def test_the_line_comes_before_the_handshake(edge, origin, certs):
    edge.configure(listen=[{"address": f"127.0.0.1:{edge.port}", "proxy_protocol": ["127.0.0.1/32"],
                            "tls": {"certificates": [certs.server("edge.test").files]}}])
    edge.tls = certs.client_context()
    origin.serves("/news", "today")

    page = edge.get("/news", first=b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n")

    assert page.text == "today"
    assert origin.last("/news").headers["x-forwarded-for"].endswith("192.0.2.7")
