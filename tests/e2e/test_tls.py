"""TLS to clients: certificates by SNI, versions, tickets, policies that do not mix."""
import re
import shutil
import socket
import ssl
import subprocess

import pytest

from vocabulary.edge import free_port
from vocabulary.wire import Broken

pytestmark = pytest.mark.ways("HTTP/1.1")  # and TLS where they say so


@pytest.fixture
def secure(edge, origin, certs):
    """Two certificates: shop.test is the first, blog.test the second."""
    origin.serves("/news", "today", cache_control="max-age=60")
    edge.configure(listen=[{"address": f"127.0.0.1:{edge.port}", "tls": {
        "certificates": [certs.server("shop.test").files, certs.server("blog.test", "*.blog.test").files]}}])
    edge.tls = certs.client_context()
    return edge


@pytest.mark.parametrize("name", ["shop.test", "blog.test", "de.blog.test"])
def test_the_certificate_is_chosen_by_the_name_that_is_asked_for(secure, name):
    page = secure.get("/news", host=name, server_name=name)

    assert page.text == "today"


def test_the_first_certificate_is_for_everything_else(secure, certs):
    context = certs.client_context(check_hostname=False)
    with secure.connect(tls=context, server_name="elsewhere.test") as client:
        names = {value for _, value in client.socket.getpeercert()["subjectAltName"]}

    assert names == {"shop.test"}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(secure, certs, version):
    with secure.connect(tls=certs.client_context(version), server_name="shop.test") as client:
        assert client.ask("GET", "/news").text == "today"
        assert client.socket.version() == ("TLSv1.2" if version == ssl.TLSVersion.TLSv1_2 else "TLSv1.3")


def test_tls_1_2_can_be_refused(secure, certs):
    listen = secure.config["listen"][0]
    secure.configure(listen=[listen | {"tls": listen["tls"] | {"min_version": "1.3"}}])

    with pytest.raises((ssl.SSLError, ConnectionError)):
        secure.connect(tls=certs.client_context(ssl.TLSVersion.TLSv1_2), server_name="shop.test")


def test_aes_128_gcm_comes_first(secure, certs):
    with secure.connect(server_name="shop.test") as client:
        assert client.socket.cipher()[0] == "TLS_AES_128_GCM_SHA256"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed_whichever_worker_answers(secure, certs, version):
    secure.configure(workers=4)
    context = certs.client_context(version)
    with secure.connect(tls=context, server_name="shop.test") as client:
        client.ask("GET", "/news")
        session = client.socket.session

    assert all(resume(secure, context, session) for _ in range(8))


def resume(edge, context, session, name="shop.test"):
    with socket.create_connection(edge.address, 10) as plain:
        with context.wrap_socket(plain, server_hostname=name, session=session) as client:
            return client.session_reused


def test_http_on_the_tls_port_is_closed(secure):
    with secure.connect(tls=None) as client:
        client.send(b"GET /news HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        assert b"200" not in client.everything()


def test_a_handshake_that_never_ends_is_closed(secure):
    secure.configure(limits={"head_timeout": "300ms"})

    with secure.connect(tls=None) as client:
        client.send(b"\x16\x03\x01")
        assert client.closed()


def test_a_page_that_was_stored_over_one_scheme_is_not_served_over_the_other(edge, origin, certs):
    port = free_port()
    edge.configure(listen=[f"127.0.0.1:{edge.port}", {
        "address": f"127.0.0.1:{port}", "tls": {"certificates": [certs.server("edge.test").files]}}])
    origin.serves("/news", "today", cache_control="max-age=60")

    assert edge.get("/news").cache == "miss"
    secure = dict(address=("127.0.0.1", port), tls=certs.client_context(), server_name="edge.test")
    assert edge.get("/news", **secure).cache == "miss"
    assert edge.get("/news", **secure).cache == "hit"
    assert origin.last("/news").headers.get("x-forwarded-proto") == "https"


def test_a_client_certificate_can_be_demanded(edge, origin, certs):
    origin.serves("/news", "today")
    edge.configure(listen=[{"address": f"127.0.0.1:{edge.port}", "tls": {
        "certificates": [certs.server("edge.test").files], "client_ca": certs.ca}}])
    with_certificate = certs.client_context()
    mine = certs.server("client.test")
    with_certificate.load_cert_chain(mine.certificate, mine.key)
    edge.running()

    assert edge.get("/news", tls=with_certificate).text == "today"
    with pytest.raises((ssl.SSLError, ConnectionError, Broken)):
        edge.get("/news", tls=certs.client_context())
    assert origin.saw("/news") == 1


@pytest.mark.parametrize("host, status", [("edge.test", 200), ("EDGE.test", 200), ("edge.test:443", 200),
                                          ("other.test", 421), ("edge.test.evil", 421)])
def test_with_client_certificates_the_host_is_that_of_the_handshake(edge, origin, certs, host, status):
    origin.serves("/news", "today", cache_control="max-age=60")
    edge.configure(listen=[{"address": f"127.0.0.1:{edge.port}", "tls": {
        "certificates": [certs.server("edge.test").files], "client_ca": certs.ca}}])
    mine = certs.server("client.test")
    edge.tls = certs.client_context()
    edge.tls.load_cert_chain(mine.certificate, mine.key)

    assert edge.get("/news", host=host).status == status
    assert origin.saw("/news") == (status == 200)


def openssl(edge, *arguments, say=b""):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{edge.running().port}", "-servername",
                           "shop.test", *arguments], input=say, capture_output=True, timeout=20, check=False)
    return (done.stdout + done.stderr).decode("latin-1")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
def test_no_early_data_is_taken(secure):
    said = openssl(secure, "-tls1_3", "-ign_eof",
                   say=b"GET /news HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")

    assert "today" in said
    assert re.findall(r"Max Early Data: (\d+)", said) == ["0"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
def test_a_client_cannot_make_us_shake_hands_again(secure, origin):
    said = openssl(secure, "-tls1_2", say=b"R\nGET /news HTTP/1.1\r\nHost: shop.test\r\n\r\n")

    assert "RENEGOTIATING" in said
    assert ":error:" in said, "a second handshake came about"
    assert origin.saw("/news") == 0
    assert secure.get("/news", host="shop.test", server_name="shop.test").text == "today"
