"""Medians, ratios, marks and goals, with numbers that were worked out by hand."""
import pytest
from harness import compare


def rounds(figure, *values, **more):
    return [{figure: value, **more} for value in values]


def goal(figure="rate", peer=None, scenario=None, at_least=None, at_most=None):
    return {"figure": figure, "peer": peer, "scenario": scenario, "at_least": at_least, "at_most": at_most}


def test_the_median_is_the_middle_round_and_not_the_mean():
    assert compare.median(rounds("rate", 100, 900, 200), "rate") == 200


def test_the_median_of_an_even_number_of_rounds_is_between_the_two_in_the_middle():
    assert compare.median(rounds("rate", 100, 300, 200, 900), "rate") == 250


def test_what_nobody_measured_has_no_median():
    assert compare.median([], "rate") is None
    assert compare.median(rounds("rate", None, None), "rate") is None


def test_a_ratio_is_taken_in_each_round_before_the_median():
    # the ratios are 2, 4 and 1: the median is 2, while the medians' ratio would be 400 / 100 = 4
    ours, theirs = rounds("rate", 200, 400, 500), rounds("rate", 100, 100, 500)

    assert compare.ratio(ours, theirs, "rate") == 2


def test_a_round_that_one_of_both_did_not_finish_counts_for_none():
    assert compare.ratio(rounds("rate", 300, 100), rounds("rate", 100), "rate") == 3


def test_there_is_no_ratio_to_nothing():
    assert compare.ratio(rounds("rate", 1), [], "rate") is None
    assert compare.ratio(rounds("rate", 1), rounds("rate", 0), "rate") is None


@pytest.mark.parametrize("load, server, limited", [
    (0.95, 0.89, True), (0.94, 0.5, False), (0.99, 0.90, False), (1.0, 0.2, True), (0.3, 0.99, False)])
def test_a_row_is_limited_by_a_generator_that_was_busy_while_the_server_was_not(load, server, limited):
    assert compare.limited_by_generator(rounds("cpu", server, load_cpu=load)) == limited


@pytest.mark.parametrize("load, server, so", [
    (0.5, 0.5, True), (0.79, 0.79, True), (0.8, 0.2, False), (0.2, 0.8, False)])
def test_a_row_is_marked_in_which_neither_side_was_busy(load, server, so):
    assert compare.disturbed(rounds("cpu", server, load_cpu=load)) == so
    assert ("neither side was busy" in compare.marks("nginx", rounds("cpu", server, load_cpu=load), {})) == so


def test_a_load_that_is_not_measured_limits_nothing():
    assert not compare.limited_by_generator(rounds("cpu", 0.1, load_cpu=None))


def test_the_marks_of_a_row_say_all_that_is_to_be_known():
    busy = rounds("cpu", 0.5, load_cpu=0.97)

    assert compare.marks("nginx", busy, {}) == ["limited by the generator"]
    assert compare.marks("nginx", [], {"nginx": "wrong bytes"}) == ["FAILED: wrong bytes"]
    assert compare.marks("nginx", rounds("cpu", 0.99, load_cpu=0.5), {}, True) == ["shares a core with the generator"]


FIGURES = {"breakwater": rounds("rate", 300), "nginx": rounds("rate", 200), "varnish": rounds("rate", 250),
           "h2o": rounds("rate", 400)}


def test_the_best_peer_is_a_cache_with_the_largest_figure():
    assert compare.best_peer(FIGURES, "rate") == "varnish"


def test_the_best_peer_of_a_time_is_the_one_with_the_smallest():
    assert compare.best_peer(FIGURES, "rate", larger=False) == "nginx"


def test_breakwater_is_first_among_caches_though_static_files_are_faster():
    assert compare.is_first(FIGURES, "rate") is True
    assert compare.is_first({**FIGURES, "varnish": rounds("rate", 301)}, "rate") is False


def test_nobody_is_first_alone():
    assert compare.is_first({"breakwater": rounds("rate", 1), "h2o": rounds("rate", 1)}, "rate") is None


def judged(one, name="s", figures=None):
    verdict = compare.judge(one, name, {"s": FIGURES} if figures is None else figures)
    return verdict["verdict"], verdict["value"]


def test_a_goal_against_a_peer_is_met_by_the_ratio_that_it_asks_for():
    assert judged(goal(peer="nginx", at_least=1.5)) == ("met", 1.5)
    assert judged(goal(peer="nginx", at_least=1.51)) == ("short", 1.5)


def test_a_goal_against_the_best_peer_finds_it():
    assert judged(goal(peer="best", at_least=1.0)) == ("met", 1.2)


def test_a_goal_of_less_time_is_against_the_peer_with_the_least():
    figures = {"s": {"breakwater": rounds("total_s", 3.0), "nginx": rounds("total_s", 2.0),
                     "squid": rounds("total_s", 6.0)}}

    assert judged(goal("total_s", peer="best", at_most=1.0), figures=figures) == ("short", 1.5)


def test_a_goal_without_a_peer_is_about_the_figure_itself():
    assert judged(goal("rate", at_most=300)) == ("met", 300)
    assert judged(goal("rate", at_most=299)) == ("short", 300)


def test_a_goal_against_another_scenario_divides_by_breakwaters_figure_there():
    figures = {"large": {"breakwater": rounds("rate", 80)}, "small": {"breakwater": rounds("rate", 100)}}

    assert judged(goal(scenario="small", at_least=0.85), "large", figures) == ("short", 0.8)


def test_a_goal_whose_peer_was_not_measured_is_unknown():
    assert judged(goal(peer="trafficserver", at_least=1.0)) == ("unknown", None)
    assert judged(goal(scenario="small", at_least=1.0)) == ("unknown", None)
