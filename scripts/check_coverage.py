"""What the tests cover, package by package: ``make coverage``. Too little is an error.

    python scripts/check_coverage.py REPORT.json [--worst 10]

Reads the JSON report of coverage.py, which counts lines and branches apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FEWEST_LINES, FEWEST_BRANCHES = 95.0, 90.0
"""Percent of each of the car's packages."""

PACKAGES = ("autcar", "capture", "edge")


def main() -> int:
    """Print the table; returns 1 when a package is covered too little, else 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="of `coverage json`")
    parser.add_argument("--worst", type=int, default=10, help="files to name (10)")
    arguments = parser.parse_args()
    files = json.loads(arguments.report.read_text(encoding="utf-8"))["files"]
    enough = True
    print(f"{'package':<10}{'lines':>8}{'covered':>9}{'branches':>10}{'covered':>9}")
    for package in PACKAGES:
        total: Counter[str] = Counter()
        for name, found in files.items():
            if package_of(name) == package:
                total.update(counts(found))
        lines, branches = percent(total, "lines"), percent(total, "branches")
        enough &= lines >= FEWEST_LINES and branches >= FEWEST_BRANCHES
        print(
            f"{package:<10}{total['lines']:>8,}{lines:>8.1f}%"
            f"{total['branches']:>10,}{branches:>8.1f}%"
        )
    missed = {name: lacking(found) for name, found in files.items() if package_of(name)}
    print("\nleast covered (lines and branches missed):")
    for name in sorted(missed, key=lambda name: missed[name], reverse=True)[: arguments.worst]:
        print(f"{missed[name]:>5}  {name}")
    if not enough:
        print(
            f"\nof each package {FEWEST_LINES:g} % of the lines and {FEWEST_BRANCHES:g} % of the "
            f"branches are wanted; test what is missed, or delete what is dead"
        )
    return 0 if enough else 1


def package_of(name: str) -> str | None:
    """Which of :data:`PACKAGES` the file is of, None for another."""
    first = Path(name).parts[0]
    return first if first in PACKAGES else None


def counts(found: Mapping[str, Any]) -> dict[str, int]:
    """Lines and branches of one file of the report: how many there are, how many are covered."""
    summary = found["summary"]
    return {
        "lines": summary["num_statements"],
        "lines covered": summary["covered_lines"],
        "branches": summary["num_branches"],
        "branches covered": summary["covered_branches"],
    }


def percent(total: Mapping[str, int], what: str) -> float:
    """The share that is covered; all of nothing is covered."""
    return 100 * total[f"{what} covered"] / total[what] if total[what] else 100.0


def lacking(found: Mapping[str, Any]) -> int:
    """Lines and branches of one file that no test reached."""
    n = counts(found)
    return n["lines"] - n["lines covered"] + n["branches"] - n["branches covered"]


if __name__ == "__main__":
    sys.exit(main())
