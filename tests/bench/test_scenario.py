"""A scenario is data, and a mistake in it is named with file, line and cure."""
import pytest
from harness import scenario
from harness.machine import Trouble

GOOD = """title = "hits"
kind = "rate"
products = ["breakwater", "nginx"]

[ask]
path = "/keep/1k/hot"
connections = 64
"""


def read(tmp_path, text, quick=False):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return scenario.read(path, quick)


def complaint(tmp_path, text):
    with pytest.raises(Trouble) as trouble:
        read(tmp_path, text)
    return str(trouble.value).removeprefix("bench/scenarios/")


@pytest.mark.parametrize("name", scenario.names())
@pytest.mark.parametrize("quick", [False, True])
def test_every_scenario_of_the_tree_is_right(name, quick):
    assert scenario.read(scenario.FOLDER / f"{name}.toml", quick).title


def test_what_is_not_said_has_a_default(tmp_path):
    one = read(tmp_path, GOOD)

    assert (one.name, one.workers, one.ask["protocol"], one.holds["status"], one.holds["from"]) == (
        "mine", 1, "http", 200, "cache")


def test_quick_changes_what_it_names_and_leaves_the_rest(tmp_path):
    text = GOOD + "[quick]\nask.connections = 4\nrounds = 1\n"

    quick = read(tmp_path, text, quick=True)

    assert (quick.ask["connections"], quick.ask["path"], quick.rounds) == (4, "/keep/1k/hot", 1)
    assert read(tmp_path, text).ask["connections"] == 64


@pytest.mark.parametrize("old, new, line, words", [
    ("connections = 64", "connections = \"many\"", 7, "connections is a whole number, not 'many'"),
    ("connections = 64", "connections = -1", 7, "connections is not below 0"),
    ("connections = 64", "conections = 64", 7, "unknown key conections; known are path,"),
    ('kind = "rate"', 'kind = "speed"', 2, "kind 'speed' is not known; write one of rate,"),
    ('"nginx"', '"ngingx"', 3, "products 'ngingx' is not known; write one of breakwater,"),
    ('path = "/keep/1k/hot"', "", 5, "path is missing; write it below [ask]"),
    ('title = "hits"\n', "", 1, "title is missing; write it at the top"),
    ('kind = "rate"', 'kind = "crowd"', 2, "kind crowd needs a table; add [origin]"),
    ("connections = 64", 'protocol = "h2"\npick = "each"', 8, "h2load asks for one path only"),
    ("connections = 64", 'pick = "uniform"', 6, "a path that is picked has {n} in it"),
    ('kind = "rate"', "kind = rate", 2, "not TOML"),
    ("connections = 64", '[holds]\nfrom = "stored"', 8, "looked for by its number; choose pick = \"each\""),
    ("connections = 64", '[[goal]]\nfigure = "rate"', 8, "a goal has either at_least or at_most"),
])
def test_a_mistake_is_named_with_its_line_and_its_cure(tmp_path, old, new, line, words):
    said = complaint(tmp_path, GOOD.replace(old, new))

    assert said.startswith(f"mine.toml:{line}: "), said
    assert words in said


def test_the_origin_gets_a_file_for_each_size_that_is_asked_for(tmp_path):
    text = GOOD.replace("/keep/1k/hot", "/keep/{size}/{n}").replace(
        "connections = 64", 'sizes = ["1k", "32k"]\npick = "each"')

    assert read(tmp_path, text).size_words() == {"1k", "32k"}


def test_a_scenario_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(Trouble, match="no such scenario: hit-2k; there are .*hit-1k"):
        scenario.choose(["hit-2k"], quick=False)


def test_scenarios_come_in_the_order_of_their_sizes():
    some = ["hit-1m", "hit-32k", "connections-256", "hit-1k", "connections-16"]

    assert sorted(some, key=scenario.natural) == ["connections-16", "connections-256", "hit-1k", "hit-32k", "hit-1m"]
