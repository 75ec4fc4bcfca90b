"""The picture of a benchmark run: how often ours goes into theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#666666"
"""Of Okabe and Ito's palette, which colour-blind people can tell apart."""


def draw_chart(report: dict[str, Any], path: Path) -> None:
    """One bar a line that has a peer: times better than it, on a logarithmic axis.

    Better and worse differ by side, hatching and words, not by colour alone.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    lines = [line for line in report["lines"] if line["ratio"] and not line["limit"]][::-1]
    better = [line["ratio"] if line["more"] else 1 / line["ratio"] for line in lines]
    mpl.rcParams |= {"svg.hashsalt": "autcar", "font.size": 9}
    figure, axes = pyplot.subplots(figsize=(9, 0.42 * len(lines) + 1.4), layout="constrained")
    for place, (line, times) in enumerate(zip(lines, better, strict=True)):
        ahead = times >= 1
        axes.barh(
            *(place, times - 1, 0.62, 1),
            color=BLUE if ahead else ORANGE,
            hatch="" if ahead else "///",
            edgecolor="white",
        )
        said = f"{times:.1f} ×" if ahead else f"{times:.2f} ×"
        missed = {False: "  target missed", True: "", None: ""}[line["met"]]
        axes.annotate(
            said + missed, (max(times, 1), place), (4, 0), textcoords="offset points", va="center"
        )
    names = [f"{line['work']}\nbeside {line['beside']}" for line in lines]
    axes.set_yticks(range(len(lines)), names, fontsize=7.5)
    axes.set_xscale("log")
    axes.set_xlim(min([0.5, *better]) * 0.8, max([2, *better]) * 3)
    ticks = [0.5, 1, 2, 5, 10, 20]
    axes.set_xticks(ticks, [f"{tick:g} ×" for tick in ticks])
    axes.minorticks_off()
    axes.axvline(1, color=GREY, linewidth=1)
    axes.set_xlabel("times better (to the right of 1) or worse (to the left)")
    axes.spines[["top", "right"]].set_visible(False)
    machine = report["machine"]
    busy = f"load {machine['load']} → {machine['load after']}"
    title = f"{machine['machine']}, {busy}; {machine['peer']}"
    axes.set_title(title, fontsize=9, loc="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
