"""What the report says of figures: the rows, and what falls short before everything else."""
import json
import types

from harness import compare, plots, report, scenario

GOALS = [{"figure": "rate", "peer": "nginx", "scenario": None, "at_least": 1.8, "at_most": None}]


def one(name="hit-1k", goals=(), source="cache"):
    return scenario.Scenario(name, {"title": "hits", "group": "Hits", "kind": "rate", "note": "", "workers": 1,
                                    "holds": {"from": source}, "goal": list(goals)})


def measured(figures, failures=None, judging=True):
    """A run that has found this: figures by scenario and product."""
    run = types.SimpleNamespace(figures=figures, failures=failures or {name: {} for name in figures}, judging=judging,
                                took=dict.fromkeys(figures, 1), versions={"breakwater": "1", "nginx": "2"})
    run.verdicts = lambda s: [compare.judge(goal, s.name, figures) for goal in s.goals]
    run.shares_core = lambda _: False
    return run


def rounds(rate, cpu=0.99, load_cpu=0.5):
    return [{"rate": rate, "cpu": cpu, "load_cpu": load_cpu, "per_cpu": rate / cpu}]


FIGURES = {"hit-1k": {"breakwater": rounds(150000), "nginx": rounds(100000)}}


def test_a_row_has_medians_and_how_breakwater_compares_with_it():
    head, (ours, theirs) = report.rows(one(), measured(FIGURES))

    assert head == ["", "requests/s", "CPU", "load CPU", "per CPU s", "Breakwater is, by rate / per cpu", "marks"]
    assert ours == ["Breakwater", "150,000", "99%", "50%", "151,515", "", ""]
    assert theirs == ["nginx", "100,000", "99%", "50%", "101,010", "1.50 x / 1.50 x", ""]


def test_a_row_that_the_generator_limited_is_marked():
    figures = {"hit-1k": {"breakwater": rounds(150000, cpu=0.7, load_cpu=0.99), "nginx": rounds(100000)}}

    _, (ours, theirs) = report.rows(one(), measured(figures))

    assert (ours[-1], theirs[-1]) == ("limited by the generator", "")


def test_the_summary_names_goals_that_are_short_and_not_those_that_are_met():
    short = report.summary([one(goals=GOALS)], measured(FIGURES))
    met = report.summary([one(goals=[{**GOALS[0], "at_least": 1.5}])], measured(FIGURES))

    assert short == ["- **hit-1k**: rate >= 1.8 x nginx: 1.5, SHORT"]
    assert met == ["- nothing: first everywhere, and every goal is met"]


def test_the_summary_names_rows_where_another_is_first():
    figures = {"hit-1k": {"breakwater": rounds(80), "nginx": rounds(100)}}

    assert report.summary([one()], measured(figures)) == [
        "- **hit-1k**: nginx is first; Breakwater has 0.80 x its rate"]


def test_the_summary_names_failures_also_where_no_time_is_judged():
    run = measured({"hit-1k": {"breakwater": rounds(80), "nginx": []}}, {"hit-1k": {"nginx": "wrong bytes"}},
                   judging=False)

    assert report.summary([one(goals=GOALS)], run) == ["- **hit-1k**: nginx failed: wrong bytes"]


def test_in_short_more_than_one_is_ahead_of_rates_and_of_times_and_less_is_bold():
    start = scenario.Scenario("start", {"title": "a start", "group": "Start", "kind": "start", "note": "",
                                        "workers": 1, "holds": {"from": "cache"}, "goal": []})
    figures = {"hit-1k": {"breakwater": rounds(80), "nginx": rounds(100), "squid": rounds(40)},
               "start": {"breakwater": [{"first_hit_s": 0.1}], "nginx": [{"first_hit_s": 0.2}]}}

    head, lines = report.glance([one(), start], measured(figures))

    assert head == ["", "Breakwater", "nginx", "Squid"]
    assert lines == [["hits", "80 requests/s", "**0.80**", "2.00"], ["a start", "0.100 first hit s", "2.00", "-"]]


def stored(rate, share):
    return [{"rate": rate, "stored": share, "stored_rate": rate * share, "cpu": 1.0, "per_cpu": rate * share}]


# the one who answers more quickly has stored less of it
STORED = {"miss-store": {"breakwater": stored(20000, 0.5), "nginx": stored(16000, 1.0)}}


def test_a_row_of_what_is_to_be_stored_is_compared_by_what_was():
    head, (ours, theirs) = report.rows(one("miss-store", source="stored"), measured(STORED))

    assert head[1:4] == ["requests/s", "stored", "stored/s"]
    assert ours[1:4] == ["20,000", "50%", "10,000"]
    assert (head[-2], theirs[-2]) == ("Breakwater is, by stored rate / per cpu", "0.62 x / 0.62 x")


def test_who_answers_most_is_not_first_if_another_has_stored_more():
    told = report.summary([one("miss-store", source="stored")], measured(STORED))

    assert told == ["- **miss-store**: nginx is first; Breakwater has 0.62 x its stored rate"]


def test_the_plot_of_what_is_to_be_stored_has_what_was():
    names, lines = plots.of_group("rate", [one("miss-store", source="stored")], STORED)

    assert (names, lines) == (["breakwater", "nginx"], ['"miss-store" 0.6250 1.0000'])


def test_the_results_have_every_round_with_marks_and_goals(tmp_path):
    path = tmp_path / "results.json"

    report.write_results(path, [one(goals=GOALS)], measured(FIGURES), {"date": "today"})

    told = json.loads(path.read_text())
    assert told["scenarios"]["hit-1k"]["figures"]["nginx"] == rounds(100000)
    assert told["scenarios"]["hit-1k"]["goals"][0]["verdict"] == "short"
    assert told["date"] == "today"


def test_the_markdown_begins_with_what_falls_short():
    facts = {"date": "today", "command": "bench/run", "versions": {"breakwater": "1"},
             "machine": {"cpu": "X", "cores": 2, "memory_mib": 1024, "kernel": "6"}}

    text = report.markdown([one(goals=GOALS)], measured(FIGURES), facts, {"Hits": ["hits-rate.svg"]})

    assert text.index("1.5, SHORT") < text.index("| nginx | 100,000 |")
    assert "![Hits](hits-rate.svg)" in text
