"""Wrong use: one line that names the thing and the cure, exit status 2, nothing touched."""
import pathlib
import re
import resource
import socket
import subprocess

import pytest

from vocabulary.edge import BINARY, free_port
from vocabulary.wire import until

pytestmark = pytest.mark.ways("HTTP/1.1")


def breakwater(*arguments, **options):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=30, check=False, **options)


def complains(result, *words):
    """Exit status 2, and one line on stderr, which has all these words."""
    said = [line for line in result.stderr.splitlines() if line.strip()]
    assert result.returncode == 2, result
    assert len(said) == 1, result
    assert all(word in said[0] for word in words), result


@pytest.mark.parametrize("arguments, words", [
    ([], ["run"]),
    (["rum"], ["rum", "run"]),
    (["run"], ["--origin"]),
    (["run", "--orgin", "http://127.0.0.1:1"], ["--orgin", "--origin"]),
    (["run", "--origin"], ["--origin"]),
    (["run", "--origin", "ftp://127.0.0.1"], ["ftp"]),
    (["run", "--origin", "http://127.0.0.1:99999"], ["99999"]),
    (["run", "--origin", "http://127.0.0.1:1", "--listen", "127.0.0.1"], ["127.0.0.1"]),
    (["run", "--origin", "http://127.0.0.1:1", "--listen", "127.0.0.1:x"], ["127.0.0.1:x"]),
    (["run", "--origin", "http://127.0.0.1:1", "--cache-size", "10"], ["10"]),
    (["run", "--origin", "http://127.0.0.1:1", "--cache-size", "ten"], ["ten"]),
    (["run", "--origin", "http://127.0.0.1:1", "--cache-size", "900TiB"], ["900TiB", "256TiB"]),
    (["run", "--origin", "http://127.0.0.1:1", "--workers", "-1"], ["-1"]),
    (["run", "--origin", "http://127.0.0.1:1", "--workers", "many"], ["many"]),
    (["run", "--origin", "http://127.0.0.1:1", "--config", "/nonexistent.yaml"], ["/nonexistent.yaml"]),
    (["run", "--origin", "http://127.0.0.1:1", "--listen", "https://127.0.0.1:1"], ["certificate"]),
    (["check"], ["--config"]),
    (["check", "--config", "/nonexistent.yaml"], ["/nonexistent.yaml"]),
    (["version", "now"], ["now"]),
    (["stats", "--admin", "here"], ["here", "--admin"]),
    (["--origin", "http://127.0.0.1:1"], ["run --origin"]),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_a_wrong_command_line_is_answered_by_one_line(arguments, words):
    complains(breakwater(*arguments), *words)


@pytest.mark.parametrize("text, words", [
    ("origin: http://127.0.0.1:1\nlisten_on: 1\n", ["2", "listen_on"]),
    ("orgin: http://127.0.0.1:1\n", ["orgin", "origin"]),
    ("listen: ':8080'\n", ["origin"]),
    ("origin: http://127.0.0.1:1\ncache: {size: 10}\n", ["2", "cache.size", "10"]),
    ("origin: http://127.0.0.1:1\ncache: {memory: 16MiB}\n", ["2", "cache.memory", "16MiB", "32MiB"]),
    ("origin: http://127.0.0.1:1\ncache: {size: 10s}\n", ["cache.size", "10s"]),
    ("origin: http://127.0.0.1:1\nlimits: {idle_timeout: 60}\n", ["limits.idle_timeout", "60"]),
    ("origin: http://127.0.0.1:1\norigin: http://127.0.0.1:2\n", ["origin"]),
    ("origin: http://127.0.0.1:1\nrules: [{name: a, match: {path: '~('}}]\n", ["path", "("]),
    ("origin: http://127.0.0.1:1\nrules: [{name: a, pool: none}]\n", ["pool", "none"]),
    ("origin: http://127.0.0.1:1\nrules: [{name: a, cache: sometimes}]\n", ["cache", "sometimes"]),
    ("origin: [http://127.0.0.1:1\n", ["1"]),
    ("origin: \"${BREAKWATER_UNSET_NAME}\"\n", ["BREAKWATER_UNSET_NAME"]),
    ("- origin\n", ["1"]),
    ("", ["origin"]),
])
def test_a_wrong_file_is_answered_by_its_line_and_the_key(tmp_path, text, words):
    file = tmp_path / "breakwater.yaml"
    file.write_text(text)

    for command in (["check"], ["run"]):
        complains(breakwater(*command, "--config", str(file)), "breakwater.yaml", *words)


def test_an_address_in_use_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = breakwater("run", "--origin", "http://127.0.0.1:1", "--listen", address, "--cache-dir",
                            str(tmp_path / "cache"), "--admin", f"127.0.0.1:{free_port()}")

    complains(result, address, "in use")
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


def test_an_unusable_cache_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")

    complains(breakwater("run", "--origin", "http://127.0.0.1:1", "--listen", f"127.0.0.1:{free_port()}",
                         "--admin", f"127.0.0.1:{free_port()}", "--cache-dir", str(tmp_path / "file")),
              str(tmp_path / "file"))


def test_a_disk_that_is_too_small_is_named(tmp_path):
    complains(breakwater("run", "--origin", "http://127.0.0.1:1", "--listen", f"127.0.0.1:{free_port()}",
                         "--admin", f"127.0.0.1:{free_port()}", "--cache-dir", str(tmp_path / "cache"),
                         "--cache-size", "200TiB"), "204800 GiB", "has room for", "cache.size", str(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


@pytest.mark.skipif("/tsan/" in BINARY, reason="ThreadSanitizer does not start where a stack may be so large")
def test_a_machine_without_room_for_the_threads_is_answered_by_one_line(tmp_path):
    def each_stack_takes_a_tebibyte():
        resource.setrlimit(resource.RLIMIT_STACK, (1 << 40, resource.getrlimit(resource.RLIMIT_STACK)[1]))

    complains(breakwater("run", "--origin", "http://127.0.0.1:1", "--listen", f"127.0.0.1:{free_port()}",
                         "--admin", f"127.0.0.1:{free_port()}", "--cache-dir", str(tmp_path / "cache"),
                         "--workers", "200", preexec_fn=each_stack_takes_a_tebibyte), "of 200 workers", "set workers lower")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("fault", ["missing", "garbage", "other key"])
def test_an_unreadable_certificate_is_named(tmp_path, certs, fault):
    certificate = certs.server("edge.test")
    files = {"certificate": certificate.certificate, "key": certificate.key}
    if fault == "missing":
        files["certificate"] = str(tmp_path / "missing.crt")
    elif fault == "garbage":
        (tmp_path / "garbage.crt").write_text("-----BEGIN NONSENSE-----")
        files["certificate"] = str(tmp_path / "garbage.crt")
    else:
        files["key"] = certs.server("edge.test").key

    result = breakwater("run", "--origin", "http://127.0.0.1:1", "--listen", f"https://127.0.0.1:{free_port()}",
                        "--admin", f"127.0.0.1:{free_port()}", "--cache-dir", str(tmp_path / "cache"),
                        "--certificate", files["certificate"], "--key", files["key"])

    complains(result, files["key"] if fault == "other key" else files["certificate"])


@pytest.mark.parametrize("text", ["", "-----BEGIN NONSENSE-----"])
def test_a_trust_file_without_certificates_is_named(tmp_path, text):
    (tmp_path / "ca.pem").write_text(text)
    file = tmp_path / "breakwater.yaml"
    file.write_text("pools: {origin: {servers: https://127.0.0.1:1, tls: {trust: ca.pem}}}\n"
                    f"cache: {{directory: {tmp_path}/cache}}\n")

    for command in ("check", "run"):
        complains(breakwater(command, "--config", str(file)), str(tmp_path / "ca.pem"), "name a PEM file")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("to, words", [
    ("none/access.log", ["none does not exist", "make it"]),
    ("breakwater.yaml/access.log", ["breakwater.yaml is none", "make it"]),
    (".", ["is a folder", "name a file"]),
])
@pytest.mark.parametrize("short", [True, False])
def test_an_access_log_without_a_folder_is_named_with_its_place(tmp_path, to, words, short):
    file = tmp_path / "breakwater.yaml"
    file.write_text(f"origin: http://127.0.0.1:1\ncache: {{directory: {tmp_path}/cache}}\nlog:\n"
                    + (f"  access: {to}\n" if short else f"  access: {{to: {to}}}\n"))

    for command in ("check", "run"):
        complains(breakwater(command, "--config", str(file)),
                  f"{file}:4:{'11: error: log.access:' if short else '16: error: log.access.to:'} ", *words)
    assert not (tmp_path / "cache").exists()


def test_check_says_that_a_file_is_good(tmp_path):
    file = tmp_path / "breakwater.yaml"
    file.write_text("origin: http://127.0.0.1:1\n")

    result = breakwater("check", "--config", str(file))

    assert result.returncode == 0
    assert result.stderr == ""


def test_check_prints_the_whole_configuration_and_it_is_one(tmp_path):
    file, printed = tmp_path / "breakwater.yaml", tmp_path / "printed.yaml"
    file.write_text("origin: http://127.0.0.1:1\ncache: {size: 5GiB}\n")

    result = breakwater("check", "--config", str(file), "--print")
    printed.write_text(result.stdout)

    assert result.returncode == 0
    assert re.search(r"size: +5GiB", result.stdout)
    assert "idle_timeout: " in result.stdout
    assert breakwater("check", "--config", str(printed)).returncode == 0


@pytest.mark.parametrize("file", ["conf/breakwater.yaml", "conf/full.yaml", "conf/examples/rfc9111.yaml"])
def test_the_files_that_come_with_it_are_good(file):
    path = pathlib.Path(__file__).parents[2] / file

    assert breakwater("check", "--config", str(path)).returncode == 0


def test_a_duration_can_be_a_variable_of_the_environment(tmp_path):
    file = tmp_path / "breakwater.yaml"
    file.write_text("origin: \"${THE_ORIGIN}\"\nlimits: {idle_timeout: \"${IDLE:-7s}\"}\n")

    result = breakwater("check", "--config", str(file), "--print", env={"THE_ORIGIN": "http://127.0.0.1:7"})

    assert result.returncode == 0, result
    assert re.search(r"url: .*THE_ORIGIN.*environment", result.stdout)  # the value may be a secret
    assert re.search(r"idle_timeout: .*IDLE:-7s.*environment", result.stdout)


def test_version_is_one_line():
    result = breakwater("version")

    assert result.returncode == 0
    assert re.fullmatch(r"breakwater \d+\.\d+\.\d+.*\n", result.stdout)


def test_stats_needs_a_breakwater_to_ask():
    port = free_port()

    result = breakwater("stats", "--admin", f"127.0.0.1:{port}")

    assert result.returncode == 1
    assert str(port) in result.stderr


def test_flags_alone_are_enough(edge, origin, tmp_path):
    origin.serves("/news", "monday", cache_control="max-age=60")
    admin = f"127.0.0.1:{edge.admin_port}"
    edge.launch("--origin", origin.url, "--listen", f"127.0.0.1:{edge.port}", "--admin", admin, "--cache-dir",
                str(tmp_path / "cache"), "--cache-size", "64MiB", "--workers", "1")
    until(edge.ready, "ready")

    assert edge.get("/news") == ("miss", "monday")
    assert edge.get("/news") == ("hit", "monday")
    shown = breakwater("stats", "--admin", admin)
    assert shown.returncode == 0 and "offload" in shown.stdout.lower()
    assert breakwater("stats", "--admin", admin, "--json").stdout.lstrip().startswith("{")


def test_closed_standard_descriptors_stay_out_of_the_way(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")
    edge.write()
    edge.process = subprocess.Popen(["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', BINARY, "run", "--config",
                                     str(edge.file), "--test-clock"])
    until(edge.ready, "ready")

    assert {str(pathlib.Path(f"/proc/{edge.pid}/fd/{number}").readlink()) for number in range(3)} == {"/dev/null"}
    assert edge.get("/news") == ("miss", "monday")
    printed = subprocess.run(["/bin/sh", "-c", '"$0" version >&-', BINARY], capture_output=True, text=True, check=False)
    assert printed.returncode == 1 and "stdout" in printed.stderr
