"""plots - one SVG a group of scenarios, drawn by gnuplot: bars side by side, a colour for each product."""
import shutil
import subprocess

from . import compare
from .machine import Trouble
from .products import PRODUCTS

COLOURS = {"breakwater": "#0b6e99", "nginx": "#5aa469", "varnish": "#e0a030", "trafficserver": "#b05a7a",
           "squid": "#8a8f98", "haproxy": "#7a68ae", "h2o": "#c9c2b0"}
# the figure that is drawn for each kind, its axis
DRAWN = {"rate": ("rate", "requests per second, the best in its row is 1"),
         "beside": ("loud_p99_ms", "p99 in ms, with the heavy work beside"),
         "readers": ("p99_ms", "p99 in ms, beside readers of large objects"),
         "crowd": ("total_s", "seconds until the last client has everything"),
         "expiry": ("slowest_ms", "ms that the slowest client waited"),
         "start": ("first_hit_s", "seconds to the first hit"),
         "memory": ("bytes_per_connection", "bytes per idle connection")}
SCRIPT = """set terminal svg size {width},420 dynamic enhanced font "Helvetica,13" background "#ffffff"
set output "{out}"
set title "{title}" font ",15" left offset 0,0.3
set style data histograms
set style histogram clustered gap 1.2
set style fill solid 0.95 border -1
set linetype 10 lc rgb "#dddddd"
set grid ytics lt 10 lw 0.6 front
set border 3 lc rgb "#777777"
set tics nomirror textcolor rgb "#333333"
set ylabel "{axis}" textcolor rgb "#333333"
set key outside right top vertical Left reverse samplen 1.2 spacing 1.3
set boxwidth 0.92
set yrange [{low}:*]
set format y "{form}"
{log}
set xtics rotate by {rotate}
plot {plots}
"""


def of_group(kind, scenarios, figures):
    """(the products, the rows of the data): a row a scenario, a column a product; nothing is left out by being slow."""
    def value(s, name):
        return compare.median(figures[s.name].get(name, []), s.rate_figure() if kind == "rate" else DRAWN[kind][0])

    names = [name for name in PRODUCTS if any(value(s, name) is not None for s in scenarios)]
    lines = []
    for s in scenarios:
        values = [value(s, name) for name in names]
        if kind == "rate":  # 1 KiB and 1 MiB in one picture
            most = max((each for each in values if each), default=1)
            values = [each and each / most for each in values]
        lines.append(f'"{s.name}" ' + " ".join("NaN" if each is None else f"{each:.4f}" for each in values))
    return names, lines


def script(kind, group, scenarios, names, lines, out):
    numbers = [float(x) for line in lines for x in line.rpartition('"')[2].split() if x != "NaN" and float(x) > 0]
    logarithmic = kind != "rate" and bool(numbers) and max(numbers) > 50 * min(numbers)
    data = "$data << END\n" + "\n".join(lines) + "\nEND\n"
    plots = ", \\\n     ".join(
        f'$data using {i + 2}{":xtic(1)" if i == 0 else ""} title "{PRODUCTS[name].title}" '
        f'lc rgb "{COLOURS[name]}" lw 0.4'
        for i, name in enumerate(names))
    return data + SCRIPT.format(
        width=max(700, 300 + 26 * len(names) * len(scenarios)), out=out,
        title=f"{group}: more is better" if kind == "rate" else f"{group}: less is better", axis=DRAWN[kind][1],
        low="*" if logarithmic else 0, form="%.0s%c" if kind == "memory" else "%g",
        log="set logscale y" if logarithmic else "", rotate=-25 if len(scenarios) > 4 else 0, plots=plots)


def draw(scenarios, run, folder):
    """The names of the files by group; none where gnuplot is not there."""
    drawn = {}
    if not shutil.which("gnuplot"):
        return drawn
    groups = {}
    for s in scenarios:
        groups.setdefault((s.group, s.kind), []).append(s)
    for (group, kind), members in groups.items():
        names, lines = of_group(kind, members, run.figures)
        if not names:
            continue
        out = folder / f"{group.lower().replace(' ', '-').replace(',', '')}-{kind}.svg"
        done = subprocess.run(["gnuplot"], input=script(kind, group, members, names, lines, out), text=True,
                              check=False, capture_output=True)
        if done.returncode != 0:
            raise Trouble(f"gnuplot drew no {out.name}: {(done.stderr.strip() or 'no reason given').splitlines()[-1]}")
        drawn.setdefault(group, []).append(out.name)
    return drawn
