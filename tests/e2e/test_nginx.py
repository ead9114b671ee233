"""A real server as the origin: nginx, with its files, ranges, validators and compression."""
import gzip
import os
import shutil
import socket
import subprocess

import pytest

from vocabulary.edge import Clock, free_port
from vocabulary.wire import until

pytestmark = [pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
              pytest.mark.seldom("HTTPS")]

CONFIGURATION = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off; types {{ text/plain txt; }} default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port}; root {folder}/files; gzip on; gzip_types text/plain; gzip_vary on; gzip_proxied any;
    location / {{ expires 1m; }}
    location /private/ {{ add_header Cache-Control private; }}
    location = /upload {{ client_max_body_size 64m; return 204; }}
  }}
}}
"""


@pytest.fixture
def nginx(tmp_path):
    folder, port = tmp_path / "nginx", free_port()
    (folder / "files" / "private").mkdir(parents=True)
    (folder / "files" / "page.txt").write_text("a page of nginx\n" * 200)
    (folder / "files" / "film").write_bytes(bytes(i % 251 for i in range(3_000_000)))
    (folder / "files" / "private" / "basket.txt").write_text("yours")
    (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, port=port))
    # as root its worker would change to another user, who may not read the temporary folder
    user = ["-g", "user root;"] if os.getuid() == 0 else []
    process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log"), *user],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    class Server:
        url = f"http://127.0.0.1:{port}"
        files = folder / "files"

    def up():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    until(up, "nginx is up")
    yield Server
    process.terminate()
    process.wait(10)


def test_a_file_is_stored_and_cut(edges, nginx):
    edge, film = edges(nginx), (nginx.files / "film").read_bytes()

    assert edge.get("/film").body == film
    edge.is_idle()
    page = edge.get("/film", headers={"Range": "bytes=1000000-1999999"})

    assert (page.status, page.cache) == (206, "hit")
    assert page.body == film[1_000_000:2_000_000]


def test_a_file_is_revalidated(edges, nginx):
    edge = edges(nginx)
    clock = Clock(edge, [])
    assert edge.get("/page.txt").cache == "miss"
    clock.advance(61)

    assert edge.get("/page.txt").cache == "revalidated"
    (nginx.files / "page.txt").write_text("changed")
    clock.advance(61)
    assert edge.get("/page.txt") == ("expired", "changed")


def test_compressed_and_plain_are_two_variants(edges, nginx):
    edge = edges(nginx)

    plain = edge.get("/page.txt")
    packed = edge.get("/page.txt", headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    edge.is_idle()
    assert edge.get("/page.txt").cache == "hit"
    assert edge.get("/page.txt", headers={"Accept-Encoding": "gzip"}).cache == "hit"


def test_a_private_file_is_passed(edges, nginx):
    edge = edges(nginx)

    assert [edge.get("/private/basket.txt").text for _ in range(2)] == ["yours"] * 2
    assert edge.get("/private/basket.txt").cache == "pass"


def test_an_upload_is_taken(edges, nginx):
    edge = edges(nginx)

    assert edge.post("/upload", b"x" * 5_000_000).status == 204
