"""check - before anything is measured: the right status, length and bytes, and a hit or a miss as the scenario says.

What a product says of itself is not believed: the origin counts.  A hit is an answer for which the origin was not
asked.
"""
import dataclasses
import hashlib
import http.client
import json
import re
import ssl
import subprocess
import time

from .scenario import SIZES

TRIES = 30  # an answer is stored when it is whole, and some products are not ready when they listen
PAUSE = 0.1
SAMPLE = 5  # so many of the addresses of a list are looked at
LOOKED_FOR = 400  # so many of those that were to be stored
STORED_SECONDS = 1.5  # by then what was fetched is in the store: some commit it in the background
FILL_PASSES = 6
MISSING_ALLOWED = 0.005  # of the objects, when a store counts as filled
LEAST_STORED = 0.5  # who stores less than this has not done the work


class Failed(Exception):
    """A response is not as it must be; the row says so and the run ends with status 1."""


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes


def ask(server, path, protocol="http", headers=()):
    try:
        return ask_h2(server, path, headers) if protocol == "h2" else ask_h1(server, path, protocol, headers)
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"{server.name} does not answer {path}: {error!r}") from None


def ask_h1(server, path, protocol, headers):
    if protocol == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", server.tls, timeout=20, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        # as wrk sends it: what a product derives from Accept-Encoding or a Host without port would be another object
        connection.putrequest("GET", path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return Answer(answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def ask_h2(server, path, headers):
    url = f"https://127.0.0.1:{server.tls}{path}"
    fields = [word for name, value in headers for word in ("-H", f"{name}: {value}")]
    told = subprocess.run(["nghttp", "-n", "-v", "--no-verify-peer", *fields, url], capture_output=True, timeout=30,
                          check=False).stdout.decode("latin-1")
    body = subprocess.run(["nghttp", "--no-verify-peer", *fields, url], capture_output=True, timeout=30,
                          check=False).stdout
    lines = re.findall(r"recv \(stream_id=\d+\)(?: noind)? (?:\x1b\[[\d;]*m)?(:?[\w-]+)(?:\x1b\[[\d;]*m)?: (.*)", told)
    found = {name: value.strip() for name, value in lines}
    if ":status" not in found:
        raise Failed(f"{server.name} does not answer {path} over HTTP/2")
    return Answer(int(found[":status"]), found, body)


class Origins:
    """How many requests the origin has had; `slow` is the one that takes its time."""

    def __init__(self, bench, server, slow=False):
        self.bench, self.server, self.slow, self.own = bench, server, slow, 0

    def count(self):
        if self.slow:
            return self.figures()["requests"]
        text = ask(self.server, "/count").body.decode()
        self.own += 1
        return int(text.split()[9]) - self.own

    def figures(self):
        return json.loads(ask(self.server, "/figures").body)

    def begin(self):
        """Counts anew, once a refresh in the background that the check brought about is over."""
        for _ in range(TRIES * 10):
            if self.figures()["now"] == 0:
                break
            time.sleep(PAUSE)
        ask(self.server, "/reset")

    def confirmed(self):
        """Revalidations that it has answered with 304."""
        if self.slow:
            return self.figures()["not_modified"]
        log = self.server.folder / "status.log"
        return log.read_text().count("304\n") if log.exists() else 0

    def sent(self):
        """Requests that it has answered with a body: who had it confirmed has stored it."""
        return self.count() - self.confirmed()

    def bytes_of(self, path):
        word = next(part for part in path.split("/") if part in SIZES)
        return (self.bench.files / word).read_bytes()


def check_body(server, answer, path, wanted, status):
    if answer.status != status:
        raise Failed(f"{server.name} answers {path} with status {answer.status}, not {status}")
    if len(answer.body) != len(wanted):
        raise Failed(f"{server.name} answers {path} with {len(answer.body)} bytes, not {len(wanted)}")
    if hashlib.sha256(answer.body).digest() != hashlib.sha256(wanted).digest():
        raise Failed(f"{server.name} answers {path} with other bytes than the origin's")


def whole(server, origins, path, protocol="http"):
    """Asks for all of it; answers the response and how often the origin was asked for that."""
    before = origins.count()
    answer = ask(server, path, protocol)
    check_body(server, answer, path, origins.bytes_of(path), 200)
    return answer, origins.count() - before


def becomes_hit(server, origins, path, protocol):
    """Twice in a row without the origin: the first may have been the end of a fetch in the background."""
    hits = 0
    for _ in range(TRIES):
        answer, asked = whole(server, origins, path, protocol)
        hits = 0 if asked else hits + 1
        if hits == 2:
            return answer
        time.sleep(0 if hits else PAUSE)
    raise Failed(f"{server.name} does not answer {path} from its cache: each time the origin is asked")


def check_hit(server, origins, scenario, path):
    """A hit, as the load asks for it; answers the fields that the load has to send."""
    asks, holds = scenario.ask, scenario.holds
    plain = becomes_hit(server, origins, path, asks["protocol"])
    fields = list(asks["headers"].items())
    wanted = origins.bytes_of(path)
    if asks["conditional"]:
        if "etag" not in plain.headers:
            raise Failed(f"{server.name} sends no ETag with {path}")
        fields.append(("If-None-Match", plain.headers["etag"]))
        wanted = b""
    elif holds["range"]:
        first, last = holds["range"]
        wanted = wanted[first: last + 1]
    before = origins.count()
    check_body(server, ask(server, path, asks["protocol"], fields), path, wanted, holds["status"])
    if origins.count() != before:
        raise Failed(f"{server.name} asks the origin for {path} although it has it")
    return fields


def check_miss(server, origins, scenario, path):
    """The origin is asked once; a second time for what may not be stored, and not for what was stored."""
    _, asked = whole(server, origins, path, scenario.ask["protocol"])
    if asked < 1:
        raise Failed(f"{server.name} answers {path} without the origin, and nobody has asked for it before")
    if scenario.holds["from"] == "stored":
        becomes_hit(server, origins, path, scenario.ask["protocol"])
    elif whole(server, origins, path, scenario.ask["protocol"])[1] < 1:
        raise Failed(f"{server.name} answers {path} from its cache, where it may not be")
    return list(scenario.ask["headers"].items())


def check_revalidated(server, origins, scenario, path):
    for attempt in range(5):
        whole(server, origins, path, scenario.ask["protocol"])
        time.sleep(2.1)  # max-age=1, whole seconds
        confirmed = origins.confirmed()
        whole(server, origins, path, scenario.ask["protocol"])
        if origins.confirmed() == confirmed + 1:
            return []
        time.sleep(attempt * PAUSE)
    raise Failed(f"{server.name} does not revalidate {path}: the origin gave no 304")


CHECKS = {"cache": check_hit, "origin": check_miss, "stored": check_miss, "revalidated": check_revalidated}


def expand(scenario, n, seed):
    """The address that the load makes of the path for `n`."""
    sizes = scenario.ask["sizes"]
    path = scenario.ask["path"].replace("{n}", str(n)).replace("{seed}", seed)
    return path.replace("{size}", sizes[(n - 1) % len(sizes)]) if sizes else path


def sample(scenario, seed):
    """Some of the addresses that are going to be asked for."""
    asks = scenario.ask
    if asks["pick"] == "one":
        return [expand(scenario, 1, seed)]
    if scenario.holds["from"] in ("origin", "stored"):
        seed += "-check"
    step = max(asks["objects"] // SAMPLE, 1)
    count = 1 if scenario.holds["from"] == "revalidated" else SAMPLE
    return [expand(scenario, 1 + i * step, seed) for i in range(min(count, asks["objects"]))]


def spread(count, most):
    """At most so many of the numbers 1 to count, evenly, the first and the last among them."""
    if count <= most:
        return list(range(1, count + 1))
    return [1 + i * (count - 1) // (most - 1) for i in range(most)]


def share_stored(server, origins, scenario, seed, requests):
    """
    The share that is in the store of what a measurement of so many requests asked for.  A product may serve what its
    store has no room for, or no time: that is not wrong, but it is not the work that was to be measured either.
    """
    time.sleep(STORED_SECONDS)
    numbers = spread(min(requests, scenario.ask["objects"]), LOOKED_FOR)
    before = origins.count()
    for n in numbers:
        path = expand(scenario, n, seed)
        check_body(server, ask(server, path, scenario.ask["protocol"]), path, origins.bytes_of(path), 200)
    return 1 - min(origins.count() - before, len(numbers)) / len(numbers)


def until_stored(server, objects, once):
    """
    Passes over all objects until the origin is asked for next to none of them.  `once` makes one and answers how many
    it was asked for: a product may serve what its store has no room or no time for, so a single pass leaves gaps.
    """
    for _ in range(FILL_PASSES):
        missing = once()
        if missing <= objects * MISSING_ALLOWED:
            return
    raise Failed(f"{server.name}: {missing:,} of {objects:,} objects are not in its store after {FILL_PASSES} passes "
                 "over them")


def check(server, origins, scenario, seed):
    """Raises Failed; answers the fields that the load has to send."""
    fields = []
    for path in sample(scenario, seed):
        fields = CHECKS[scenario.holds["from"]](server, origins, scenario, path)
    return fields


def check_measured(server, scenario, figures):
    """What was measured was what it was meant to be: no errors, and the origin asked as often as the scenario says."""
    if figures["errors"]:
        raise Failed(f"{server.name}: {figures['errors']} of {figures['requests']} responses failed under load")
    if figures["requests"] == 0:
        raise Failed(f"{server.name} gave no response under load")
    share = figures["origin_requests"] / figures["requests"]
    allowed = scenario.ask["miss_percent"] / 100 * 1.2 + 0.01
    if scenario.holds["from"] == "cache" and server.product.is_cache and share > allowed:
        raise Failed(f"{server.name}: the origin was asked for {share:.0%} of what should have been hits")
    if scenario.holds["from"] != "cache" and share < 0.95:
        raise Failed(f"{server.name}: the origin was asked for {share:.0%} of what should all have gone there")
    if figures.get("stored", 1) < LEAST_STORED:
        raise Failed(f"{server.name} has stored {figures['stored']:.0%} of what should all have been stored")


