"""simulate - runs build/offload-sim on both cores and reads what it prints; judges the goals."""
import concurrent.futures
import json
import subprocess

GOALS_WEB = (("breakwater:requests", "belady-size", "request_offload", 92),
             ("breakwater:bytes", "belady", "byte_offload", 86))
BASELINES = ("lru", "s3-fifo", "gdsf")
MARGIN = 2  # points below the best baseline
# what the simulation by which the policy was chosen reaches (docs/decisions/0016): requests with that goal, bytes with
# theirs
REACHED = {
    ("scan", 5): (66.20, 59.92), ("scan", 10): (72.46, 65.57),
    ("onehit", 5): (61.45, 54.46), ("onehit", 10): (63.56, 59.47),
    ("flash", 5): (75.65, 58.60), ("flash", 10): (82.11, 65.41),
    ("drift", 5): (77.59, 64.15), ("drift", 10): (82.01, 70.81),
    ("flood", 5): (67.50, 55.21), ("flood", 10): (70.02, 62.28),
    ("corr+", 5): (80.93, 62.80), ("corr+", 10): (84.27, 70.95),
    ("corr-", 5): (94.18, 4.86), ("corr-", 10): (94.25, 9.70),
}
NEAR = 0.5  # points from that
GOAL_SHARES = (5, 10)
LIVE_AHEAD = 10  # points of requests, at 5 %


class Failed(Exception):
    """One line for the person who asked."""


def run_one(program, tables, trace, shares, reduce):
    command = [program, "--tables", tables, "--shares", ",".join(f"{share:g}" for share in shares), *reduce, trace]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(done.stderr.strip() or f"{program} ended with status {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def run(program, tables, traces, shares, reduce, jobs, progress):
    """The cells of all traces, in the order of the traces.  `reduce`: options that make them smaller."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(run_one, program, tables, trace, shares, reduce) for trace in traces]
        cells = []
        for number, one in enumerate(waiting, 1):
            cells += one.result()
            progress(f"simulated {number} of {len(traces)} traces")
    return cells


def by_policy(cells):
    """{(trace, share): {policy: cell}}, in order"""
    groups = {}
    for cell in cells:
        groups.setdefault((cell["trace"], cell["share"]), {})[cell["policy"]] = cell
    return groups


def goal(what, got, wanted, holds):
    return {"what": what, "got": round(got, 2), "wanted": wanted, "holds": holds}


def web_goals(share, group):
    for ours, bound, figure, wanted in GOALS_WEB:
        got = 100 * group[ours][figure] / group[bound][figure]
        yield goal(f"web at {share:g} %: {figure.replace('_', ' ')} of {ours} against {bound}", got, f">= {wanted} %",
                   got >= wanted)


def generated_goals(trace, share, group):
    for (ours, _, figure, _), reached in zip(GOALS_WEB, REACHED[trace, share]):
        what = f"{trace} at {share:g} %: {figure.replace('_', ' ')} of {ours} against"
        got = group[ours][figure] - max(group[name][figure] for name in BASELINES)
        yield goal(f"{what} the best of {', '.join(BASELINES)}", got, f">= -{MARGIN} points", got >= -MARGIN)
        got = group[ours][figure] - reached
        yield goal(f"{what} the simulation's policy", got, f"within {NEAR} points", abs(got) <= NEAR)


def goals(cells):
    """[{what, got, wanted, holds}], of whole traces"""
    found = []
    for (trace, share), group in by_policy(cells).items():
        if trace == "web" and share in GOAL_SHARES:
            found += web_goals(share, group)
        if (trace, share) in REACHED:
            found += generated_goals(trace, share, group)
    return found


def goals_live(runs):
    """
    Ahead of every peer: in requests by ten points at 5 % with that goal, and in both with the goal of bytes alone.
    """
    found = []
    for run in runs:
        ours = {one["name"]: one for one in run["products"] if one["name"].startswith("breakwater")}
        margin = LIVE_AHEAD if run["share"] == 5 else 0
        for name, figure, least in (("breakwater", "request_offload", margin),
                                    ("breakwater:bytes", "request_offload", 0),
                                    ("breakwater:bytes", "byte_offload", 0)):
            for peer in run["products"]:
                if peer["name"] in ours or name not in ours:
                    continue
                ahead = ours[name][figure] - peer[figure]
                found.append({"what": f"live at {run['share']:g} %: {figure.replace('_', ' ')} of "
                                      f"{ours[name]['title']} against {peer['title']}",
                              "got": round(ahead, 1), "wanted": f">= {least} points ahead", "holds": ahead >= least})
    return found
