"""load - wrk, h2load and our own clients, pinned to the other core; every answer is a dict of figures.

wrk and h2load are closed loops: as fast as the connections allow.  What they cannot do (a crowd that starts at once,
a wave at the moment of expiry, a steady rate, connections that stay idle) is in clients.py, run as processes.
"""
import json
import re
import resource
import select
import signal
import subprocess
import sys
import threading

from .machine import BENCH, LOAD_CORE, Trouble

RUNNING = []  # our own clients that have not ended
PINNED = ("taskset", "-c", str(LOAD_CORE))


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def words_of(process):
    """All that it writes; it is interrupted when it says that its work is over (paths.lua)."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == "@over\n":
            process.send_signal(signal.SIGINT)
    return "".join(lines)


def finish(command, what, timeout):
    """Runs to the end; answers what it wrote and the seconds of CPU it took."""
    before = cpu_of_children()
    with subprocess.Popen([*PINNED, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          start_new_session=True) as process:
        watchdog = threading.Timer(timeout, process.kill)
        watchdog.start()
        try:
            text = words_of(process)
            process.wait()
        finally:
            watchdog.cancel()
            process.kill()
    if process.returncode == -signal.SIGKILL:
        raise Trouble(f"{what} did not end within {timeout:.0f} s")
    if process.returncode != 0:
        raise Trouble(f"{what} failed: {(text.strip() or 'it said nothing').splitlines()[-1]}")
    return text, cpu_of_children() - before


def told(pattern, text, what):
    """The groups of what a generator has to say at its end."""
    found = re.search(pattern, text, re.M)
    if not found:
        raise Trouble(f"{what} ended without its figures: {(text.strip() or 'it said nothing').splitlines()[-1]}")
    return found.groups()


def wrk(url, connections, seconds, headers=(), picking=()):
    """`picking`: the arguments of paths.lua, none for always the same path."""
    fields = [word for name, value in headers for word in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", *fields, "-s",
               str(BENCH / "paths.lua"), url, "--", *map(str, picking)]
    text, cpu = finish(command, "wrk", seconds + 60)
    figures = json.loads(told(r"^@(\{.*\})$", text, "wrk")[0])
    figures["rate"] = figures["requests"] / figures["seconds"]
    figures["load_cpu"] = cpu / figures["seconds"]
    return figures


def fill(url, connections, objects, picking, seconds):
    """Each object of the list once; answers how many responses were not 200, None if there was no time for all."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(BENCH / "paths.lua"),
               url, "--", "fill", str(objects), *map(str, picking)]
    filled = re.search(r"^@filled (\d+)$", finish(command, "wrk", seconds + 60)[0], re.M)
    return int(filled[1]) if filled else None


def h2load_command(url, connections, streams, seconds, *options):
    return ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}", "--warm-up-time=0", "-w20", "-W24",
            *options, url]


def h2load(url, connections, streams, seconds, headers=(), log=None):
    """Percentiles need a log, a path that is free, which costs h2load a third of its rate."""
    fields = [word for name, value in headers for word in ("-H", f"{name}: {value}")]
    logging = [f"--log-file={log}"] if log else []
    text, cpu = finish(h2load_command(url, connections, streams, seconds, *fields, *logging), "h2load", seconds + 60)
    good = told(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text, "h2load")
    took, rate = told(r"finished in ([\d.]+)s, ([\d.]+) req/s", text, "h2load")
    failed, timeout = told(r"(\d+) failed, \d+ errored, (\d+) timeout", text, "h2load")
    requests = int(good[0]) + int(good[1])
    mean = re.search(r"time for request: +\S+ +\S+ +([\d.]+)(us|ms|s)", text)
    scale = {"us": 0.001, "ms": 1, "s": 1000}
    return {"requests": requests, "seconds": float(took), "rate": float(rate), "load_cpu": cpu / float(took),
            "errors": int(good[2]) + int(good[3]) + int(failed) + int(timeout),
            "mean_ms": float(mean[1]) * scale[mean[2]] if mean else 0, **(percentiles(log) if log else {})}


def percentiles(log):
    """h2load writes when a request began, its status, and how long it took in microseconds."""
    times = sorted(int(line.split("\t")[2]) / 1000 for line in log.read_text().splitlines())
    log.unlink()
    return {key: times[int(len(times) * share)]
            for key, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999))}


class Readers:
    """Others, who read on as fast as they can until end()."""

    def __init__(self, url, asks, connections, seconds):
        command = h2load_command(url, connections, asks["streams"], seconds) if asks["protocol"] == "h2" else [
            "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url]
        self.process = subprocess.Popen([*PINNED, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True)
        RUNNING.append(self)

    def end(self):
        if self in RUNNING:
            RUNNING.remove(self)
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Own:
    """One of our own clients, as a process: `name` of clients.py with its arguments; answers JSON."""

    def __init__(self, name, **arguments):
        self.name = name
        command = [*PINNED, sys.executable, str(BENCH / "harness" / "clients.py"), name, json.dumps(arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, start_new_session=True)
        RUNNING.append(self)

    def line(self, timeout=120):
        """Its next line; it ends on its own or when end() closes its input."""
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            raise Trouble(f"the client {self.name} said nothing for {timeout} s")
        text = self.process.stdout.readline()
        if not text:
            errors = self.process.stderr.read().strip()
            raise Trouble(f"the client {self.name} failed: {errors.splitlines()[-1] if errors else 'no reason given'}")
        return json.loads(text)

    def end(self):
        if self not in RUNNING:
            return
        RUNNING.remove(self)
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
