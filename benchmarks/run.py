"""``make bench``: ours and theirs, measured in turn in one run.

    python benchmarks/run.py                        all of it: some 20 minutes on an idle machine
    python benchmarks/run.py --quick                whether it all still runs; figures mean little
    python benchmarks/run.py --only driving recording
    python benchmarks/run.py --output bench.json --chart docs/pictures/benchmarks.svg

Runs the benchmarks of this folder that stand beside a peer or a limit, each in a process of
its own; how well the network drives, which takes hours, is what ``network_search.py`` found.
The peer, Donkeycar 5.3.0, is installed once, in environments of its own in the user's cache
folder. Prints what the machine is, a table of medians, ratios and targets, and a line of
JSON. Behind ± is the median absolute deviation. Exit code 1 only when a benchmark could not
be run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from chart import draw_chart
from machine import facts, load
from network_search import AUTCAR_CNN, CHOSEN, RESULTS, overall, taught_by
from peers.environments import python311

Found = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """One script: its options in a full and in a quick run, and how often a full run has it."""

    script: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    rounds: int = 1


SECTIONS = {
    "inference": Section("inference.py", ("--rounds", "15"), ("--rounds", "2", "--runs", "5")),
    "driving": Section(
        "driving.py",
        ("--seconds", "20"),
        ("--seconds", "1", "--starts", "1", "--turns", "1"),
        rounds=3,
    ),
    "recording": Section(
        "recording.py",
        ("--frames", "5000", "--rounds", "3"),
        ("--frames", "1000", "--rounds", "1"),
    ),
    "training": Section(
        "training.py",
        ("--frames", "4000"),
        ("--frames", "600", "--epochs", "2", "--bare-steps", "1", "--memory"),
    ),
    "simulator": Section("simulator.py", (), ("--quick",)),
}
WITH_PEERS = ("inference", "driving", "recording", "training")


@dataclass(frozen=True)
class Row:
    """One line of the table. ``ours`` and ``other`` find their figures in a section's JSON.

    ``other`` is a peer's figure or a limit, called ``beside``. ``met`` is asked with both;
    a row without a target has none. ``alone`` says that the target needs no other figure,
    ``limit`` that the other is what cannot be beaten, and no peer; ``more`` that more is better.
    """

    section: str
    work: str
    unit: str
    ours: Callable[[Found], Any]
    beside: str = ""
    other: Callable[[Found], Any] | None = None
    target: str = ""
    met: Callable[[float, float], bool] | None = None
    alone: bool = False
    limit: bool = False
    more: bool = False


def _inference(name: str) -> Callable[[Found], Any]:
    return lambda found: found["best_cpu_ms"].get(name)


def _loop(name: str, key: str) -> Callable[[Found], Any]:
    return lambda found: found["loops"].get(name, {}).get(key)


def _whole(key: str) -> Callable[[Found], Any]:
    return lambda found: found["whole"][key]


def _recorder(name: str, key: str) -> Callable[[Found], Any]:
    return lambda found: found.get(name, {}).get(key)


def _rate(name: str, key: str) -> Callable[[Found], Any]:
    return lambda found: found["rates"].get(name, {}).get(key)


def _drives(name: str, kind: str, figure: str) -> Callable[[Found], Any]:
    return lambda found: overall(found.get(name, {}), kind, figure)


def _growth(name: str) -> Callable[[Found], Any]:
    def grown(found: Found) -> float | None:
        peaks = list(found["peak_rss_mb"].get(name, {}).values())
        return peaks[-1] / peaks[0] if peaks else None

    return grown


_DONKEY, _DONKEY_LOOP = "Donkeycar", "Donkeycar, 20 Hz"
TAUGHT = taught_by(CHOSEN, AUTCAR_CNN)

ROWS = (
    Row(
        *("inference", "default network, 1 thread", "ms", _inference("default")),
        *("AutCar's CNN", _inference("AutCar's CNN"), "≥ 8 × faster"),
        lambda ours, other: other >= 8 * ours,
    ),
    Row(
        *("inference", "default network, 1 thread", "ms", _inference("default")),
        *("Donkeycar linear, 224×168", _inference("Donkeycar 224×168"), "≥ 10 × faster"),
        lambda ours, other: other >= 10 * ours,
    ),
    Row(
        *("inference", "default network, 1 thread", "ms", _inference("default")),
        *("Donkeycar linear, its 160×120", _inference("Donkeycar 160×120")),
    ),
    *(
        Row(
            *("networks", work, unit, _drives(name, kind, figure)),
            *("AutCar's CNN, same data", _drives(AUTCAR_CNN, kind, figure), "≥ 1 ×"),
            lambda ours, other: ours >= other,
            more=True,
        )
        for name, work, unit, kind, figure in (
            (CHOSEN, "balanced accuracy, real tub", "", "tub", "balanced_accuracy"),
            (TAUGHT, "… taught by AutCar's CNN", "", "tub", "balanced_accuracy"),
            (CHOSEN, "between failures, simulator", "m", "simulator", "metres_between"),
        )
    ),
    Row(
        *(
            "driving",
            "loop flat out, CPU",
            "ms",
            lambda found: found["flat_out"]["loop_ms"],
        ),
        *("the bare interpreter", lambda found: found["flat_out"]["bare_ms"], "≤ 1.25 ×"),
        lambda ours, other: ours <= 1.25 * other,
        limit=True,
    ),
    Row(
        *("driving", "loop, guardian at 30 Hz, CPU", "ms", _whole("loop_ms")),
        *("the bare interpreter at 30 Hz", _whole("bare_ms"), "≤ 1.25 ×"),
        lambda ours, other: ours <= 1.25 * other,
        limit=True,
    ),
    Row(
        *("driving", "frame's age at the wheel", "ms", _loop("autcar", "age_median_ms")),
        *("inference", _loop("autcar", "inference_median_ms"), "≤ inference + 1 ms"),
        lambda ours, other: ours <= other + 1,
        limit=True,
    ),
    Row(
        *("driving", "frame's age at the wheel", "ms", _loop("autcar", "age_median_ms")),
        *("Donkeycar at 20 Hz", _loop(_DONKEY_LOOP, "age_median_ms")),
    ),
    Row(
        *("driving", "frame's age at the wheel", "ms", _loop("autcar", "age_median_ms")),
        *("Donkeycar flat out", _loop("Donkeycar, flat out", "age_median_ms")),
    ),
    Row(
        *("driving", "memory of the driving process", "MB", _loop("autcar", "rss_mb")),
        *(_DONKEY, _loop(_DONKEY_LOOP, "rss_mb"), "≤ 60 MB"),
        lambda ours, other: ours <= 60,
        alone=True,
    ),
    Row(
        *("driving", "start to first command", "s", _loop("autcar", "cold_start_s")),
        *(_DONKEY, _loop(_DONKEY_LOOP, "cold_start_s"), "≤ 0.5 ×"),
        lambda ours, other: ours <= 0.5 * other,
    ),
    Row(
        *("recording", "recording, CPU a 1,000 frames", "s"),
        *(_recorder("autcar", "cpu_s_per_1000"), _DONKEY),
        *(_recorder(_DONKEY, "cpu_s_per_1000"), "≤ 0.25 s"),
        lambda ours, other: ours <= 0.25,
        alone=True,
    ),
    Row(
        *("recording", "recording", "frames/s", _recorder("autcar", "frames_per_s"), _DONKEY),
        *(_recorder(_DONKEY, "frames_per_s"), "≥ 2,500"),
        lambda ours, other: ours >= 2500,
        more=True,
        alone=True,
    ),
    Row(
        *("training", "training, augmented", "images/CPU s", _rate("autcar", "rates")),
        *("the bare step", _rate("autcar", "bare_rates"), "≥ 0.9 ×"),
        lambda ours, other: ours >= 0.9 * other,
        more=True,
        limit=True,
    ),
    Row(
        *("training", "training, augmented", "images/CPU s", _rate("autcar", "rates")),
        *(_DONKEY, _rate(_DONKEY, "rates"), "≥ 1 ×"),
        lambda ours, other: ours >= other,
        more=True,
    ),
    Row(
        *("training", "memory, 5 k → 20 k frames", "×", _growth("autcar")),
        *(_DONKEY, _growth(_DONKEY), "≤ 1.1 ×"),
        lambda ours, other: ours <= 1.1,
        alone=True,
    ),
    Row(
        *("simulator", "simulator, hard tracks", "frames/CPU s"),
        lambda found: found["driven frames/s, difficulty 1"],
        target="≥ 2,000",
        met=lambda ours, other: ours >= 2000,
        more=True,
        alone=True,
    ),
    Row(
        *("inference", "the int8 file", "kB", lambda found: found["int8_kb"]),
        *("Donkeycar linear", lambda found: found.get("donkeycar_kb"), "≤ 150 kB"),
        lambda ours, other: ours <= 150,
        alone=True,
    ),
)


@dataclass(frozen=True)
class Line:
    """A row with its figures: medians over the rounds, their deviation, and the verdict."""

    work: str
    unit: str
    ours: float
    ours_mad: float
    beside: str
    other: float | None
    other_mad: float
    ratio: float | None
    target: str
    met: bool | None
    limit: bool
    more: bool


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="tiny counts: does it still run?")
    add("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="some of them")
    add("--no-peers", action="store_true", help="only ours")
    add("--output", type=Path, metavar="JSON", help="keep what was found here, too")
    add("--chart", type=Path, metavar="SVG", help="draw the ratios here")
    arguments = parser.parse_args()
    machine = facts()
    print("\n".join(f"{name:<12}{value}" for name, value in machine.items()), flush=True)
    peers = not arguments.no_peers
    if peers and python311() is None:
        print("the peers want Python 3.11, which is not installed here: only ours")
        peers = False
    found, failed = run_all(arguments.only, arguments.quick, peers)
    lines = judge_all(found)
    machine["load after"] = load()
    print(table(lines))
    print(f"± is the median absolute deviation; load {machine['load']} → {machine['load after']}")
    report = {"machine": machine, "quick": arguments.quick, "lines": [asdict(x) for x in lines]}
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    if arguments.chart:
        draw_chart(report, arguments.chart)
        print(f"chart: {arguments.chart}")
    print(json.dumps(report | {"found": found}))
    return 1 if failed else 0


def run_all(names: list[str], quick: bool, peers: bool) -> tuple[dict[str, list[Found]], bool]:
    """What each section found, and whether one could not be run."""
    found: dict[str, list[Found]] = {}
    for name in names:
        try:
            found[name] = list(run(name, quick, peers))
        except BenchmarkError as error:
            print(f"{name} could not be run: {error}", file=sys.stderr)
    return found, len(found) < len(names)


def judge_all(found: dict[str, list[Found]]) -> list[Line]:
    """The rows for which there are figures; how the networks drive was found before."""
    kept = {"networks": [json.loads(RESULTS.read_text(encoding="utf-8"))]}
    lines = (judge(row, (found | kept).get(row.section, [])) for row in ROWS)
    return [line for line in lines if line is not None]


class BenchmarkError(RuntimeError):
    """A script that ended without its line of JSON."""


def run(name: str, quick: bool, peers: bool) -> Iterable[Found]:
    """The line of JSON of each round of one section."""
    section = SECTIONS[name]
    rounds = 1 if quick else section.rounds
    for number in range(rounds):
        print(f"== {name}, {number + 1} of {rounds}", flush=True)
        began = time.monotonic()
        options = [*(section.quick if quick else section.full)]
        if not peers and name in WITH_PEERS:
            # First, for an option that takes several values may stand last.
            options.insert(0, "--no-donkey" if name in ("driving", "recording") else "--no-peers")
        command = [sys.executable, str(HERE / section.script), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        # Its own exit code says whether targets were met; the table does so here.
        try:
            *lines, last = done.stdout.splitlines()
            yield json.loads(last)
        except ValueError:
            raise BenchmarkError(done.stderr[-2000:] or "it printed nothing") from None
        print("\n".join(lines))
        print(f"   {time.monotonic() - began:.0f} s", flush=True)


def judge(row: Row, rounds: list[Found]) -> Line | None:
    """A row's figures, or None where there is nothing to judge it by."""
    ours = _figures(row.ours, rounds)
    others = _figures(row.other, rounds) if row.other else []
    if not ours or not (others or row.alone):
        return None
    mine, theirs = statistics.median(ours), statistics.median(others) if others else None
    return Line(
        row.work,
        row.unit,
        mine,
        _mad(ours),
        row.beside if others else "",
        theirs,
        _mad(others),
        mine / theirs if theirs else None,
        row.target,
        row.met(mine, theirs or 0.0) if row.met else None,
        row.limit,
        row.more,
    )


def _figures(find: Callable[[Found], Any], rounds: list[Found]) -> list[float]:
    """The figure of each round; a script that has rounds of its own gives a list of them."""
    figures: list[float] = []
    for found in rounds:
        value = find(found)
        figures += [] if value is None else value if isinstance(value, list) else [float(value)]
    return figures


def _mad(values: list[float]) -> float:
    if not values:
        return 0.0
    middle = statistics.median(values)
    return statistics.median(abs(value - middle) for value in values)


def table(lines: list[Line]) -> str:
    head = (
        f"\n{'':<31}{'unit':<13}{'ours':>9}{'±':>8}   {'beside':<30}{'theirs':>9}{'±':>8}"
        f"{'ratio':>8}  {'target':<20}"
    )
    rows = [head]
    for line in lines:
        other = "" if line.other is None else _shown(line.other)
        deviation = "" if line.other is None else _shown(line.other_mad)
        ratio = "" if line.ratio is None else f"{line.ratio:.2f} ×"
        verdict = {True: "met", False: "MISSED", None: ""}[line.met]
        rows.append(
            f"{line.work:<31}{line.unit:<13}{_shown(line.ours):>9}{_shown(line.ours_mad):>8}   "
            f"{line.beside:<30}{other:>9}{deviation:>8}{ratio:>8}  {line.target:<20}{verdict}"
        )
    return "\n".join(rows)


def _shown(value: float) -> str:
    """Three figures that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 0.001 else "0"


if __name__ == "__main__":
    sys.exit(main())
