"""run - a scenario from its first product's start to its last one's stop, rounds interleaved: A B C A B C.

All products of a scenario are started once and those whose turn it is not are paused.  Where a store has to outlive the
process (a start on a full store, cold reads, a million objects) it is filled once and each turn is a new process on it.
"""
import json
import os
import random
import sys
import time

from . import check, kinds
from .machine import LOAD_CORE, MIB, need_room, server_cores
from .scenario import SIZES

KEPT = ("start",)
# before a product is stopped whose store is to be found again: Traffic Server writes its directory every few seconds
SETTLE_SECONDS = {"trafficserver": 10}


class Run:
    """What all scenarios of a run share, and what they have found."""

    def __init__(self, bench, options, progress):
        self.bench, self.options, self.progress = bench, options, progress
        self.origin, self.connections = None, options.connections
        self.figures, self.failures, self.took = {}, {}, {}

    def start_origin(self):
        self.origin = self.bench.start("origin", LOAD_CORE)

    def products_of(self, scenario):
        return [name for name in scenario.products if name in self.options.products]

    def rounds_of(self, scenario):
        return min(self.options.rounds, scenario.rounds)


def is_kept(scenario):
    return scenario.kind in KEPT or bool(scenario.store) or bool(scenario.beside and scenario.beside["cold"])


def needs_filling(scenario):
    """memory fills by itself, since that is what it measures."""
    lists = scenario.ask["pick"] != "one" and scenario.holds["from"] in ("cache", "revalidated")
    return scenario.kind != "memory" and (lists or is_kept(scenario))


def make_files(bench, scenario):
    """The origin's files, and for h2o one below the path of the hot object."""
    for word in scenario.size_words() | {"1k"}:
        path = bench.files / word
        if not path.exists():
            path.write_bytes(random.Random(word).randbytes(SIZES[word]))
            (bench.files / "keep" / word).mkdir(parents=True)
            os.link(path, bench.files / "keep" / word / "hot")


def start(run, scenario, name, origin, keep=None):
    cores = server_cores(scenario.workers)
    return run.bench.start(name, cores, scenario.cache_mib * MIB, origin.port, scenario.workers, keep)


def start_origin_of(run, scenario):
    """The slow origin if the scenario describes one; else the one of the run."""
    if not scenario.origin:
        return run.origin, check.Origins(run.bench, run.origin)
    server = run.bench.start("slow-origin", LOAD_CORE, behaviour=json.dumps(scenario.origin))
    return server, check.Origins(run.bench, server, slow=True)


def kept_folder(run, scenario, name):
    return run.bench.folder / f"store-{scenario.store or scenario.name}-{name}"


def prepare_kept(run, scenario, name, origins):
    """Fills a store that is to be found by later processes, unless another scenario did."""
    folder = kept_folder(run, scenario, name)
    if (folder / "filled").exists():
        return
    server = start(run, scenario, name, origins.server, folder)
    try:
        warm_up(server, origins)
        kinds.fill(server, origins, scenario, "0")
        time.sleep(SETTLE_SECONDS.get(name, 1))
    finally:
        server.stop()
    (folder / "filled").touch()


def warm_up(server, origins):
    """Traffic Server listens before its cache is ready to store."""
    if server.product.is_cache:
        check.becomes_hit(server, origins, "/slow/1k/warm" if origins.slow else "/keep/1k/hot", "http")


class Group:
    """The products of one scenario."""

    def __init__(self, run, scenario):
        self.run, self.scenario, self.servers = run, scenario, {}
        self.origin, origins = start_origin_of(run, scenario)
        self.origins = origins

    def prepare(self, name):
        if is_kept(self.scenario):
            prepare_kept(self.run, self.scenario, name, self.origins)
            return
        server = start(self.run, self.scenario, name, self.origin)
        self.servers[name] = server
        try:
            warm_up(server, self.origins)
            if needs_filling(self.scenario):
                kinds.fill(server, self.origins, self.scenario, "0")
        finally:
            server.pause()

    def take(self, name):
        """The product, running: the one that was paused, or a new process on the kept store."""
        if name in self.servers:
            self.servers[name].resume()
            return self.servers[name]
        folder = kept_folder(self.run, self.scenario, name)
        if self.scenario.beside and self.scenario.beside["cold"]:
            kinds.forget(folder)
        server = start(self.run, self.scenario, name, self.origins.server, folder)
        if self.scenario.kind != "start":
            server.wait_until_idle()
        return server

    def put(self, server):
        if server.name in self.servers:
            server.pause()
        else:
            server.stop()

    def turn(self, name, number):
        """One round of one product."""
        seed = "0" if needs_filling(self.scenario) else f"{name}{number}"
        server = self.take(name)
        try:
            fields = []
            if self.scenario.kind in ("rate", "beside"):
                fields = check.check(server, self.origins, self.scenario, seed)
            turn = kinds.Turn(server, self.origins, self.scenario, seed, self.run.options.seconds, fields)
            return kinds.KINDS[self.scenario.kind](turn)
        finally:
            self.put(server)

    def stop(self):
        for server in self.servers.values():
            server.stop(patient=False)
        if self.origin is not self.run.origin:
            self.origin.stop(patient=False)


def run_scenario(run, scenario):
    """Leaves figures and failures in the run; a product that fails takes no further part in this scenario."""
    need_room(run.bench.folder, scenario.disk_mib)
    make_files(run.bench, scenario)
    figures = run.figures[scenario.name] = {name: [] for name in run.products_of(scenario)}
    failures = run.failures[scenario.name] = {}
    began, group = time.monotonic(), Group(run, scenario)
    try:
        for number in range(-1, run.rounds_of(scenario)):  # -1: preparing
            for name in [name for name in figures if name not in failures]:
                run.progress.step(scenario, name, number)
                try:
                    if number < 0:
                        group.prepare(name)
                    else:
                        figures[name].append(group.turn(name, number))
                except check.Failed as failure:
                    failures[name] = str(failure)
    finally:
        group.stop()
        run.took[scenario.name] = time.monotonic() - began


class Progress:
    """Where the run is and how long it is going to take, on stderr; a terminal gets a line that changes."""

    def __init__(self, scenarios, run_products, rounds_of, seconds):
        self.costs = {s.name: (preparing(s), expected(s, seconds), rounds_of(s)) for s in scenarios}
        self.total = sum((before + each * rounds_of(s)) * len(run_products(s))
                         for s, (before, each, _) in zip(scenarios, self.costs.values()))
        self.began, self.done, self.before, self.scenario = time.monotonic(), 0, 0, None

    def left(self):
        """The guess for the rest, corrected by how the guess for the past came true."""
        gone = time.monotonic() - self.began
        pace = gone / self.done if self.done > 20 else 1
        return max(self.total - self.done, 0) * pace

    def step(self, scenario, name, number):
        self.done += self.before
        self.before = self.costs[scenario.name][0 if number < 0 else 1]
        left = self.left()
        what = "preparing" if number < 0 else f"round {number + 1} of {self.costs[scenario.name][2]}"
        text = f"{scenario.name}: {what}, {name}; about {left // 60:.0f}:{left % 60:02.0f} left"
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        elif scenario.name != self.scenario:
            print(text, file=sys.stderr, flush=True)
        self.scenario = scenario.name

    def clear(self):
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def preparing(scenario):
    """Seconds that it takes to start a product and to fill its cache, roughly."""
    return 1 + (3 if is_kept(scenario) else 0) + (scenario.ask["objects"] / 10000 if needs_filling(scenario) else 0)


def expected(scenario, seconds):
    """Seconds of one turn, roughly."""
    asks, origin = scenario.ask, scenario.origin
    thousands = asks["connections"] / 1000
    fixed = {"rate": 0.5 + seconds, "readers": 2 + seconds, "beside": 2 + 2 * seconds,
             "crowd": 10 * thousands, "memory": 3 + 5 * thousands, "start": 2}.get(scenario.kind, 0)
    if scenario.holds["from"] == "stored":
        fixed += 2
    if scenario.kind == "expiry":
        fixed = asks["waves"] * (4 + 2 * origin["delay_ms"] / 1000)
    return fixed
