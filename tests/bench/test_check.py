"""What a check makes of the origin's counts, with a product and an origin that are made up."""
import types

import pytest
from harness import check, scenario

NGINX = types.SimpleNamespace(name="nginx", product=types.SimpleNamespace(is_cache=True))


def stored_scenario():
    return scenario.read(scenario.FOLDER / "miss-store.toml")


def test_an_even_sample_has_the_first_and_the_last_and_no_number_twice():
    numbers = check.spread(50000, 400)

    assert (len(numbers), len(set(numbers)), numbers[0], numbers[-1]) == (400, 400, 1, 50000)
    assert {b - a for a, b in zip(numbers, numbers[1:])} == {125, 126}


@pytest.mark.parametrize("count", [1, 2, 399, 400])
def test_of_few_all_are_looked_at(count):
    assert check.spread(count, 400) == list(range(1, count + 1))


class Store:
    """A product that has stored every number but those that `lost` says, and its origin."""

    def __init__(self, monkeypatch, lost):
        self.lost, self.counted, self.paths = lost, 0, []
        monkeypatch.setattr(check, "ask", self.ask)
        monkeypatch.setattr(check.time, "sleep", lambda _: None)

    def ask(self, _, path, protocol):
        assert protocol == "http"
        self.paths.append(path)
        self.counted += self.lost(int(path.rpartition("-")[2]))
        return check.Answer(200, {}, b"x")

    def count(self):
        return self.counted

    def bytes_of(self, _):
        return b"x"


def test_the_share_that_is_stored_is_what_the_origin_is_not_asked_for_again(monkeypatch):
    store = Store(monkeypatch, lambda n: n > 30000)

    share = check.share_stored(NGINX, store, stored_scenario(), "nginx1", 40000)

    assert share == pytest.approx(0.75, abs=0.01)
    assert (store.paths[0], store.paths[-1]) == ("/keep/1k/nginx1-1", "/keep/1k/nginx1-40000")


def test_nothing_stored_is_a_share_of_nothing(monkeypatch):
    assert check.share_stored(NGINX, Store(monkeypatch, lambda _: 1), stored_scenario(), "s", 10) == 0


def figures(**more):
    return {"errors": 0, "requests": 1000, "origin_requests": 1000, **more}


def test_half_of_it_stored_is_a_figure_and_less_is_a_failure():
    check.check_measured(NGINX, stored_scenario(), figures(stored=0.5))

    with pytest.raises(check.Failed, match="nginx has stored 49% of what should all have been stored"):
        check.check_measured(NGINX, stored_scenario(), figures(stored=0.49))


def passes(*missing):
    """A pass over the objects, of which so many are missing, one number a pass."""
    left = list(missing)
    return left, lambda: left.pop(0)


def test_a_store_is_filled_again_until_next_to_nothing_is_missing():
    left, once = passes(1000000, 343614, 20000, 5000, 1)

    check.until_stored(NGINX, 1000000, once)

    assert left == [1]


def test_of_few_objects_none_may_be_missing():
    left, once = passes(100, 1, 0)

    check.until_stored(NGINX, 100, once)

    assert not left


def test_a_store_that_stays_full_of_gaps_is_given_up_with_the_number_that_is_missing():
    left, once = passes(*[1000000] * 5, 343614, 0)

    with pytest.raises(check.Failed, match="nginx: 343,614 of 1,000,000 objects are not in its store after 6 passes"):
        check.until_stored(NGINX, 1000000, once)
    assert left == [0]
