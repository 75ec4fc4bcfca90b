"""Each benchmark of ``make bench`` still runs, with tiny counts and without the peers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
RUN = BENCHMARKS / "run.py"

WORK = {
    "inference": {"default network, 1 thread", "the int8 file"},
    "driving": {
        "loop flat out, CPU",
        "loop, guardian at 30 Hz, CPU",
        "frame's age at the wheel",
        "memory of the driving process",
    },
    "recording": {"recording, CPU a 1,000 frames", "recording"},
    "training": {"training, augmented"},
    "simulator": {"simulator, hard tracks"},
}

# What network_search.py found is read, not run.
KEPT = {
    "balanced accuracy, real tub",
    "… taught by AutCar's CNN",
    "between failures, simulator",
}


@pytest.mark.parametrize("section", WORK)
def test_runs_and_finds_figures(section: str, tmp_path: Path) -> None:
    chart = tmp_path / "chart.svg"
    command = [sys.executable, RUN, "--quick", "--no-peers", "--only", section, "--chart", chart]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert {line["work"] for line in report["lines"]} - KEPT == WORK[section]
    for line in report["lines"]:
        assert line["ours"] > 0
        assert line["met"] in (True, False)
    assert chart.read_text().startswith("<?xml")


def test_the_family_holds_the_default_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from network_family import FAMILY, macs
    from network_search import CHOSEN

    from trainer.networks import DEFAULT, build_network

    shipped, candidate = build_network(DEFAULT, 168, 224, 12), FAMILY[CHOSEN].build(168, 224, 12)
    assert DEFAULT == CHOSEN
    assert macs(candidate) == macs(shipped)
    assert candidate.count_params() == shipped.count_params()


def test_what_was_found_of_the_family_is_drawn(tmp_path: Path) -> None:
    found = json.loads((BENCHMARKS / "network_search.json").read_text(encoding="utf-8"))
    picture = tmp_path / "networks.svg"
    command = [sys.executable, BENCHMARKS / "network_search.py", "draw", "--picture", picture]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True)
    for name in found:
        assert f"\n{name} " in f"\n{done.stdout}"
    assert picture.is_file()
