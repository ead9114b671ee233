"""products - Breakwater and its peers: start one on its core, ask what it costs, stop it by pid.

Each has a configuration in bench/peers/ and a folder of its own, and listens on loopback only.  It runs in a session of
its own, so that all its processes are known: their CPU, their memory, and that none is left.
"""
import dataclasses
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

from .machine import BENCH, MIB, Trouble, free_port, need_port, need_program, package_version

START_SECONDS = 30
STOP_SECONDS = 40
IDLE, IDLE_EVERY, IDLE_PATIENCE = 0.04, 0.5, 30  # share of a core, and seconds
DEFAULT_CACHE = 4096 * MIB


@dataclasses.dataclass(frozen=True)
class Product:
    """What it takes to run one; `files` are filled in from bench/peers/ and `command` is filled in the same way."""
    name: str
    title: str
    program: str
    package: str
    files: tuple
    command: tuple
    environment: tuple = ()
    is_cache: bool = True


PRODUCTS = {product.name: product for product in (
    Product("breakwater", "Breakwater", "@BINARY@", "", ("breakwater.yaml",),
            ("@BINARY@", "run", "--config", "@DIR@/breakwater.yaml")),
    Product("nginx", "nginx", "nginx", "nginx-light", ("nginx.conf",),
            ("nginx", "-c", "@DIR@/nginx.conf", "-e", "@DIR@/nginx.log")),
    Product("varnish", "Varnish", "varnishd", "varnish", ("varnish.vcl",),
            ("varnishd", "-F", "-j", "none", "-n", "@DIR@/v", "-a", "127.0.0.1:@PORT@", "-f", "@DIR@/varnish.vcl",
             "-s", "malloc,@SIZE_MIB@M", "-p", "thread_pools=1", "-p", "thread_pool_min=128",
             "-p", "thread_pool_max=@THREADS@", "-p", "default_grace=0", "-p", "default_keep=3600",
             "-p", "listen_depth=4096", "-p", "timeout_idle=600")),
    Product("trafficserver", "Traffic Server", "traffic_server", "trafficserver",
            tuple(f"trafficserver/{name}" for name in ("records.config", "remap.config", "storage.config",
                                                       "runroot.yaml", "ssl_multicert.config", "ip_allow.yaml")),
            ("traffic_server",), (("TS_RUNROOT", "@DIR@/runroot.yaml"),)),
    Product("squid", "Squid", "squid", "squid-openssl", ("squid.conf",),
            ("squid", "-N", "-n", "bench@PORT@", "-f", "@DIR@/squid.conf")),
    Product("haproxy", "HAProxy", "haproxy", "haproxy", ("haproxy.cfg",),
            ("haproxy", "-db", "-f", "@DIR@/haproxy.cfg")),
    Product("h2o", "h2o, static files", "h2o", "h2o", ("h2o.conf",), ("h2o", "-m", "worker", "-c", "@DIR@/h2o.conf"),
            is_cache=False),
    Product("origin", "the origin", "nginx", "nginx-light", ("origin.conf",),
            ("nginx", "-c", "@DIR@/origin.conf", "-e", "@DIR@/origin.log"), is_cache=False),
    Product("slow-origin", "the slow origin", "python3", "python3", (),
            (sys.executable, str(BENCH / "harness" / "slow_origin.py"), "@PORT@", "@FILES@", "@BEHAVIOUR@"),
            is_cache=False),
)}
NAMES = [name for name in PRODUCTS if not name.endswith("origin")]


def sizes(cache_bytes):
    """The words for the size of a cache.  HAProxy takes all of it at the start, so it gets a gigabyte at most."""
    mib = max(cache_bytes // MIB, 1)
    return {"SIZE": cache_bytes, "SIZE_MIB": mib, "HAPROXY_MIB": min(mib, 1024), "RAM": min(cache_bytes, 1024 * MIB),
            "THREADS": 5000}


class Bench:
    """What all products of a run share: the folder, the binary, the files that are served, the certificate."""

    def __init__(self, folder, binary):
        self.folder, self.binary, self.running, self.count = folder, binary, [], 0
        self.files = folder / "files"
        self.files.mkdir()
        self.files.chmod(0o755)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-keyout", str(folder / "bench.key"),
                        "-out", str(folder / "bench.crt")], check=True, capture_output=True)
        (folder / "bench.pem").write_bytes((folder / "bench.crt").read_bytes() + (folder / "bench.key").read_bytes())

    def need(self, name):
        product = PRODUCTS[name]
        if name == "breakwater":
            if not os.access(self.binary, os.X_OK):
                raise Trouble(f"{self.binary} is not there; make builds it, --binary names another")
        else:
            need_program(product.program, product.package)

    def version(self, name):
        if name == "breakwater":
            text = subprocess.run([str(self.binary), "version"], capture_output=True, text=True, check=False).stdout
            return text.split()[-1] if text.split() else "?"
        return package_version(PRODUCTS[name].package)

    def start(self, name, core, cache_bytes=DEFAULT_CACHE, origin_port=0, workers=1, keep=None, behaviour=""):
        """
        Starts a product, pinned to `core` (a number or a list).
        `keep`: a folder whose store outlives the process.
        """
        words = {"ORIGIN": origin_port, "WORKERS": workers, "BEHAVIOUR": behaviour, **sizes(cache_bytes)}
        server = Server(self, PRODUCTS[name], core, words, keep)
        self.running.append(server)
        try:
            server.run()
        except BaseException:
            server.stop()
            raise
        return server

    def stop_all(self):
        for server in list(self.running):
            server.stop(patient=False)


class Server:
    """A product that runs."""

    def __init__(self, bench, product, core, words, keep):
        self.bench, self.product, self.name = bench, product, product.name
        self.cores = core if isinstance(core, list) else [core]
        bench.count += 1
        self.folder = pathlib.Path(keep) if keep else bench.folder / f"{self.name}-{bench.count}"
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o755)
        self.port, self.tls, self.admin = self.ports()
        self.process, self.paused = None, False
        self.words = {"BINARY": bench.binary, "DIR": self.folder, "FILES": bench.files, "PORT": self.port,
                      "TLS": self.tls, "ADMIN": self.admin, **words}

    def ports(self):
        """Free ones, and the same again for a store that is kept: the Host is a part of the key."""
        known = self.folder / "ports"
        if not known.exists():
            known.write_text(" ".join(str(free_port()) for _ in range(3)))
        return map(int, known.read_text().split())

    def fill(self, text):
        for word, value in self.words.items():
            text = text.replace(f"@{word}@", str(value))
        return text

    def configure(self):
        """
        The product's files; a line that begins with @ROOT@ is for a run as root: stay it, the folder is ours alone.
        """
        for name in self.product.files:
            lines = self.fill((BENCH / "peers" / name).read_text()).splitlines(True)
            if os.getuid() == 0:
                lines = [line.removeprefix("@ROOT@ ") for line in lines]
            (self.folder / pathlib.Path(name).name).write_text("".join(x for x in lines if not x.startswith("@ROOT@")))
        for name in ("bench.crt", "bench.key", "bench.pem"):
            shutil.copy(self.bench.folder / name, self.folder)

    def run(self):
        self.configure()
        for port in (self.port, self.tls, self.admin):
            need_port(port, self.name)
        cores = ",".join(map(str, self.cores))
        environment = {**os.environ, **{key: self.fill(value) for key, value in self.product.environment}}
        with open(self.folder / "output.log", "wb") as log:
            self.process = subprocess.Popen(["taskset", "-c", cores, *map(self.fill, self.product.command)], stdout=log,
                                            stderr=log, env=environment, start_new_session=True)
        self.began = time.monotonic()
        self.wait_for_port()
        if self.name == "trafficserver":  # leaves its set of CPUs, threads that begin later as well
            subprocess.run(["taskset", "-a", "-c", "-p", cores, str(self.process.pid)], check=True, capture_output=True)

    def wait_for_port(self):
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > self.began + START_SECONDS:
                raise Trouble(f"{self.name} did not start; its last words: {self.last_words()}")
            time.sleep(0.005)

    def last_words(self):
        """One line, from what it wrote to its output and its log."""
        texts = [path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log"))]
        lines = [line for line in "\n".join(texts).splitlines() if line.strip()]
        return lines[-1][:300] if lines else "none"

    def processes(self):
        """(pid, the fields of its stat from the state on) of each process of its session."""
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(fields[3]) == self.process.pid and fields[0] != "Z":
                    yield int(entry.name), fields

    def cpu(self):
        """Seconds of CPU of all its processes."""
        return sum(int(f[11]) + int(f[12]) for _, f in self.processes()) / os.sysconf("SC_CLK_TCK")

    def wait_until_idle(self):
        """What it does by itself after its start, as reading its index, is over.  Who is never idle is left to it."""
        end, before = time.monotonic() + IDLE_PATIENCE, self.cpu()
        while time.monotonic() < end:
            time.sleep(IDLE_EVERY)
            used = self.cpu()
            if used - before <= IDLE * IDLE_EVERY:
                return
            before = used

    def memory(self):
        """Bytes that it holds itself: what it maps from files is the kernel's."""
        total = 0
        for pid, _ in self.processes():
            try:
                words = pathlib.Path(f"/proc/{pid}/status").read_text().split()
            except OSError:
                continue
            total += sum(int(words[words.index(key) + 1]) for key in ("RssAnon:", "RssShmem:") if key in words)
        return total * 1024

    def signal(self, number):
        for pid, _ in list(self.processes()):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def pause(self):
        """Costs nothing until resume(): what waits for its turn does not disturb what is being measured."""
        self.signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        if self.paused:
            self.signal(signal.SIGCONT)
            self.paused = False

    def stop(self, patient=True):
        if self in self.bench.running:
            self.bench.running.remove(self)
        if self.process is None:
            return
        self.resume()
        if patient and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        self.signal(signal.SIGKILL)
        self.process.wait()
        for left in pathlib.Path("/dev/shm").glob(f"bench{self.port}-*"):  # Squid's, of the name that it was given
            left.unlink(missing_ok=True)
