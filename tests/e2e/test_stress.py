"""Everything at once, at random: for a race, a leak or a torn answer that no scenario thought of.

STRESS_SECONDS=300 STRESS_SEED=7 chooses; under a sanitizer (make asan, make tsan) this is where it earns its time.
"""
import os
import random
import time

import pytest

from vocabulary.edge import SLOW, free_port
from vocabulary.http2 import Http2
from vocabulary.storm import Storm
from vocabulary.wire import Client, until

pytestmark = pytest.mark.ways("HTTP/1.1")  # the visitors choose theirs

SECONDS = float(os.environ.get("STRESS_SECONDS", "8"))
BEAT = 0.5


def test_a_storm_of_all_that_can_happen_costs_nobody_a_wrong_byte(edge, origin, clock, certs):
    seed = int(os.environ.get("STRESS_SEED") or random.randrange(1 << 32))
    print(f"STRESS_SEED={seed} STRESS_SECONDS={SECONDS:g}")
    dice = random.Random(seed)
    secure = free_port()
    edge.configure(
        listen=[{"address": f"127.0.0.1:{edge.port}"},
                {"address": f"127.0.0.1:{secure}", "tls": {"certificates": [certs.server("edge.test").files]}}],
        cache={"size": "64MiB", "memory": "64MiB"}, limits={"drain": "5s"})
    edge.start()
    over_tls = ("127.0.0.1", secure), certs.client_context()
    storm = Storm(edge, origin, seed, [(edge.address, None, Client), (*over_tls, Client), (*over_tls, Http2)])

    began = time.monotonic()
    storm.begins(visitors=12)
    for beat in range(int(SECONDS / BEAT)):
        due = began + beat * BEAT
        until(lambda: storm.faults or time.monotonic() >= due, "the beat", SECONDS)
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
    storm.ends(20 * SLOW)
    print(sorted(storm.seen.items(), key=str))

    assert storm.faults == []
    assert {("hit", 200), ("hit", 206), ("miss", 200), ("hit", 304), ("POST", 200)} <= set(storm.seen)
    assert edge.process.poll() == 0, edge.stderr[-3000:]
    edge.process = None
