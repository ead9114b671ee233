"""report - what was measured, for a terminal, as JSON and as Markdown.

plots.py draws the SVGs that the last one shows.
"""
import json
import time

from . import compare
from .compare import US
from .products import PRODUCTS

# the columns of each kind: figure, head, how it is written
COLUMNS = {
    "rate": (("rate", "requests/s", "{:,.0f}"), ("stored", "stored", "{:.0%}"), ("stored_rate", "stored/s", "{:,.0f}"),
             ("cpu", "CPU", "{:.0%}"), ("load_cpu", "load CPU", "{:.0%}"),
             ("per_cpu", "per CPU s", "{:,.0f}"), ("p50_ms", "p50 ms", "{:.2f}"), ("p99_ms", "p99 ms", "{:.2f}"),
             ("p999_ms", "p99.9 ms", "{:.2f}")),
    "beside": (("p50_ms", "p50 ms", "{:.2f}"), ("p99_ms", "p99 ms", "{:.2f}"), ("p999_ms", "p99.9 ms", "{:.2f}"),
               ("loud_p50_ms", "loud p50", "{:.2f}"), ("loud_p99_ms", "loud p99", "{:.2f}"),
               ("loud_p999_ms", "loud p99.9", "{:.2f}"), ("p99_growth", "p99 grew", "{:.2f} x"),
               ("cpu", "CPU", "{:.0%}")),
    "readers": (("p50_ms", "p50 ms", "{:.2f}"), ("p99_ms", "p99 ms", "{:.2f}"), ("p999_ms", "p99.9 ms", "{:.2f}"),
                ("rate", "requests/s", "{:,.0f}"), ("cpu", "CPU", "{:.0%}"), ("load_cpu", "load CPU", "{:.0%}")),
    "crowd": (("origin_requests", "origin requests", "{:,.0f}"),
              ("last_first_byte_ms", "last first byte ms", "{:,.0f}"),
              ("total_s", "total s", "{:.2f}"), ("cpu", "CPU", "{:.0%}")),
    "expiry": (("origin_requests", "origin requests", "{:,.0f}"), ("origin_peak", "at once", "{:.0f}"),
               ("waited", "waited", "{:,.0f}"), ("slowest_ms", "slowest ms", "{:,.0f}"),
               ("errors", "errors", "{:.0f}")),
    "start": (("first_hit_s", "first hit s", "{:.3f}"), ("full_index_s", "full index s", "{:.2f}"),
              ("objects", "objects", "{:,.0f}")),
    "memory": (("bytes_per_object", "bytes/object", "{:,.0f}"), ("index_bytes_per_object", "of index", "{:.1f}"),
               ("bytes_per_connection", "idle HTTP/1.1", "{:,.0f}"),
               ("bytes_per_h2_connection", "idle HTTP/2", "{:,.0f}")),
}
# what the ratios of each kind are of, and whether more is better; see chief()
CHIEF = {"rate": (("rate", True), ("per_cpu", True)), "beside": (("loud_p99_ms", False),),
         "readers": (("p99_ms", False),), "crowd": (("total_s", False),), "expiry": (),
         "start": (("first_hit_s", False),), "memory": ()}
IN_SHORT = {"expiry": (("slowest_ms", False),)}  # what is not worth a ratio in the table of its kind


IN_SHORT_TEXT = """What Breakwater does, and how many times as good that is as what the others do: so many times their rate, or
their time is so many times its own. Bold: another is ahead."""


def chief(scenario):
    """What the ratios of this scenario are of, and whether more is better."""
    return tuple((scenario.rate_figure() if figure == "rate" else figure, larger)
                 for figure, larger in CHIEF[scenario.kind])


def cell(rounds, figure, form):
    value = compare.median(rounds, figure)
    return "-" if value is None else form.format(value)


def ratios(scenario, figures, name):
    """Breakwater to this product: so many times its rate, or of its time."""
    if name == US:
        return ""
    values = [compare.ratio(figures.get(US, []), figures[name], figure) for figure, _ in chief(scenario)]
    return " / ".join("-" if value is None else f"{value:.2f} x" for value in values)


def rows(scenario, run):
    """(the head, the rows) of a scenario's table, as texts."""
    figures, failures = run.figures[scenario.name], run.failures[scenario.name]
    shared = run.shares_core(scenario)
    columns = [c for c in COLUMNS[scenario.kind]
               if any(compare.median(rounds, c[0]) is not None for rounds in figures.values())]
    about = " / ".join(figure.replace("_", " ") for figure, _ in chief(scenario))
    head = ["", *(c[1] for c in columns), f"Breakwater is, by {about}" if about else "", "marks"]
    lines = []
    for name, rounds in figures.items():
        marks = "; ".join(compare.marks(name, rounds, failures, shared))
        lines.append([PRODUCTS[name].title, *(cell(rounds, c[0], c[2]) for c in columns),
                      ratios(scenario, figures, name), marks])
    return head, lines


def goal_text(verdict):
    against = verdict["against"]
    if verdict["is_ratio"]:
        against = f" x {PRODUCTS[against].title if against in PRODUCTS else against or 'the best peer'}"
    value = "not measured" if verdict["value"] is None else f"{verdict['value']:.3g}"
    return (f"{verdict['figure']} {'>=' if verdict['at_least'] else '<='} {verdict['limit']:g}{against}: {value}, "
            f"{verdict['verdict'].upper()}")


def terminal(scenario, run):
    """One scenario, as soon as it is measured."""
    head, lines = rows(scenario, run)
    widths = [max(len(row[i]) for row in [head, *lines]) for i in range(len(head))]
    print(f"\n{scenario.name}: {scenario.title} ({run.took[scenario.name]:.0f} s)")
    for row in [head, *lines]:
        cells = [text.rjust(width) if 0 < i < len(row) - 1 else text.ljust(width)
                 for i, (text, width) in enumerate(zip(row, widths))]
        print("  " + "  ".join(cells).rstrip(), flush=True)
    for verdict in run.verdicts(scenario) if run.judging else ():
        print(f"  goal: {goal_text(verdict)}", flush=True)


def markdown_table(head, lines):
    return "\n".join(["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *lines]])


def standing(scenario, run):
    """Is Breakwater first?  By the first figure of its kind; None: nobody to compare with."""
    figures = chief(scenario)
    return compare.is_first(run.figures[scenario.name], *figures[0]) if figures else None


def summary(scenarios, run):
    """The lines that matter: failures, rows where Breakwater is not first, goals that fall short."""
    lines = []
    for scenario in scenarios:
        for name, reason in run.failures[scenario.name].items():
            lines.append(f"- **{scenario.name}**: {name} failed: {reason}")
        if run.judging and standing(scenario, run) is False:
            figure, larger = chief(scenario)[0]
            best = compare.best_peer(run.figures[scenario.name], figure, larger)
            value = compare.ratio(run.figures[scenario.name][US], run.figures[scenario.name][best], figure)
            lines.append(f"- **{scenario.name}**: {PRODUCTS[best].title} is first; "
                         f"Breakwater has {value or 0:.2f} x its {figure.replace('_', ' ')}")
        for verdict in run.verdicts(scenario) if run.judging else ():
            if verdict["verdict"] != "met":
                lines.append(f"- **{scenario.name}**: {goal_text(verdict)}")
    return lines or ["- nothing: first everywhere, and every goal is met" if run.judging else "- nothing failed"]


def times_as_good(figures, name, figure, larger):
    """So many times a peer's rate, or one divided by so many times its time; bold where that is less than 1."""
    value = compare.ratio(figures.get(US, []), figures.get(name, []), figure)
    if not value:
        return "-"
    good = value if larger else 1 / value
    return f"{good:.2f}" if good >= 1 else f"**{good:.2f}**"


def glance(scenarios, run):
    """One row a scenario: Breakwater's figure, and how many times as good it is as each of the others."""
    names = [name for name in PRODUCTS if any(run.figures[s.name].get(name) for s in scenarios)]
    lines = []
    for scenario in scenarios:
        figures, about = run.figures[scenario.name], [*chief(scenario), *IN_SHORT.get(scenario.kind, ())]
        if not about or not figures.get(US):
            continue
        figure, larger = about[0]
        head, form = next((head, form) for key, head, form in COLUMNS[scenario.kind] if key == figure)
        lines.append([scenario.title, f"{cell(figures[US], figure, form)} {head}",
                      *(times_as_good(figures, name, figure, larger) for name in names if name != US)])
    return ["", PRODUCTS[US].title, *(PRODUCTS[name].title for name in names if name != US)], lines


def heading(facts):
    machine, versions = facts["machine"], facts["versions"]
    return (f"{facts['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['memory_mib']:,} MiB, "
            f"Linux {machine['kernel']}; `{facts['command']}`\n\n"
            + ", ".join(f"{PRODUCTS[name].title} {version}" for name, version in versions.items()))


def markdown(scenarios, run, facts, plots):
    """The report: what falls short first, then every table."""
    parts = ["# Breakwater beside its peers", heading(facts), "## Where Breakwater is not first, or short of a goal",
             "\n".join(summary(scenarios, run)), "## In short", IN_SHORT_TEXT, markdown_table(*glance(scenarios, run))]
    group = None
    for scenario in scenarios:
        if scenario.group != group:
            group = scenario.group
            parts.append(f"## {group}")
            parts += [f"![{group}]({plot})" for plot in plots.get(group, ())]
        parts += [f"### {scenario.name}: {scenario.title}", markdown_table(*rows(scenario, run))]
        if scenario.note:
            parts.append(scenario.note)
        goals = [goal_text(verdict) for verdict in run.verdicts(scenario)] if run.judging else []
        if goals:
            parts.append("\n".join(f"- goal: {text}" for text in goals))
    return "\n\n".join(parts) + "\n"


def facts_of(run, machine, command):
    return {"date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "machine": machine, "command": command,
            "versions": run.versions}


def write_results(path, scenarios, run, facts):
    """Everything, round by round."""
    told = {**facts, "scenarios": {s.name: {
        "title": s.title, "group": s.group, "kind": s.kind, "figures": run.figures[s.name],
        "failures": run.failures[s.name], "goals": run.verdicts(s) if run.judging else [],
        "marks": {name: compare.marks(name, rounds, run.failures[s.name], run.shares_core(s))
                  for name, rounds in run.figures[s.name].items()}} for s in scenarios}}
    path.write_text(json.dumps(told, indent=1) + "\n")
