"""kinds - one function for each kind of scenario: does the work of one round for one product, answers its figures."""
import json
import os
import pathlib
import time
import urllib.request

from . import check, load
from .check import Failed
from .scenario import SIZES

FILL_CONNECTIONS = 32
FILL_SECONDS = 540  # of all passes of a fill
READING_SECONDS = 1.0  # until readers are at full speed
WITHOUT_H2 = ("varnish", "squid")


class Turn:
    """One product's turn: the server, its origin, the scenario and what tells this turn from others."""

    def __init__(self, server, origins, scenario, seed, seconds, fields):
        self.server, self.origins, self.scenario = server, origins, scenario
        self.seed, self.seconds, self.fields = seed, seconds, fields

    def url(self, path=""):
        tls = self.scenario.ask["protocol"] != "http"
        return f"http{'s' if tls else ''}://127.0.0.1:{self.server.tls if tls else self.server.port}{path}"


def fill(server, origins, scenario, seed):
    """
    Every object of the list, so that the load finds it in the cache: what is asked for, or is read beside it.
    """
    asks, cold = scenario.ask, scenario.beside and scenario.beside["cold"]
    plan = scenario.beside if cold else asks
    url = f"https://127.0.0.1:{server.tls}" if asks["protocol"] == "https" else f"http://127.0.0.1:{server.port}"
    picking = (seed, 1, 0, plan["path"], ",".join(() if cold else asks["sizes"]) or "-")
    end = time.monotonic() + FILL_SECONDS

    def once():
        before = origins.sent()
        bad = load.fill(url, min(FILL_CONNECTIONS, plan["objects"]), plan["objects"], picking,
                        max(int(end - time.monotonic()), 1))
        if bad is None:
            raise Failed(f"{server.name}: {plan['objects']:,} objects were not stored within {FILL_SECONDS} s")
        if bad:
            raise Failed(f"{server.name}: {bad} of {plan['objects']:,} responses failed while it was filled")
        return origins.sent() - before

    check.until_stored(server, plan["objects"], once)


class Watch:
    """CPU and requests to the origin from here to figures()."""

    def __init__(self, turn):
        self.turn = turn
        self.origin = turn.origins.count()
        self.cpu, self.origin_cpu, self.began = turn.server.cpu(), turn.origins.server.cpu(), time.monotonic()

    def figures(self, load_cpu=0):
        took = time.monotonic() - self.began
        cpu = (self.turn.server.cpu() - self.cpu) / took
        origin = (self.turn.origins.server.cpu() - self.origin_cpu) / took
        return {"cpu": cpu, "load_cpu": load_cpu + origin, "origin_requests": self.turn.origins.count() - self.origin}


def rate(turn):
    """As many responses as the connections can take."""
    asks, path = turn.scenario.ask, check.expand(turn.scenario, 1, turn.seed)
    watch = Watch(turn)
    if asks["protocol"] == "h2":
        figures = load.h2load(turn.url(path), asks["connections"], asks["streams"], turn.seconds, turn.fields)
    else:
        one = asks["pick"] == "one"
        picking = () if one else (asks["pick"], asks["objects"], turn.seed, asks["zipf"], asks["miss_percent"],
                                  asks["path"], ",".join(asks["sizes"]) or "-")
        figures = load.wrk(turn.url(path if one else ""), asks["connections"], turn.seconds, turn.fields, picking)
    figures.update(watch.figures(figures["load_cpu"]))
    if turn.scenario.holds["from"] == "stored" and figures["requests"]:
        figures["stored"] = check.share_stored(turn.server, turn.origins, turn.scenario, turn.seed, figures["requests"])
        figures["stored_rate"] = figures["rate"] * figures["stored"]
    figures["per_cpu"] = figures.get(turn.scenario.rate_figure(), 0) / max(figures["cpu"], 0.01)
    check.check_measured(turn.server, turn.scenario, figures)
    return figures


def steady(turn, path, per_second, connections, **more):
    size = next(SIZES[word] for word in path.split("/") if word in SIZES)
    return load.Own("steady", port=turn.server.port, path=path, rate=per_second, connections=connections, size=size,
                    seed=turn.seed, **more)


def good(turn, what, figures):
    if figures["errors"]:
        raise Failed(f"{turn.server.name}: {figures['errors']} {what} failed: {figures['why'][0]}")
    return figures


def beside(turn):
    """The times of hits that come at a steady rate, alone and while the server does something heavy as well."""
    asks, other = turn.scenario.ask, turn.scenario.beside
    path = check.expand(turn.scenario, 1, turn.seed)
    hits = {"per_second": asks["rate"], "connections": asks["connections"], "first": True}
    with steady(turn, path, seconds=turn.seconds, **hits) as quiet_client:
        quiet = good(turn, "hits", quiet_client.line())
    watch = Watch(turn)
    with steady(turn, other["path"], other["rate"], other["connections"], seconds=turn.seconds + 1,
                objects=other["objects"]) as heavy, steady(turn, path, seconds=turn.seconds, **hits) as client:
        loud, heavy_figures = good(turn, "hits", client.line()), good(turn, "heavy responses", heavy.line())
    figures = {key: quiet[key] for key in ("p50_ms", "p99_ms", "p999_ms")}
    figures.update({"loud_" + key: loud[key] for key in figures})
    figures.update(watch.figures(), requests=loud["requests"], errors=0, heavy=heavy_figures["requests"],
                   p99_growth=loud["p99_ms"] / max(quiet["p99_ms"], 0.001))
    figures["load_cpu"] = None
    if not other["cold"] and figures["origin_requests"] < 0.95 * heavy_figures["requests"]:
        raise Failed(f"{turn.server.name}: only {figures['origin_requests']} of {heavy_figures['requests']} fills "
                     "reached the origin")
    # Traffic Server has not stored a few of those that it was given
    if other["cold"] and figures["origin_requests"] > 0.1 * heavy_figures["requests"]:
        raise Failed(f"{turn.server.name}: {figures['origin_requests']} of {heavy_figures['requests']} stored objects "
                     "were fetched again")
    return figures


def readers(turn):
    """The times of hits, one after the other on each connection, while others read as fast as they can."""
    asks, other = turn.scenario.ask, turn.scenario.beside
    check.becomes_hit(turn.server, turn.origins, other["path"], asks["protocol"])
    path, streams = check.expand(turn.scenario, 1, turn.seed), {**asks, "streams": other["streams"]}
    with load.Readers(turn.url(other["path"]), streams, other["connections"], turn.seconds + 10) as others:
        time.sleep(READING_SECONDS)
        watch = Watch(turn)
        if asks["protocol"] == "h2":
            figures = load.h2load(turn.url(path), asks["connections"], 1, turn.seconds, turn.fields,
                                  turn.server.folder / "h2load.log")
        else:
            figures = load.wrk(turn.url(path), asks["connections"], turn.seconds, turn.fields)
        if others.process.poll() is not None:
            raise Failed(f"{turn.server.name}: the readers of {other['path']} have ended")
    figures.update(watch.figures(figures["load_cpu"]))
    check.check_measured(turn.server, turn.scenario, figures)
    return figures


def crowd(turn):
    """All ask at once for what is not there."""
    asks = turn.scenario.ask
    path = check.expand(turn.scenario, 1, turn.seed)
    file = turn.origins.server.bench.files / next(word for word in path.split("/") if word in SIZES)
    turn.origins.begin()
    watch = Watch(turn)
    with load.Own("crowd", port=turn.server.port, path=path, clients=asks["connections"], file=str(file),
                  seconds=100) as client:
        figures = good(turn, "clients of the crowd", client.line(200))
    figures.update(watch.figures())
    origin = turn.origins.figures()
    figures["origin_peak"] = origin["peak"]
    figures["last_first_byte_ms"] = (figures.pop("last_first_byte") - origin["first_byte"]) * 1000
    figures["load_cpu"] = None
    return figures


def expiry(turn):
    """Everybody asks just when the object has expired; who waits for the origin is one who should not."""
    asks, origin = turn.scenario.ask, turn.scenario.origin
    path = check.expand(turn.scenario, 1, turn.seed)
    file = turn.origins.server.bench.files / next(word for word in path.split("/") if word in SIZES)
    lifetime = int(origin["cache_control"].partition("max-age=")[2].partition(",")[0]) + origin["delay_ms"] / 1000
    turn.origins.begin()
    watch = Watch(turn)
    with load.Own("wave", port=turn.server.port, path=path, clients=asks["connections"], file=str(file),
                  lifetime=lifetime, waves=asks["waves"], seconds=60, limit=origin["delay_ms"] * 0.9 / 1000) as client:
        figures = client.line(400)
    figures.update(watch.figures(), origin_peak=turn.origins.figures()["peak"], load_cpu=None)
    return figures


def first_hit(turn):
    """Seconds from its start to its first whole answer for which the origin was not asked."""
    server, n = turn.server, max(turn.scenario.ask["objects"] // 2, 1)
    while time.monotonic() < server.began + 60:
        before = turn.origins.count()
        try:
            path = check.expand(turn.scenario, n, turn.seed)
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
                answer.read()
        except OSError:
            time.sleep(0.002)
            continue
        took = time.monotonic() - server.began
        if turn.origins.count() == before:
            return took
        n += 1  # Traffic Server answers before its cache is there, and stores what it fetches later
    raise Failed(f"{server.name} gave no hit within 60 s of its start")


def stats(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/v1/stats", timeout=5) as answer:
        return json.load(answer)


def find(tree, key):
    """The value of a key, wherever it stands in the statistics."""
    if isinstance(tree, dict):
        if key in tree:
            return tree[key]
        for value in tree.values():
            found = find(value, key)
            if found is not None:
                return found
    return None


def start(turn):
    """A new process on a full store: the first hit, and (Breakwater tells) the whole index."""
    figures = {"first_hit_s": first_hit(turn), "errors": 0}
    while turn.server.name == "breakwater":
        told = stats(turn.server)
        if find(told, "index_loaded"):
            figures["full_index_s"] = time.monotonic() - turn.server.began
            figures["objects"] = find(told, "objects")
            break
        if time.monotonic() > turn.server.began + 120:
            raise Failed("breakwater has not the whole index after 120 s")
        time.sleep(0.01)
    return figures


def memory_of_objects(turn, figures):
    """Of the second half of the objects: the first has filled what is there once, as queues and buffers."""
    asks, server = turn.scenario.ask, turn.server
    fill(server, turn.origins, turn.scenario, "first")
    time.sleep(check.STORED_SECONDS)
    half = server.memory()
    fill(server, turn.origins, turn.scenario, "second")
    time.sleep(check.STORED_SECONDS)
    figures["bytes_per_object"] = (server.memory() - half) / asks["objects"]
    if server.name == "breakwater":
        told = stats(server)
        figures["index_bytes_per_object"] = find(told, "index_bytes") / max(find(told, "objects"), 1)


def memory_of_connections(turn, protocol, port):
    """Of connections that have had one response."""
    path, server = "/keep/1k/hot", turn.server
    asks = {"port": port, "path": path, "protocol": protocol}
    with load.Own("idle", connections=10, **asks) as client:  # what the first ones bring is there once
        client.line()
        before = server.memory()
        with load.Own("idle", connections=turn.scenario.ask["connections"], **asks) as many:
            many.line(200)
            time.sleep(0.5)
            return (server.memory() - before) / turn.scenario.ask["connections"]


def memory(turn):
    """What an object and an idle connection add to the memory of its own."""
    figures, server = {"errors": 0}, turn.server
    figures["bytes_per_connection"] = memory_of_connections(turn, "http", server.port)
    if server.name not in WITHOUT_H2:
        figures["bytes_per_h2_connection"] = memory_of_connections(turn, "h2", server.tls)
    memory_of_objects(turn, figures)
    return figures


def forget(folder):
    """The kernel forgets the files of a product that was stopped, so that they come from the disk."""
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            os.fdatasync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


KINDS = {"rate": rate, "beside": beside, "readers": readers, "crowd": crowd, "expiry": expiry, "start": start,
         "memory": memory}
