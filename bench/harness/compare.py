"""compare - medians, ratios, marks and goals.  Pure: numbers in, numbers and words out (tested in tests/bench).

A product's figures are a list of dicts, one a round.  Rounds are interleaved, so a ratio is taken within each round and
then the median of the ratios: what slows the machine for a while slows both.
"""
import statistics

GENERATOR_BUSY, SERVER_IDLE, BUSY = 0.95, 0.90, 0.80
US = "breakwater"
OUTSIDE_THE_CONTEST = ("h2o",)  # not a cache: a ceiling, never the best peer


def median(rounds, figure):
    """None: nobody measured it."""
    values = [one[figure] for one in rounds if one.get(figure) is not None]
    return statistics.median(values) if values else None


def ratio(ours, theirs, figure):
    """The median of ours divided by theirs, round by round; None where a pair is missing or theirs is 0."""
    pairs = [(a[figure], b[figure]) for a, b in zip(ours, theirs)
             if a.get(figure) is not None and b.get(figure) is not None]
    if not pairs or any(b == 0 for _, b in pairs):
        return None
    return statistics.median(a / b for a, b in pairs)


def limited_by_generator(rounds):
    """Was the load's core the bottleneck?  Then the rate is the generator's, and the CPU second is what to read."""
    load, server = median(rounds, "load_cpu"), median(rounds, "cpu")
    return load is not None and server is not None and load >= GENERATOR_BUSY and server < SERVER_IDLE


def disturbed(rounds):
    """
    A closed loop that kept neither side busy: something else had the cores, or the waiting was elsewhere (a disk).
    """
    load, server = median(rounds, "load_cpu"), median(rounds, "cpu")
    return load is not None and server is not None and load < BUSY and server < BUSY


def marks(name, rounds, failures, shared_core=False):
    """Words for the last column of a row."""
    words = []
    if name in failures:
        words.append("FAILED: " + failures[name])
    if rounds and limited_by_generator(rounds):
        words.append("limited by the generator")
    if rounds and disturbed(rounds):
        words.append("neither side was busy")
    if rounds and shared_core:
        words.append("shares a core with the generator")
    return words


def peers_of(figures):
    return [name for name in figures if name != US and name not in OUTSIDE_THE_CONTEST and figures[name]]


def best_peer(figures, figure, larger=True):
    """The name of the peer with the best median; None if there is none."""
    known = [(median(figures[name], figure), name) for name in peers_of(figures)]
    known = [each for each in known if each[0] is not None]
    return (max if larger else min)(known)[1] if known else None


def is_first(figures, figure, larger=True):
    """None: not measured, or alone."""
    ours, best = median(figures.get(US, []), figure), best_peer(figures, figure, larger)
    if ours is None or best is None:
        return None
    theirs = median(figures[best], figure)
    return ours >= theirs if larger else ours <= theirs


def value_of(goal, name, everything):
    """(the number that the goal is about, against whom); everything: figures by scenario and product."""
    figures, figure = everything[name], goal["figure"]
    ours = figures.get(US, [])
    if goal["scenario"]:
        there, here = median(everything.get(goal["scenario"], {}).get(US, []), figure), median(ours, figure)
        return (here / there if here is not None and there else None), goal["scenario"]
    if goal["peer"]:
        peer = goal["peer"]
        if peer == "best":
            peer = best_peer(figures, figure, goal["at_least"] is not None)
        return ratio(ours, figures.get(peer, []), figure), peer
    return median(ours, figure), None


def judge(goal, name, everything):
    """met, short or unknown (not measured), with the value, against whom, and the limit."""
    value, against = value_of(goal, name, everything)
    least = goal["at_least"] is not None
    limit = goal["at_least"] if least else goal["at_most"]
    if value is None:
        verdict = "unknown"
    elif (value >= limit) if least else (value <= limit):
        verdict = "met"
    else:
        verdict = "short"
    return {"figure": goal["figure"], "against": against or (goal["peer"] or ""), "is_ratio": bool(goal["peer"] or
            goal["scenario"]), "limit": limit, "at_least": least, "value": value, "verdict": verdict}
