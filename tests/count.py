"""count - a pytest plugin (-p count) that leaves "passed failed skipped" in $RESULTS/$COUNT, for tools/test."""
import os
import pathlib


class Count:
    """A test has failed if any part of it has."""

    def __init__(self):
        self.outcomes = {"passed": set(), "failed": set(), "skipped": set()}

    def pytest_runtest_logreport(self, report):
        if report.failed or report.skipped or report.when == "call":
            self.outcomes[report.outcome].add(report.nodeid)

    def pytest_sessionfinish(self, session):
        failed, skipped = self.outcomes["failed"], self.outcomes["skipped"]
        passed = self.outcomes["passed"] - failed
        broken = int(session.exitstatus not in (0, 1, 5) and not failed)
        folder = os.environ.get("RESULTS")
        if folder:
            line = f"{len(passed)} {len(failed) + broken} {len(skipped)}\n"
            pathlib.Path(folder, os.environ["COUNT"]).write_text(line, encoding="ascii")


def pytest_sessionstart(session):
    session.config.pluginmanager.register(Count(), "counter")
