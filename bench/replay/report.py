"""report - the figures of a run as a table on the terminal, as Markdown and as plots."""
import shutil
import subprocess

from . import simulate

TITLES = {"breakwater:requests": "Breakwater, protect: requests", "breakwater:bytes": "Breakwater, protect: bytes",
          "lru": "LRU", "fifo": "FIFO", "s3-fifo": "S3-FIFO", "gdsf": "GDSF", "lfu-da": "LFU-DA",
          "belady-size": "bound: Belady-size", "belady": "bound: Belady"}
BOUNDS = {"request_offload": "belady-size", "byte_offload": "belady"}
COLOURS = {"breakwater:requests": "#0b6e99", "breakwater:bytes": "#0b6e99", "lru": "#b0b7bd", "fifo": "#d5d9dc",
           "s3-fifo": "#8a949c", "gdsf": "#e0a030", "lfu-da": "#f0cf94", "bound": "#4a4a4a"}


def size(n):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n:.3g} {unit}" if n < 1000 else f"{n:.0f} {unit}"
        n /= 1024
    return ""


def row(policy, group):
    """Title, and for requests and bytes: per cent, and per cent of the bound."""
    cell, words = group[policy], [TITLES[policy]]
    for figure, bound in BOUNDS.items():
        share = cell[figure] / group[bound][figure] if bound in group and group[bound][figure] > 0 else 0
        words += [f"{cell[figure]:.1f}", f"{100 * share:.1f}" if share and policy not in BOUNDS.values() else ""]
    return words


def best(group, figure):
    """The best policy that does not know the future."""
    able = [name for name in group if name not in BOUNDS.values()]
    return max(able, key=lambda name: group[name][figure])


def heading(trace, share, group):
    cell = next(iter(group.values()))
    return (f"{trace}, cache of {share:g} % ({size(cell['room'])} of {size(cell['footprint'])}; "
            f"{cell['requests']:,} requests, {cell['objects']:,} objects)")


def table(cells):
    """For the terminal; * marks the best of those that do not know the future."""
    lines = []
    for (trace, share), group in simulate.by_policy(cells).items():
        lines += ["", heading(trace, share, group),
                  f"  {'':<32}{'requests':>9} {'of bound':>9}{'bytes':>10} {'of bound':>9}"]
        firsts = best(group, "request_offload"), best(group, "byte_offload")
        for policy in group:
            title, requests, of_requests, in_bytes, of_bytes = row(policy, group)
            marks = ["*" if policy == first else " " for first in firsts]
            lines.append(f"  {title:<32}{requests:>9}{marks[0]}{of_requests:>9}{in_bytes:>10}{marks[1]}{of_bytes:>9}")
    return "\n".join(lines)


def goal_lines(goals):
    return "\n".join(f"  {'holds      ' if goal['holds'] else 'FALLS SHORT'} {goal['what']}: {goal['got']}, wanted "
                     f"{goal['wanted']}" for goal in goals)


def live_table(live):
    lines = []
    for run in live:
        lines += ["", f"live: {run['trace']}, cache of {run['share']:g} % ({size(run['room'])} of "
                      f"{size(run['footprint'])}; {run['requests']:,} requests, {size(run['bytes'])})",
                  f"  {'':<32}{'requests':>9}{'bytes':>10}{'seconds':>9}  what it holds at the end"]
        for one in run["products"]:
            disk = f", {size(one['on_disk'])} on disk at most" if one["on_disk"] else ""
            lines.append(f"  {one['title']:<32}{one['request_offload']:>9.1f}{one['byte_offload']:>10.1f}"
                         f"{one['seconds']:>9.0f}  {size(one['held'])} in {one['held_objects']:,} objects{disk}")
    return "\n".join(lines)


def markdown_table(names, rows):
    right = "|".join(["---", *["---:"] * (len(names) - 1)])
    return "\n".join([f"| {' | '.join(names)} |", f"|{right}|", *[f"| {' | '.join(map(str, row))} |" for row in rows]])


def markdown(results):
    parts = ["# Offload", "", f"{results['date']}, {results['version']}, on {results['machine']}. Command: "
             f"`{results['command']}`.", "", "Offload is the share of requests, and of their bytes, that the origin "
             "did not see; the cache is empty at first. Shares of the bound are those of Belady-size for requests and "
             "of Belady for bytes."]
    if results["goals"]:
        parts += ["", "## Goals", "", markdown_table(["goal", "got", "wanted", ""],
                  [[goal["what"], goal["got"], goal["wanted"], "holds" if goal["holds"] else "**falls short**"]
                   for goal in results["goals"]])]
    for run in results["live"]:
        parts += ["", f"## Live: {run['trace']}, cache of {run['share']:g} % ({size(run['room'])})", "",
                  markdown_table(["", "version", "requests", "bytes", "held at the end", "seconds"],
                                 [[one["title"], one["version"], f"{one['request_offload']:.1f}",
                                   f"{one['byte_offload']:.1f}", size(one["held"]), f"{one['seconds']:.0f}"]
                                  for one in run["products"]])]
    for (trace, share), group in simulate.by_policy(results["cells"]).items():
        parts += ["", f"## {heading(trace, share, group)}", "",
                  markdown_table(["", "requests", "of the bound", "bytes", "of the bound"],
                                 [row(policy, group) for policy in group])]
    return "\n".join(parts) + "\n"


# ---- plots ----

NEW_LINE = "\\n"  # gnuplot's
PLOT = """\
set terminal svg size {width},{height} font 'sans-serif,13' background '#ffffff'
set output '{output}'
set multiplot layout 2,1
set style data histograms
set style histogram clustered gap 1.2
set style fill solid 1.0 noborder
set boxwidth 0.92
set grid ytics lc rgb '#e6e8ea' lt 1
set border 1 lc rgb '#9aa0a6'
set tics nomirror scale 0 textcolor rgb '#3c4043'
set yrange [0:100]
set ytics 20
set key outside right center reverse Left samplen 1 textcolor rgb '#3c4043'
set lmargin 7
set rmargin 26
"""


def plot_half(title, names, columns, data):
    lines = [f"set title '{title}' font 'sans-serif,15' textcolor rgb '#202124'", f"${data} << END"]
    lines += [" ".join([f'"{name}"', *(f"{values[name]:.2f}" for _, values, _ in columns)]) for name in names]
    parts = [f"${data} using {number}:xtic(1) title '{label}' lc rgb '{colour}'"
             for number, (label, _, colour) in enumerate(columns, 2)]
    return "\n".join([*lines, "END", "plot " + ", ".join(parts), ""])


def columns_of(groups, figure, ours, bound):
    chosen = [(ours, COLOURS[ours]), *((name, COLOURS[name]) for name in ("gdsf", "lfu-da", "s3-fifo", "lru", "fifo")),
              (bound, COLOURS["bound"])]
    return [(TITLES[name].split(",")[0], {trace: group[name][figure] for trace, group in groups.items()}, colour)
            for name, colour in chosen if all(name in group for group in groups.values())]


def draw(script, output):
    """False where gnuplot is missing."""
    if shutil.which("gnuplot") is None:
        return False
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    return output.exists()


def plot_simulated(cells, share, output):
    """Requests above, bytes below, one cluster a trace."""
    groups = {trace: group for (trace, one), group in simulate.by_policy(cells).items() if one == share}
    names = list(groups)
    script = PLOT.format(width=320 + 110 * len(names), height=640, output=output)
    for figure, ours, bound, what in (("request_offload", "breakwater:requests", "belady-size", "Request"),
                                      ("byte_offload", "breakwater:bytes", "belady", "Byte")):
        title = f"{what} offload, per cent, cache of {share:g} % of the footprint"
        script += plot_half(title, names, columns_of(groups, figure, ours, bound), figure)
    return draw(script, output)


def plot_live(run, output):
    """Two bars a product."""
    lines = [f'"{one["title"].replace(", protect: ", ":" + NEW_LINE)}" {one["request_offload"]:.2f} '
             f'{one["byte_offload"]:.2f}' for one in run["products"]]
    script = PLOT.format(width=960, height=420, output=output).replace("set multiplot layout 2,1\n", "set bmargin 4\n")
    title = f"Offload, per cent: {run['trace']}, cache of {run['share']:g} % ({size(run['room'])})"
    script += "\n".join([f"set title '{title}' font 'sans-serif,15' textcolor rgb '#202124'",
                         "$live << END", *lines, "END",
                         f"plot $live using 2:xtic(1) title 'requests' lc rgb '{COLOURS['breakwater:requests']}', "
                         f"$live using 3 title 'bytes' lc rgb '{COLOURS['gdsf']}'", ""])
    return draw(script, output)


def plots(results, folder, name):
    """The files that were drawn."""
    if results["live"]:
        output = folder / f"{name}.svg"
        return [output] if plot_live(results["live"][0], output) else []
    shares = dict.fromkeys(cell["share"] for cell in results["cells"])
    outputs = {share: folder / f"{name}-{share:g}.svg" for share in shares}
    return [output for share, output in outputs.items() if plot_simulated(results["cells"], share, output)]
