"""Breakwater itself, as the process that a person would start: a file, an address, an origin.

The process starts at the first use, so that a scenario can say edge.configure(...) first.  At the end it is drained by
SIGTERM and must leave in good order: no crash, no sanitizer report, exit status 0.
"""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

from .http2 import Http2
from .wire import DEADLINE, Broken, Client, request, until

BINARY = os.environ.get("BREAKWATER", "build/breakwater")
REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|: Assertion |assertion failed")
# a sanitizer makes everything slower, and waits longer
SLOW = 4 if re.search(r"/[at]san/", BINARY) else 1

_given = set()


def free_port():
    """A loopback port that nobody has, and that no other edge was given."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def merged(base, more):
    """`more` over `base`, key by key where both are maps; None removes."""
    result = dict(base)
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


class Way:
    """How a scenario's requests come: by which protocol, and over TLS where there are certificates."""

    def __init__(self, name, certs=None):
        self.is_http2 = name.startswith("HTTP/2")
        self.files = certs.server("edge.test").files if certs else None
        self.client = certs.client_context() if certs else None
        self.scheme, self.port = ("https", 443) if certs else ("http", 80)

    def listener(self, said):
        """A listener of the file that takes requests of this way; the scenario may have said it all itself."""
        said = said if isinstance(said, dict) else {"address": said}
        if self.files is not None:
            return {"tls": {"certificates": [self.files]}} | said
        return {"http2": "on"} | said if self.is_http2 else said


CLEARTEXT = Way("HTTP/1.1")


class Edge:
    def __init__(self, folder, origin=None, way=CLEARTEXT, **settings):
        self.way = way  # that requests take, where nothing else is said
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.admin_port = free_port(), free_port()
        self.address = ("127.0.0.1", self.port)
        self.config = {
            "listen": [f"127.0.0.1:{self.port}"],
            "workers": 2,
            "cache": {"directory": str(self.folder / "cache"), "size": "256MiB"},
            "admin": {"listen": f"127.0.0.1:{self.admin_port}"},
            "log": {"access": {"to": str(self.folder / "access.log"), "format": "json"}},
        }
        if origin is not None:
            self.config["origin"] = origin.url
        self.config = merged(self.config, settings)
        self.file = self.folder / "breakwater.yaml"
        self.arguments = []  # more of the command line
        self.process = None
        self.expected_status = 0
        self.tls = way.client  # an ssl.SSLContext: speak TLS to the first listener

    # --- the process

    def configure(self, **settings):
        """Change the file; before the first use, or before reload()."""
        self.config = merged(self.config, settings)
        if self.process is not None:
            self.write()
        return self

    def write(self):
        # JSON is YAML
        config = self.config | {"listen": [self.way.listener(one) for one in self.config["listen"]]}
        self.file.write_text(json.dumps(config, indent=2) + "\n")

    def start(self):
        self.write()
        self.launch()
        until(self.ready, "ready", DEADLINE * 2 * SLOW)
        return self

    def launch(self, *flags):
        """Start the process; with flags, by those instead of the file."""
        arguments = flags or ["--config", str(self.file), "--test-clock", *self.arguments]
        environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
        with open(self.folder / "stdout.log", "ab") as out, open(self.folder / "stderr.log", "ab") as err:
            self.process = subprocess.Popen(
                [BINARY, "run", *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env=environment)

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"breakwater ended with status {self.process.returncode}:\n{self.stderr}")
        with contextlib.suppress(OSError, Broken):
            return self.admin("GET", "/readyz").status == 200
        return False

    def running(self):
        if self.process is None:
            self.start()
        return self

    def kill(self):
        """kill -9"""
        self.process.kill()
        self.process.wait()
        self.process = None

    def drain(self):
        """SIGTERM; wait until every worker has heard of it, not for the end."""
        self.process.send_signal(signal.SIGTERM)
        until(lambda: not self.listens(), "nobody new is let in", DEADLINE * SLOW)

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(self.address) == 0

    def stop(self, deadline=20):
        """SIGTERM, and wait for the orderly end."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(deadline * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.process = None
            raise AssertionError(f"still there {deadline} s after SIGTERM:\n{self.stderr}") from None
        self.process = None
        assert status == self.expected_status, f"ended with status {status}:\n{self.stderr}"

    def restart(self):
        self.stop()
        return self.start()

    def reload(self):
        """SIGHUP, and wait until the new file has been taken or refused: (taken, message)."""
        before = self.stats()["config"]
        self.write()
        self.process.send_signal(signal.SIGHUP)

        def seen():
            now = self.stats()["config"]
            return now if now["reloads"] != before["reloads"] else None
        now = until(seen, "the reload", DEADLINE * SLOW)
        return now["generation"] != before["generation"], now.get("error") or ""

    def close(self):
        """The end of the test: leave in good order."""
        if self.process is None:
            return
        status = self.process.poll()
        if status is not None:
            self.process = None
            raise AssertionError(f"breakwater died with status {status}:\n{self.stderr[-4000:]}")
        self.stop()

    def check_reports(self):
        report = REPORT.search(self.stderr)
        assert report is None, f"a report on stderr:\n{self.stderr[max(0, report.start() - 500):][:6000]}"

    @property
    def pid(self):
        return self.running().process.pid

    @property
    def stderr(self):
        path = self.folder / "stderr.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    @property
    def memory(self):
        """Resident bytes of the process."""
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024

    # --- requests

    def connect(self, address=None, client=Client, **options):
        options.setdefault("tls", self.tls)
        if options["tls"] is not None:
            options.setdefault("server_name", "edge.test")
        options.setdefault("timeout", DEADLINE * SLOW)
        self.running()
        return client(address or self.address, **options)

    def client(self, **options):
        """A connection by this edge's protocol, to ask on."""
        return self.connect(client=Http2 if self.way.is_http2 else Client, **options)

    def request(self, method, target, headers=(), body=None, host="edge.test", version="HTTP/1.1", settle=True,
                **options):
        """One request on a connection of its own.

        What was fetched to be stored is in the store when this returns, unless a fill is being held up.
        """
        if self.way.is_http2 and version == "HTTP/1.1":
            with self.client(**options) as client:
                page = client.ask(method, target, headers, body, host)
        else:
            with self.connect(**options) as client:
                client.send(request(method, target, headers, body, host, version))
                page = client.page(method)
        if settle and page.cache_status.get("stored"):
            self.settles()
        return page

    def get(self, target, **options):
        return self.request("GET", target, **options)

    def head(self, target, **options):
        return self.request("HEAD", target, **options)

    def post(self, target, body=b"", **options):
        return self.request("POST", target, body=body, **options)

    def raw(self, data, **options):
        """Send these bytes; all that comes back until the other side closes."""
        with self.connect(**options) as client:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.send(data)
            return client.everything()

    def together(self, count, target, **options):
        """`count` clients ask at once; a list in which .all() waits for the pages."""
        self.running()
        return Crowd(self, count, target, options)

    # --- what it says of itself

    def admin(self, method, target, body=None):
        with Client(("127.0.0.1", self.admin_port)) as client:
            return client.ask(method, target, {"Connection": "close"}, body, host="127.0.0.1")

    def stats(self):
        self.running()
        return self.admin("GET", "/v1/stats").json

    def metrics(self):
        self.running()
        return self.admin("GET", "/metrics").text

    def has_waiting(self, count):
        """Wait until so many requests wait in fills."""
        until(lambda: self.stats()["now"]["requests_waiting"] >= count, f"{count} requests waiting", DEADLINE * SLOW)

    def settles(self):
        """Wait until no fill is under way, but no longer than a second."""
        with contextlib.suppress(AssertionError):
            self.is_idle(1)

    def is_idle(self, deadline=DEADLINE * SLOW):
        """Wait until no fill is under way, so that what was fetched is stored."""
        def idle():
            self.admin("POST", "/v1/test/commit", b"")
            return self.stats()["now"]["fills"] == 0
        until(idle, "no fill under way", deadline)

    def logged(self, count=1):
        """Wait until the access log has so many lines, and give them, parsed."""
        path = self.folder / "access.log"

        def lines():
            found = path.read_text("utf-8").splitlines() if path.exists() else []
            return found if len(found) >= count else None
        return [json.loads(line) for line in until(lines, f"{count} lines in the access log", DEADLINE * SLOW)]

    @contextlib.contextmanager
    def gate(self, name):
        """Hold a named point of the process (base/gate.h) until the block is left."""
        self.running()
        self.gate_does(name, "hold")
        try:
            yield GateView(self, name)
        finally:
            self.gate_does(name, "release")

    def gate_does(self, name, action):
        query = urllib.parse.urlencode({"name": name, "action": action})
        page = self.admin("POST", f"/v1/test/gate?{query}", b"")
        assert page.status in (200, 204), page


class GateView:
    def __init__(self, edge, name):
        self.edge, self.name = edge, name

    def has_waiting(self, count=1):
        query = urllib.parse.urlencode({"name": self.name})
        until(lambda: self.edge.admin("GET", f"/v1/test/gate?{query}").json["waiting"] >= count,
              f"{count} at gate {self.name}", DEADLINE * SLOW)


class Crowd:
    """Clients on threads.  Iterating waits for all of them."""

    def __init__(self, edge, count, target, options):
        self.pages, self.errors = [None] * count, []
        self.threads = [threading.Thread(target=self.ask, args=(edge, i, target, options), daemon=True)
                        for i in range(count)]
        for thread in self.threads:
            thread.start()

    def ask(self, edge, index, target, options):
        try:
            one = target(index) if callable(target) else target
            self.pages[index] = edge.get(one, settle=False, **options)
        except (OSError, Broken) as error:
            self.errors.append(error)

    def all(self, deadline=60):
        end = time.monotonic() + deadline * SLOW
        for thread in self.threads:
            thread.join(max(0.0, end - time.monotonic()))
            assert not thread.is_alive(), f"a client still waits after {deadline} s"
        assert not self.errors, f"{len(self.errors)} clients failed, the first: {self.errors[0]!r}"
        return self.pages

    def __iter__(self):
        return iter(self.all())

    def __len__(self):
        return len(self.pages)


class Clock:
    """The clock of Breakwater, and of the origins: it can be moved forward."""

    def __init__(self, edge, origins):
        self.edge, self.origins = edge, origins

    def advance(self, seconds):
        self.edge.running()
        page = self.edge.admin("POST", f"/v1/test/clock?advance_ms={int(seconds * 1000)}", b"")
        assert page.status in (200, 204), page
        for origin in self.origins:
            origin.offset += seconds
