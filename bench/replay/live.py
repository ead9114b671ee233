"""live - replays a trace over HTTP against Breakwater and its peers, and counts at the origin.

Every product gets the same size of cache, the same client and a new origin.  What it really keeps is measured at the
end: the origin then answers 503 to everything, so what still comes with 200 was stored.
"""
import dataclasses
import http.client
import json
import os
import pathlib
import socket
import subprocess
import threading
import time

from harness import machine, products

HERE = pathlib.Path(__file__).resolve().parent
PEERS = HERE.parent / "peers" / "offload"
CONNECTIONS = 4  # enough to keep a product busy, few enough that requests arrive in the order of the trace
MIB = 1 << 20
TRAFFIC_SERVER_SPARE = 5 * MIB  # what its store loses to directories and to what it is about to write over; measured
WATCH_EVERY = 0.2  # seconds
WAKES = 130  # a second
MANAGER_SECONDS = 30


def variants(room):
    """{name: (product, words)}: the harness's products, with what a small cache of `room` bytes needs."""
    all_of = products.PRODUCTS
    breakwater = dataclasses.replace(all_of["breakwater"], files=(str(PEERS / "breakwater.yaml"),))
    # one large object may take the place of many small ones; by default Varnish breaks the response off after 50
    command = (*all_of["varnish"].command, "-p", "nuke_limit=1000000")
    varnish = dataclasses.replace(all_of["varnish"], command=command)
    # the folders of its store are made first; a name of its own, since what Squid leaves in shared memory when it is
    # killed keeps the next one from starting
    squid = "squid -N -n bench@PORT@ -f @DIR@/squid.conf"
    command = f"mkdir -p -m 777 @DIR@/cache; {squid} -z && exec {squid}"
    squid = dataclasses.replace(all_of["squid"], files=(str(PEERS / "squid.conf"),), command=("sh", "-c", command))
    return {
        "breakwater": (dataclasses.replace(breakwater, title="Breakwater, protect: requests"), {"PROTECT": "requests"}),
        "breakwater:bytes": (dataclasses.replace(breakwater, title="Breakwater, protect: bytes"), {"PROTECT": "bytes"}),
        "nginx": (dataclasses.replace(all_of["nginx"], files=(str(PEERS / "nginx.conf"),)), {}),
        "varnish": (varnish, {}),
        "trafficserver": (all_of["trafficserver"], {"SIZE": room + TRAFFIC_SERVER_SPARE}),
        "squid": (squid, {}),
        "haproxy": (dataclasses.replace(all_of["haproxy"], files=(str(PEERS / "haproxy.cfg"),)), {}),
    }


class Origin:
    """Our counting origin, on the core of the load."""

    def __init__(self, program):
        self.port = machine.free_port()
        self.process = subprocess.Popen(["taskset", "-c", str(machine.LOAD_CORE), program, "origin", str(self.port)])
        end = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > end:
                raise machine.Trouble(f"the origin does not listen on port {self.port}; run it again")
            time.sleep(0.01)

    def tell(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path)
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def figures(self):
        return [int(word) for word in self.tell("/figures").split()]

    def stop(self):
        self.process.kill()
        self.process.wait()


class Watch:
    """Meanwhile: looks at how large the store on disk is, and keeps nginx's cache manager awake (its nginx.conf)."""

    def __init__(self, server):
        self.server, self.peak, self.asked = server, 0, 0
        self.ended, self.ready = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        if not self.ready.wait(MANAGER_SECONDS):
            self.__exit__()
            raise machine.Trouble(f"{self.server.name} does not look after the size of its cache; run it again")
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        began = time.monotonic()
        while not self.ended.wait(WATCH_EVERY):
            self.peak = max(self.peak, on_disk(self.server.folder / "cache"))
            if self.server.name != "nginx":
                self.ready.set()
                continue
            self.keep_awake(connection, int((time.monotonic() - began + 3) * WAKES))
        connection.close()

    def keep_awake(self, connection, number):
        """The first time the manager sleeps for ten seconds: it is awake once pages are fewer than were asked for."""
        for self.asked in range(self.asked + 1, number + 1):
            connection.request("GET", f"/awake/{self.asked}")
            connection.getresponse().read()
        if len(list((self.server.folder / "awake").iterdir())) < self.asked - 1:
            self.ready.set()


def on_disk(folder):
    """Bytes of the files below, as the file system charges them."""
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.stat(os.path.join(path, name)).st_blocks * 512
            except OSError:
                continue  # evicted meanwhile
    return total


def client(program, command, port, trace, seconds):
    done = subprocess.run(["taskset", "-c", str(machine.LOAD_CORE), program, command, str(port), str(CONNECTIONS),
                           trace], capture_output=True, text=True, check=False, timeout=seconds)
    if done.returncode != 0:
        raise machine.Trouble(done.stderr.strip() or "the client ended too soon")
    return json.loads(done.stdout)


def start(bench, product, words, room, origin):
    words = {"ORIGIN": origin.port, "WORKERS": 1, "HALF": room // 2 - 1024, **products.sizes(room), **words}
    server = products.Server(bench, product, machine.SERVER_CORE, words, None)
    bench.running.append(server)
    server.run()
    return server


def measure(bench, program, name, trace, room):
    """The figures of one product."""
    product, words = variants(room)[name]
    origin = Origin(program)
    server = None
    try:
        server = start(bench, product, words, room, origin)
        before = origin.figures()
        with Watch(server) as watch:
            answered = client(program, "load", server.port, trace["path"], 600)
        asked, sent = (after - at_first for after, at_first in zip(origin.figures(), before))
        if answered["failed"] or answered["refused"]:
            raise machine.Trouble(f"{product.title} failed {answered['failed']} requests and refused "
                                  f"{answered['refused']}; nothing can be said of its offload")
        origin.tell("/off")
        held = client(program, "held", server.port, trace["path"], 600)
        return {"name": name, "title": product.title, "version": bench.version(product.name),
                "seconds": answered["seconds"], "request_offload": 100 * (1 - asked / trace["requests"]),
                "byte_offload": 100 * (1 - sent / trace["bytes"]), "origin_requests": asked,
                "origin_bytes": sent, "held": held["bytes"], "held_objects": held["answered"],
                "on_disk": watch.peak}
    finally:
        if server is not None:
            server.stop(patient=False)
            for left in pathlib.Path("/dev/shm").glob(f"bench{server.port}-*"):
                left.unlink()
        origin.stop()


def write_trace(simulator, tables, path, name, reduce):
    """The trace as a file, and what the simulator says of it."""
    command = [simulator, "--tables", tables, *reduce]
    done = subprocess.run([*command, "--write", str(path), name], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise machine.Trouble(done.stderr.strip())
    return {"path": str(path), "name": name}


def run(options, simulated, folder, progress):
    """One trace with a cache of one size: `simulated` are its cells, which know footprint and bytes."""
    trace = write_trace(str(options.build / "offload-sim"), options.tables, folder / "trace.csv", options.traces[0],
                        options.reduce)
    cell = simulated[0]
    room = max(round(cell["room"] / MIB), 1) * MIB
    trace.update(requests=cell["requests"], bytes=cell["bytes"])
    bench = products.Bench(folder, (options.build / "breakwater").resolve())
    for name in options.products:
        bench.need(variants(room)[name][0].name)
    result = {"trace": cell["trace"], "share": cell["share"], "room": room, "footprint": cell["footprint"],
              "requests": cell["requests"], "objects": cell["objects"], "bytes": cell["bytes"], "products": [],
              "simulated": simulated}
    try:
        for name in options.products:
            progress(f"live: {name}")
            result["products"].append(measure(bench, str(options.build / "offload-live"), name, trace, room))
    finally:
        bench.stop_all()
    return result
