"""A disk that fills up: what cannot be stored is served and counted, and nothing that was stored goes wrong."""
import os
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.seldom("HTTPS")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 96 MiB, where root may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = os.getuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(folder)],
                                               check=False, capture_output=True).returncode == 0
    if not made:
        pytest.skip("no file system of its own can be made here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_costs_hits_and_nothing_else(edge, origin, small_disk):
    edge.configure(cache={"directory": str(small_disk / "cache"), "size": "64MiB"})
    origin.serves("/kept", "k" * 500_000, cache_control="max-age=600")
    edge.get("/kept")
    edge.is_idle()

    free = shutil.disk_usage(small_disk).free
    filler = small_disk / "filler"
    with open(filler, "wb") as file:
        file.write(b"\0" * (free - 300_000))
    for number in range(20):
        origin.serves(f"/page/{number}", str(number) * 100_000, cache_control="max-age=600")
        assert edge.get(f"/page/{number}").text == str(number) * 100_000
    edge.is_idle()

    assert edge.get("/kept").text == "k" * 500_000  # it may have made room for others
    assert "no room" in edge.stderr
    filler.unlink()
    origin.serves("/later", "later", cache_control="max-age=600")
    edge.get("/later")
    edge.is_idle()
    assert edge.get("/later") == ("hit", "later")


def test_the_store_stays_within_its_size(edge, origin):
    edge.configure(cache={"size": "16MiB"})
    for number in range(100):
        origin.serves(f"/page/{number}", b"x" * 400_000, cache_control="max-age=600")
        assert edge.get(f"/page/{number}").status == 200
    edge.is_idle()

    used = sum(file.stat().st_blocks * 512 for file in (edge.folder / "cache").rglob("*") if file.is_file())
    assert used < (16 << 20) * 1.3
