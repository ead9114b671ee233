"""machine - what the harness takes from the machine: cores, descriptors, room on the disk, ports, one folder.

Whatever is missing ends the run with a Trouble: one line with the reason and the cure.
"""
import contextlib
import fcntl
import os
import pathlib
import platform
import resource
import shutil
import signal
import socket
import subprocess

BENCH = pathlib.Path(__file__).resolve().parent.parent
MIB = 1 << 20
SERVER_CORE, LOAD_CORE = 0, 1
# wrk, h2load and our own clients stay below this, so that each side has some for itself
SPARE_DESCRIPTORS = 200


class Trouble(Exception):
    """The run cannot go on; str() is the line that says why and what helps."""


class Interrupted(Trouble):
    """SIGINT or SIGTERM."""


def need_cores():
    cores = os.sched_getaffinity(0)
    if not {SERVER_CORE, LOAD_CORE} <= cores:
        raise Trouble(f"cores {SERVER_CORE} and {LOAD_CORE} are needed, one for the server and one for the load; this "
                      f"process may use {sorted(cores)}")


def server_cores(workers):
    """One core for each worker; on a machine with too few the last is shared with the load, and the row says so."""
    others = [core for core in sorted(os.sched_getaffinity(0)) if core != SERVER_CORE]
    return [SERVER_CORE] + others[-(workers - 1):] if workers > 1 else [SERVER_CORE]


def raise_descriptors():
    """The soft limit becomes the hard one; answers how many connections one process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard - SPARE_DESCRIPTORS


def need_room(folder, mib):
    free = shutil.disk_usage(folder).free // MIB
    if free < mib:
        raise Trouble(f"{folder} has {free} MiB free and {mib} are needed; make room, choose scenarios, or put the run "
                      "elsewhere with --out")


def need_program(name, package):
    if not shutil.which(name):
        raise Trouble(f"{name} is not installed (Debian package {package}); tools/deps bench installs it")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def need_port(port, whose):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Trouble(f"port {port} of {whose} is in use by another process ({error.strerror}); "
                          "run it again") from None


@contextlib.contextmanager
def work_folder(out):
    """OUT/work, alone: made empty, removed at the end.  Two runs cannot measure at once, so they may not try."""
    out.mkdir(parents=True, exist_ok=True)
    with open(out / ".lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Trouble(f"another run is using {out}; wait for it, or choose another folder with --out") from None
        folder = out / "work"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        folder.chmod(0o755)  # some products change to a user of their own
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def stopped_by_signals():
    """SIGINT and SIGTERM unwind the run as any other trouble, so that all that was started is stopped; once only."""
    def stop(number, _):
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(f"stopped by {signal.Signals(number).name}; what was measured so far is in the results")
    before = [(each, signal.signal(each, stop)) for each in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for each, handler in before:
            signal.signal(each, handler)


def kill_children():
    """What was started but not yet noted when a signal came: a session of its own each."""
    listed = pathlib.Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    for pid in listed.read_text().split() if listed.exists() else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def describe():
    """Machine and system, for the report."""
    model = next((line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "memory_mib": memory, "kernel": platform.release()}


def package_version(package):
    asked = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True,
                           check=False) if shutil.which("dpkg-query") else None
    return asked.stdout.strip() if asked and asked.returncode == 0 else "?"
