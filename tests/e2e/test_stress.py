"""Everything at once, at random: for a race, a leak or a torn answer that no scenario thought of.

STRESS_SECONDS=300 STRESS_SEED=7 chooses; under a sanitizer (make asan, make tsan) this is where it earns its time.
"""
import os
import random
import time

import pytest

from vocabulary.edge import SLOW, free_port
from vocabulary.frame_storm import FrameVisitor
from vocabulary.http2 import Http2
from vocabulary.storm import Storm
from vocabulary.wire import Client, until

pytestmark = pytest.mark.ways("HTTP/1.1")  # the visitors choose theirs

SECONDS = float(os.environ.get("STRESS_SECONDS", "8"))
BEAT = 0.5


@pytest.fixture
def seed():
    number = int(os.environ.get("STRESS_SEED") or random.randrange(1 << 32))
    print(f"STRESS_SEED={number} STRESS_SECONDS={SECONDS:g}")
    return number


@pytest.fixture
def fronts(edge, certs):
    """The addresses of an edge that listens with and without TLS: (address, context)."""
    secure = free_port()
    edge.configure(
        listen=[{"address": f"127.0.0.1:{edge.port}", "http2": "on"},
                {"address": f"127.0.0.1:{secure}", "tls": {"certificates": [certs.server("edge.test").files]}}],
        cache={"size": "64MiB", "memory": "64MiB"}, limits={"drain": "5s"})
    return (edge.address, None), (("127.0.0.1", secure), certs.client_context())


def rages(storm, seed, clock, seconds):
    """The origin comes and goes, the file changes, time leaps."""
    edge, origin, dice = storm.edge, storm.origin, random.Random(seed)
    began = time.monotonic()
    for beat in range(int(seconds / BEAT)):
        due = began + beat * BEAT
        until(lambda: storm.faults or time.monotonic() >= due, "the beat", seconds)
        if beat % 6 == 3:
            origin.stops()
        elif beat % 6 == 4:
            origin.comes_back()
        if beat % 2 == 0:
            edge.configure(
                rules=[{"name": f"rule {beat}", "match": {"path": dice.choice(["/short/*", "/none"])}, "ttl": "1s"}],
                limits={"idle_timeout": dice.choice(["1s", "60s"])})
            edge.reload()
        clock.advance(dice.choice([0, 0, 1, 3]))
        if storm.faults:
            break


def ended_well(edge):
    assert edge.process.poll() == 0, edge.stderr[-3000:]
    edge.process = None


def test_a_storm_of_all_that_can_happen_costs_nobody_a_wrong_byte(edge, origin, clock, fronts, seed):
    clear, tls = fronts
    edge.start()
    storm = Storm(edge, origin, seed, [(*clear, Client), (*tls, Client), (*tls, Http2)])

    storm.begins(visitors=12)
    rages(storm, seed, clock, SECONDS)
    storm.ends(20 * SLOW)
    print(sorted(storm.seen.items(), key=str))

    assert storm.faults == [], "\n".join(storm.faults)
    assert {("hit", 200), ("hit", 206), ("miss", 200), ("hit", 304), ("POST", 200)} <= set(storm.seen)
    ended_well(edge)


FRAMES = {("hit", 200), ("hit", 206), ("miss", 200), ("POST", 200), ("PUT", 200), ("tunnel", 200), "we reset",
          "finished"}


@pytest.fixture
def frames(edge, origin, fronts, seed):
    """Visitors who say over HTTP/2 all that is legal, and more often than anybody has a reason to."""
    edge.configure(limits={"http2": {"resets": 1_000_000, "control_frames": 1_000_000}})
    edge.start()
    return Storm(edge, origin, seed, [(*front, None) for front in fronts])


def test_random_legal_frames_get_right_answers_and_leave_nothing_behind(edge, clock, frames, seed):
    before = edge.stats()["memory"]["used_bytes"]

    frames.begins(visitors=8, kind=FrameVisitor)
    rages(frames, seed, clock, SECONDS / 2)
    frames.calms(120 * SLOW)
    print(sorted(frames.seen.items(), key=str))

    assert frames.faults == [], "\n".join(frames.faults)
    assert FRAMES <= set(frames.seen)
    until(lambda: edge.stats()["now"]["connections"] == 0, "no connection is left", 20 * SLOW)
    edge.is_idle()
    assert edge.stats()["memory"]["used_bytes"] - before < 16 << 20  # the index has grown


def test_random_legal_frames_do_not_keep_it_from_stopping(edge, clock, frames, seed):
    frames.begins(visitors=8, kind=FrameVisitor)
    rages(frames, seed, clock, SECONDS / 2)
    frames.ends(20 * SLOW)
    print(sorted(frames.seen.items(), key=str))

    assert frames.faults == [], "\n".join(frames.faults)
    ended_well(edge)
