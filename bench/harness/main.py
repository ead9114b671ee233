"""main - the command line: chooses, measures, reports; whatever goes wrong is one line, and nothing is left running."""
import argparse
import os
import pathlib
import sys

from . import compare, load, machine, plots, report, scenario
from .machine import Trouble
from .products import NAMES, Bench, PRODUCTS
from .run import Progress, Run, run_scenario


class Measured(Run):
    """A run, and what is said of it."""

    def __init__(self, bench, options, progress):
        super().__init__(bench, options, progress)
        self.judging = not options.quick
        self.versions = {}

    def verdicts(self, each):
        return [compare.judge(goal, each.name, self.figures) for goal in each.goals]

    def shares_core(self, each):
        return machine.LOAD_CORE in machine.server_cores(each.workers)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="bench/run", description="Breakwater beside its peers, in one run; "
                                     "bench/README.md tells how to read it.",
                                     epilog="scenarios: " + " ".join(scenario.names()))
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    parser.add_argument("--binary", type=pathlib.Path, default=pathlib.Path("build/breakwater"))
    parser.add_argument("--rounds", type=int, help="default 3, with --quick 1")
    parser.add_argument("--seconds", type=int, help="of each measurement; default 3, with --quick 1")
    parser.add_argument("--products", default=",".join(NAMES), help="default: all, " + ",".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="smaller work, every check, no judging of times")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/bench"))
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (1 if options.quick else 3)
    options.binary, options.out = options.binary.resolve(), options.out.resolve()
    options.products = [name for name in options.products.split(",") if name]
    unknown = [name for name in options.products if name not in NAMES]
    if unknown:
        raise Trouble(f"no such product: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if options.rounds < 1 or options.seconds < 1:
        raise Trouble("--rounds and --seconds are 1 or more")
    return options


def need_everything(bench, run, scenarios):
    """What is missing is said before anything is measured, not after half an hour."""
    for name, package in (("wrk", "wrk"), ("h2load", "nghttp2-client"), ("nghttp", "nghttp2-client"),
                          ("openssl", "openssl"), ("taskset", "util-linux")):
        machine.need_program(name, package)
    wanted = {name for each in scenarios for name in run.products_of(each)}
    for name in [name for name in NAMES if name in wanted] + ["origin"]:
        bench.need(name)
    most = max(each.ask["connections"] for each in scenarios)
    if most > run.options.connections:
        raise Trouble(f"{most} connections are asked for and {run.options.connections} are allowed here; raise the "
                      "limit of open files (ulimit -Hn), or leave the scenario out")
    machine.need_room(bench.folder, max(each.disk_mib for each in scenarios))


def measure(run, scenarios):
    """All of them; answers those that came to an end."""
    done = []
    try:
        run.start_origin()
        for each in scenarios:
            if not run.products_of(each):
                continue
            run_scenario(run, each)
            done.append(each)
            run.progress.clear()
            report.terminal(each, run)
    except OSError as error:
        raise Trouble(f"{error.strerror or error}: {error.filename or 'the harness'}; is the disk full?") from None
    finally:
        run.progress.clear()
        for client in list(load.RUNNING):
            client.end()
        run.bench.stop_all()
        machine.kill_children()
        run.done = done
    return done


def tell(run, options, facts):
    """The files, also of a run that was interrupted."""
    if not run.done:
        return
    report.write_results(options.out / "results.json", run.done, run, facts)
    drawn = plots.draw(run.done, run, options.out)
    (options.out / "report.md").write_text(report.markdown(run.done, run, facts, drawn))
    print("\n" + "\n".join(report.summary(run.done, run)))
    print(f"\n{os.path.relpath(options.out / 'report.md')} and results.json beside it")


def leave_count(run):
    """For tools/test: a product in a scenario is one test, passed if its responses were right."""
    folder = os.environ.get("RESULTS")
    if folder and run.options.quick:
        failed = sum(len(failures) for failures in run.failures.values())
        rows = sum(len(figures) for figures in run.figures.values())
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        pathlib.Path(folder, "bench-quick").write_text(f"{rows - failed} {failed} 0\n", encoding="ascii")


def bench(options, command):
    chosen = scenario.choose(options.scenarios, options.quick)
    machine.need_cores()
    options.connections = machine.raise_descriptors()
    with machine.stopped_by_signals(), machine.work_folder(options.out) as folder:
        run = Measured(Bench(folder, options.binary), options, None)
        run.progress = Progress(chosen, run.products_of, run.rounds_of, options.seconds)
        need_everything(run.bench, run, chosen)
        used = {name for each in chosen for name in run.products_of(each)}
        run.versions = {name: run.bench.version(name) for name in PRODUCTS if name in used}
        facts = report.facts_of(run, machine.describe(), command)
        try:
            measure(run, chosen)
        finally:
            tell(run, options, facts)
        leave_count(run)
        failed = sum(len(failures) for failures in run.failures.values())
        if failed:
            print(f"bench: {failed} products failed a check", file=sys.stderr)
        return 1 if failed else 0


def main(arguments):
    try:
        return bench(parse(arguments), " ".join(["bench/run", *arguments]))
    except Trouble as trouble:
        print(f"bench: {trouble}", file=sys.stderr)
        return 2
