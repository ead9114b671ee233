"""TLS to the origin: the name and the chain are verified, or nothing is said."""
import socket
import ssl
import threading

import pytest

pytestmark = pytest.mark.seldom("HTTPS")


def secure(origins, certificate, version=None):
    context = certificate.server_context()
    if version is not None:
        context.minimum_version = context.maximum_version = version
    origin = origins(tls=context)
    origin.serves("/news", "today", cache_control="max-age=60")
    return origin


def pool(origin, certs, **tls):
    return {"origin": {"servers": [origin.url], "tls": {"trust": [certs.ca], "server_name": "app.test"} | tls}}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_trusted_origin_is_asked(edges, origins, certs, version):
    origin = secure(origins, certs.server("app.test"), version)
    edge = edges(pools=pool(origin, certs))

    assert edge.get("/news") == ("miss", "today")
    assert edge.get("/news") == ("hit", "today")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_another_name_is_not_believed(edges, origins, certs, version):
    origin = secure(origins, certs.server("other.test"), version)
    edge = edges(pools=pool(origin, certs))

    page = edge.get("/news")

    assert (page.status, page.why) == (502, "certificate")
    assert origin.saw("/news") == 0


def test_another_ca_is_not_believed(edges, origins, certs):
    origin = secure(origins, certs.another().server("app.test"))
    edge = edges(pools=pool(origin, certs))

    page = edge.get("/news")

    assert (page.status, page.why) == (502, "certificate")
    assert origin.saw("/news") == 0


def test_an_origin_that_speaks_no_tls_is_an_error(edges, certs):
    def refuse(listener):
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        connection.close()
    with socket.create_server(("127.0.0.1", 0)) as plain:
        threading.Thread(target=refuse, args=(plain,), daemon=True).start()
        edge = edges(pools={"origin": {"servers": [f"https://127.0.0.1:{plain.getsockname()[1]}"],
                                       "tls": {"trust": [certs.ca]}}})
        page = edge.get("/news")

    assert (page.status, page.why) == (502, "tls")


def test_verification_can_be_given_up(edges, origins, certs):
    origin = secure(origins, certs.another().server("other.test"))
    edge = edges(pools={"origin": {"servers": [origin.url], "tls": {"mode": "full"}}})

    assert edge.get("/news").text == "today"


def test_an_address_is_verified_as_an_address(edges, origins, certs):
    origin = secure(origins, certs.server("127.0.0.1"))
    edge = edges(pools={"origin": {"servers": [origin.url], "tls": {"trust": [certs.ca]}}})

    assert edge.get("/news").text == "today"


def test_a_handshake_that_hangs_times_out(edges, origins, certs):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        edge = edges(pools={"origin": {"servers": [f"https://127.0.0.1:{silent.getsockname()[1]}"],
                                       "tls": {"trust": [certs.ca]}, "timeouts": {"tls": "200ms"}}})
        page = edge.get("/news")

    assert (page.status, page.why) == (504, "tls-timeout")
