"""What survives: a restart, kill -9, a damaged or foreign store (design.md 4)."""
import contextlib
import itertools

import pytest

from vocabulary.origin import Answer
from vocabulary.wire import Broken

pytestmark = pytest.mark.seldom("HTTPS")


def body_of(path):
    """Every path has a body of its own, from bytes to some hundred KiB."""
    seed = sum(path.encode())
    return bytes((seed + i * 3) % 251 for i in range(100)) * (seed % 97 * 30 + 1)


@pytest.fixture
def shop(edge, origin):
    """An origin in which every path has its own body."""
    origin.routes = Everything(lambda request: Answer(body_of(request.target), cache_control="max-age=3600"))
    return edge


class Everything(dict):
    def __init__(self, choose):
        super().__init__()
        self.choose = choose

    def get(self, path, default=None):
        return super().get(path, self.choose)


def test_a_restart_keeps_what_was_stored(shop, origin):
    paths = [f"/thing/{i}" for i in range(50)]
    for path in paths:
        shop.get(path, settle=False)
    shop.is_idle()

    shop.restart()

    assert [shop.get(path).cache for path in paths] == ["hit"] * 50
    assert all(shop.get(path).body == body_of(path) for path in paths)
    assert len(origin.requests_seen) == 50


def test_a_restart_keeps_variants_and_their_age(edge, origin, clock):
    origin.decides("/news", lambda r: Answer(r.headers.get("x-a"), cache_control="max-age=3600", vary="X-A"))
    for value in "12":
        edge.get("/news", headers={"X-A": value})
    edge.is_idle()

    edge.restart()

    for value in "12":
        assert edge.get("/news", headers={"X-A": value}) == ("hit", value)


def kill_in_the_middle(shop, first):
    """kill -9 while fills are under way."""
    fills = [shop.client() for _ in range(8)]
    for number, client in enumerate(fills):
        client.opens("GET", f"/thing/{first + number}")
    try:
        fills[0].head()
    except Broken:
        pass
    shop.kill()
    for client in fills:
        client.close()


@pytest.mark.parametrize("times", [5, pytest.param(50, marks=pytest.mark.long)])
def test_after_kill_9_every_stored_object_has_the_right_bytes(shop, origin, times):
    numbers = itertools.count(0, 8)
    first = 0
    for _ in range(times):
        first = next(numbers)
        kill_in_the_middle(shop, first)

    hits = 0
    for number in range(first + 8):
        page = shop.get(f"/thing/{number}")
        assert page.body == body_of(f"/thing/{number}")
        hits += page.cache == "hit"
    assert hits > 0 or times < 10
    assert "damaged" not in shop.stderr


def test_a_damaged_store_is_set_aside_and_a_new_one_begun(shop):
    shop.get("/thing/1")
    shop.is_idle()
    shop.stop()
    for file in (shop.folder / "cache").rglob("*"):
        if file.is_file() and file.stat().st_size > 8192:
            with open(file, "r+b") as store:
                store.write(b"\xa5" * 8192)

    shop.start()

    assert shop.get("/thing/1").body == body_of("/thing/1")
    assert "is damaged: renamed to" in shop.stderr


def test_damage_in_the_middle_costs_a_fetch_and_never_a_wrong_byte(shop):
    paths = [f"/thing/{i}" for i in range(40)]
    for path in paths:
        shop.get(path, settle=False)
    shop.is_idle()
    shop.stop()
    store = max((file for file in (shop.folder / "cache").rglob("*") if file.is_file()),
                key=lambda file: file.stat().st_size)
    blocks = range(64, store.stat().st_size // 4096, 16)
    with open(store, "r+b") as file:
        for block in blocks:
            file.seek(block * 4096 + 1024)
            file.write(b"\xa5" * 16)

    shop.start()

    for path in paths:
        with contextlib.suppress(Broken):  # visibly not whole
            page = shop.get(path)
            assert page.broken or page.body == body_of(path)
    for path in paths:
        assert shop.get(path).body == body_of(path)


def test_the_cache_folder_belongs_to_one_process(edges, origin):
    first = edges(origin)
    first.get("/news")

    second = edges(origin, cache={"directory": first.config["cache"]["directory"]})
    second.write()
    second.launch()

    assert second.process.wait(10) == 2
    assert "in use" in second.stderr or "locked" in second.stderr
    second.process = None
