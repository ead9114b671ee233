"""simulate - runs build/offload-sim on both cores and reads what it prints; judges the goals."""
import concurrent.futures
import json
import subprocess

GOALS_WEB = (("breakwater:requests", "belady-size", "request_offload", 92),
             ("breakwater:bytes", "belady", "byte_offload", 86))
BASELINES = ("lru", "s3-fifo", "gdsf")
GENERATED = ("scan", "onehit", "flash", "drift", "flood", "corr+", "corr-")
MARGIN = 2  # points below the best baseline
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


def goals(cells):
    """[{what, got, wanted, holds}]"""
    found = []
    for (trace, share), group in by_policy(cells).items():
        if share not in GOAL_SHARES:
            continue
        if trace == "web":
            for ours, bound, figure, wanted in GOALS_WEB:
                got = 100 * group[ours][figure] / group[bound][figure]
                found.append({"what": f"web at {share:g} %: {figure.replace('_', ' ')} of {ours} against {bound}",
                              "got": round(got, 1), "wanted": f">= {wanted} %", "holds": got >= wanted})
        if trace in GENERATED:
            for ours, _, figure, _ in GOALS_WEB:
                best = max(group[name][figure] for name in BASELINES)
                got = group[ours][figure] - best
                found.append({"what": f"{trace} at {share:g} %: {figure.replace('_', ' ')} of {ours} against the best "
                                      f"of {', '.join(BASELINES)}",
                              "got": round(got, 2), "wanted": f">= -{MARGIN} points", "holds": got >= -MARGIN})
    return found


def goals_live(runs):
    """Ahead of every peer: in requests by ten points at 5 % with that goal, and in both with the goal of bytes alone."""
    found = []
    for run in runs:
        ours = {one["name"]: one for one in run["products"] if one["name"].startswith("breakwater")}
        margin = LIVE_AHEAD if run["share"] == 5 else 0
        for name, figure, least in (("breakwater", "request_offload", margin), ("breakwater:bytes", "request_offload", 0),
                                    ("breakwater:bytes", "byte_offload", 0)):
            for peer in run["products"]:
                if peer["name"] in ours or name not in ours:
                    continue
                ahead = ours[name][figure] - peer[figure]
                found.append({"what": f"live at {run['share']:g} %: {figure.replace('_', ' ')} of {ours[name]['title']} "
                                      f"against {peer['title']}",
                              "got": round(ahead, 1), "wanted": f">= {least} points ahead", "holds": ahead >= least})
    return found
