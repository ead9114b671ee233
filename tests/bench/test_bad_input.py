"""Whatever is wrong is one line with a cure, and nothing is left: no process, no folder but that of the results."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from harness import machine, products

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN = [sys.executable, str(ROOT / "bench" / "run")]


def fails(tmp_path, *arguments, before=(), **environment):
    """The one line that it says; the folder of the results is left empty of work."""
    out = tmp_path / "out"
    done = subprocess.run([*before, *RUN, "--out", str(out), *arguments], capture_output=True, text=True, timeout=60,
                          check=False, env={**os.environ, **environment})
    assert done.returncode == 2, done.stdout + done.stderr
    assert not (out / "work").exists()
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("bench: "), done.stderr
    return lines[0]


def test_a_product_that_nobody_knows_is_named_with_those_that_are_known(tmp_path):
    assert "no such product: ngingx; there are breakwater, nginx," in fails(tmp_path, "--products", "ngingx")


def test_a_scenario_that_nobody_knows_is_named(tmp_path):
    assert "no such scenario: hit-2k" in fails(tmp_path, "hit-2k")


def test_a_binary_that_is_not_there_is_named_with_its_cure(tmp_path):
    line = fails(tmp_path, "--binary", str(tmp_path / "none"), "--products", "breakwater", "hit-1k")

    assert f"{tmp_path / 'none'} is not there; make builds it" in line


def test_a_peer_that_is_not_installed_is_named_with_its_package(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("wrk", "h2load", "nghttp", "openssl", "taskset"):
        (tools / name).symlink_to(shutil.which(name))

    line = fails(tmp_path, "--products", "nginx", "hit-1k", PATH=str(tools))

    assert "nginx is not installed (Debian package nginx-light); tools/deps bench installs it" in line


def test_one_core_is_too_few(tmp_path):
    line = fails(tmp_path, "hit-1k", before=("taskset", "-c", "0"))

    assert "cores 0 and 1 are needed" in line


def test_more_connections_than_descriptors_are_refused_before_anything_is_measured(tmp_path):
    line = fails(tmp_path, "--products", "nginx", "connections-10000",
                 before=("sh", "-c", 'ulimit -n 4096 && exec "$@"', "sh"))

    assert "10000 connections are asked for and 3896 are allowed here; raise the limit" in line


def test_two_runs_do_not_measure_at_once(tmp_path):
    with machine.work_folder(tmp_path / "out"):
        done = subprocess.run([*RUN, "--out", str(tmp_path / "out"), "--products", "nginx", "hit-1k"],
                              capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert "another run is using" in done.stderr


def test_a_full_disk_is_said_before_it_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10 << 30, 10 << 30, 5 << 20))

    with pytest.raises(machine.Trouble, match="has 5 MiB free and 500 are needed; make room"):
        machine.need_room(tmp_path, 500)


def test_a_port_that_somebody_has_taken_is_named(tmp_path, monkeypatch):
    with machine.work_folder(tmp_path / "out") as folder, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(products, "free_port", lambda: port)

        with pytest.raises(machine.Trouble, match=f"port {port} of nginx is in use by another process"):
            products.Bench(folder, pathlib.Path("none")).start("nginx", machine.SERVER_CORE)


def of_folder(folder):
    """Processes that were started for this folder."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if str(folder) in (entry / "cmdline").read_text():
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a run needs two cores")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_process_and_no_work(tmp_path, number):
    out = tmp_path / "out"
    run = subprocess.Popen([*RUN, "--out", str(out), "--products", "nginx", "--seconds", "50", "hit-1k"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    end = time.monotonic() + 30
    while "wrk" not in children(run.pid):
        assert time.monotonic() < end and run.poll() is None, run.communicate()

    os.kill(run.pid, number)
    said = run.communicate(timeout=30)[1].strip().splitlines()

    assert said[-1].startswith(f"bench: stopped by {number.name}")
    assert run.returncode == 2
    assert of_folder(out) == []
    assert not (out / "work").exists()


def children(pid):
    """The names of its child processes."""
    return subprocess.run(["ps", "-o", "comm=", "--ppid", str(pid)], capture_output=True, text=True,
                          check=False).stdout.split()
