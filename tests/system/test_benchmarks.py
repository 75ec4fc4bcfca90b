"""Each benchmark of ``make bench`` still runs, with tiny counts and without the peers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[2] / "benchmarks/run.py"

WORK = {
    "inference": {"default network, 1 thread", "the int8 file"},
    "driving": {
        "whole loop, CPU a frame",
        "frame's age at the wheel",
        "memory of the driving process",
    },
    "recording": {"recording, CPU a 1,000 frames", "recording"},
    "training": {"training, augmented"},
    "simulator": {"simulator, hard tracks"},
}


@pytest.mark.parametrize("section", WORK)
def test_runs_and_finds_figures(section: str, tmp_path: Path) -> None:
    chart = tmp_path / "chart.svg"
    command = [sys.executable, RUN, "--quick", "--no-peers", "--only", section, "--chart", chart]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert {line["work"] for line in report["lines"]} == WORK[section]
    for line in report["lines"]:
        assert line["ours"] > 0
        assert line["met"] in (True, False)
    assert chart.read_text().startswith("<?xml")
