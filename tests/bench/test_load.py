"""How a generator is run to its end, with programs that say what one would say."""
import sys
import time

import pytest
from harness import load
from harness.machine import Trouble


def run(text, timeout=20):
    return load.finish([sys.executable, "-c", text], "the generator", timeout)[0]


def test_all_that_it_says_is_answered():
    assert run("import sys; print('a'); sys.stdout.flush(); print('b', file=sys.stderr)") == "a\nb\n"


def test_who_says_that_its_work_is_over_is_interrupted_and_then_reports():
    text = """
import time
try:
    print("@over", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("figures")
"""
    began = time.monotonic()

    assert run(text) == "@over\nfigures\n"
    assert time.monotonic() - began < 20


def test_who_fails_is_quoted():
    with pytest.raises(Trouble, match="the generator failed: no such host"):
        run("import sys; print('hello'); sys.exit('no such host')")


def test_who_does_not_end_is_ended():
    with pytest.raises(Trouble, match="the generator did not end within 0 s"):
        run("import time; print('hello', flush=True); time.sleep(60)", timeout=0.3)
