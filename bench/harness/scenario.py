"""scenario - reads bench/scenarios/NAME.toml: what is asked, how, of whom, and what has to hold.

A file that is wrong is named with line, reason and cure; nothing is measured before all that were chosen are right.
bench/README.md explains the keys.
"""
import dataclasses
import re
import tomllib

from .machine import BENCH, MIB, Trouble
from .products import NAMES

FOLDER = BENCH / "scenarios"
SIZES = {"1k": 1 << 10, "4k": 4 << 10, "8k": 8 << 10, "32k": 32 << 10, "64k": 64 << 10, "256k": 256 << 10, "1m": MIB,
         "2m": 2 * MIB, "20m": 20 * MIB}
KINDS = ("rate", "beside", "readers", "crowd", "expiry", "start", "memory")
# the order of the report; other groups come behind them
GROUPS = ("Hits", "Hits over TLS", "Hits over HTTP 2 and TLS", "Conditions and ranges", "Misses", "Mixed",
          "A crowd on a cold object", "Expiry wave", "Hits beside heavy work", "Connections", "Objects", "Workers",
          "Start", "Memory")
FIGURES = ("rate", "stored", "stored_rate", "per_cpu", "p50_ms", "p99_ms", "p999_ms", "loud_p99_ms", "p99_growth",
           "origin_requests", "origin_peak", "last_first_byte_ms", "total_s", "errors", "waited", "first_hit_s",
           "full_index_s", "bytes_per_object", "index_bytes_per_object", "bytes_per_connection",
           "bytes_per_h2_connection", "slowest_ms")


@dataclasses.dataclass(frozen=True)
class Key:
    """What may stand behind a key: a type, or one of some words; `required` without a default."""
    type: type
    default: object = None
    words: tuple = ()
    required: bool = False


ASK = {
    "path": Key(str, required=True), "pick": Key(str, "one", ("one", "each", "once", "uniform", "zipf")),
    "objects": Key(int, 1), "sizes": Key(list, (), tuple(SIZES)), "miss_percent": Key(float, 0.0),
    "zipf": Key(float, 1.0), "protocol": Key(str, "http", ("http", "https", "h2")), "connections": Key(int, 64),
    "streams": Key(int, 8), "headers": Key(dict, {}), "conditional": Key(bool, False), "rate": Key(int, 1000),
    "waves": Key(int, 1)}
HOLDS = {"status": Key(int, 200), "from": Key(str, "cache", ("cache", "origin", "stored", "revalidated")),
         "range": Key(list, ())}
ORIGIN = {"delay_ms": Key(int, 0), "mib_per_second": Key(float, 0.0), "cache_control": Key(str, "max-age=86400")}
BESIDE = {"path": Key(str, required=True), "rate": Key(int, 100), "connections": Key(int, 8), "streams": Key(int, 1),
          "objects": Key(int, 0),          "cold": Key(bool, False)}
GOAL = {"figure": Key(str, words=FIGURES, required=True), "peer": Key(str, words=(*NAMES, "best")),
        "scenario": Key(str), "at_least": Key(float), "at_most": Key(float)}
TOP = {
    "title": Key(str, required=True), "group": Key(str, "Other"), "kind": Key(str, words=KINDS, required=True),
    "products": Key(list, words=tuple(NAMES), required=True), "rounds": Key(int, 99), "workers": Key(int, 1),
    "cache_mib": Key(int, 4096), "store": Key(str, ""), "disk_mib": Key(int, 500), "in_quick": Key(bool, True),
    "note": Key(str, "")}
TABLES = {"ask": ASK, "holds": HOLDS, "origin": ORIGIN, "beside": BESIDE}
NEEDED = {"crowd": "origin", "expiry": "origin", "beside": "beside", "readers": "beside"}


class Scenario:
    """
    One file.  Keys of the top are attributes; `ask`, `holds`, `origin`, `beside` are dicts, `goals` a list of them.
    """

    def __init__(self, name, values):
        self.name = name
        self.goals = values.pop("goal")
        for key, value in values.items():
            setattr(self, key, value)

    def rate_figure(self):
        """What counts of a rate: of what was to be stored, only that which was."""
        return "stored_rate" if self.holds["from"] == "stored" else "rate"

    def size_words(self):
        """The sizes that it asks for: files of the origin."""
        texts = [self.ask["path"], *(f"/{word}/" for word in self.ask["sizes"])]
        if self.beside:
            texts.append(self.beside["path"])
        return {word for text in texts for word in re.findall(r"/(\w+)(?=/)", text) if word in SIZES}


class Reader:
    """The text of one file, for messages with a line."""

    def __init__(self, path):
        self.path, self.text = path, path.read_text()

    def wrong(self, table, key, reason):
        where = self.line_of(table, key)
        return Trouble(f"bench/scenarios/{self.path.name}:{where}: {reason}")

    def line_of(self, table, key):
        """The line of a key in its table (the first one for lists of tables), else the table's, else 1."""
        current, found = "", 1
        for number, line in enumerate(self.text.splitlines(), 1):
            head = re.match(r"\s*\[+([\w.]+)\]+", line)
            current = head[1] if head else current
            if head and current == table:
                found = number
            if current == table and key and re.match(rf"\s*{re.escape(key)}\s*[=.]", line):
                return number
        return found

    def parse(self):
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"line (\d+)", str(error))
            raise Trouble(f"bench/scenarios/{self.path.name}:{line[1] if line else 1}: not TOML: {error}; compare with "
                          "bench/README.md") from None

    def value(self, table, key, rule, value):
        number = rule.type in (int, float) and isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (isinstance(value, rule.type) or (number and rule.type is float)) or (
                rule.type is int and value is True):
            kinds = {str: "a text", int: "a whole number", float: "a number", list: "a list", dict: "a table",
                     bool: "true or false"}
            raise self.wrong(table, key, f"{key} is {kinds[rule.type]}, not {value!r}")
        if number and value < 0:
            raise self.wrong(table, key, f"{key} is not below 0; {value} was given")
        for each in value if isinstance(value, list) else [value]:
            if rule.words and each not in rule.words:
                raise self.wrong(table, key, f"{key} {each!r} is not known; write one of {', '.join(rule.words)}")
        return value

    def table(self, name, rules, given):
        for key in given:
            if key not in rules:
                raise self.wrong(name, key, f"unknown key {key}; known are {', '.join(rules)}")
        values = {}
        for key, rule in rules.items():
            if key in given:
                values[key] = self.value(name, key, rule, given[key])
            elif rule.required:
                raise self.wrong(name, None,
                                 f"{key} is missing; write it {f'below [{name}]' if name else 'at the top'}")
            else:
                values[key] = rule.default
        return values


def merge(base, over):
    """`over` on top of `base`, table by table."""
    merged = dict(base)
    for key, value in over.items():
        merged[key] = merge(merged.get(key, {}), value) if isinstance(value, dict) and key in TABLES else value
    return merged


def check_goal(reader, goal):
    if (goal["at_least"] is None) == (goal["at_most"] is None):
        raise reader.wrong("goal", "figure", "a goal has either at_least or at_most")
    if goal["peer"] and goal["scenario"]:
        raise reader.wrong("goal", "peer", "a goal is against a peer or another scenario, not both")


def check_whole(reader, values):
    """What no single key can say."""
    ask, kind = values["ask"], values["kind"]
    need = NEEDED.get(kind)
    if need and values[need] is None:
        raise reader.wrong("", "kind", f"kind {kind} needs a table; add [{need}]")
    if ask["protocol"] == "h2" and ask["pick"] != "one":
        raise reader.wrong("ask", "pick",
                           "h2load asks for one path only; choose pick = \"one\", or protocol http or https")
    if ask["pick"] != "one" and "{n}" not in ask["path"]:
        raise reader.wrong("ask", "path", "a path that is picked has {n} in it, as \"/keep/1k/{n}\"")
    if values["holds"]["from"] == "stored" and ask["pick"] != "each":
        raise reader.wrong("holds", "from", "what was stored is looked for by its number; choose pick = \"each\"")
    if bool(ask["sizes"]) != ("{size}" in ask["path"]):
        raise reader.wrong("ask", "path", "sizes and {size} in the path go together")
    if "h2o" in values["products"] and kind == "rate" and (values["holds"]["from"] != "cache" or ask["pick"] != "one"):
        raise reader.wrong("", "products", "h2o has static files: it can only be asked for one path of the cache")
    if not values["products"]:
        raise reader.wrong("", "products", "nobody to measure; name at least one")


def read(path, quick=False):
    reader = Reader(path)
    given = reader.parse()
    goals, over = given.pop("goal", []), given.pop("quick", {})
    if quick:
        given = merge(given, over)
    tables = {name: given.pop(name, None) for name in TABLES}
    values = reader.table("", TOP, given)
    tables["ask"], tables["holds"] = tables["ask"] or {}, tables["holds"] or {}
    for name, table in tables.items():
        values[name] = None if table is None else reader.table(name, TABLES[name], table)
    values["goal"] = [reader.table("goal", GOAL, goal) for goal in goals]
    for goal in values["goal"]:
        check_goal(reader, goal)
    check_whole(reader, values)
    return Scenario(path.stem, values)


def natural(name):
    """1k, 32k, 1m in this order."""
    parts = re.split(r"(\d+[km]?\b)", name)
    return [int(part.rstrip("km")) * {"k": 1000, "m": 1000000}.get(part[-1], 1) if part[:1].isdigit() else part
            for part in parts]


def names():
    return sorted((path.stem for path in FOLDER.glob("*.toml")), key=natural)


def choose(wanted, quick):
    """The scenarios of these names, or all (with `quick`, those that are meant for it), in the order of their files."""
    known = names()
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise Trouble(f"no such scenario: {', '.join(unknown)}; there are {' '.join(known)}")
    all_of_them = [read(FOLDER / f"{name}.toml", quick) for name in known if name in wanted or not wanted]
    for each in all_of_them:
        for goal in each.goals:
            if goal["scenario"] and goal["scenario"] not in known:
                raise Trouble(f"bench/scenarios/{each.name}.toml: the goal's scenario {goal['scenario']!r} "
                              "is not there")
    all_of_them.sort(key=lambda each: GROUPS.index(each.group) if each.group in GROUPS else len(GROUPS))
    return [each for each in all_of_them if wanted or not quick or each.in_quick]
