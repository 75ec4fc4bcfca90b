"""A driving car is killed: what it decided until shortly before can be read."""

import os
import subprocess
import sys
import time

import pytest

from autcar.errors import AutcarError
from edge.drive_log import read_drive
from edge.replay import compare, summary
from tests.edge.test_drive_log import PILOT
from tests.system.cockpit_car import REPOSITORY, wait_for

LOST_S = 1.0


@pytest.mark.parametrize("after_s", [1.5, 2.3])
def test_a_killed_drive_keeps_its_log(tmp_path, after_s):
    (tmp_path / "car.toml").write_text(
        "[safety]\nframe_age_ms = 900.0\ncommand_ms = 900.0\n[record]\nfree_mb = 0\n"
    )
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "autcar.cli", "drive", "--log", str(tmp_path / "drives")),
            *("--log-frames", "--config", str(tmp_path / "car.toml")),
        ],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.DEVNULL,
    )

    def drives():
        try:
            return len(read_drive(next((tmp_path / "drives").iterdir())).decisions) > 3
        except (AutcarError, FileNotFoundError, StopIteration):
            return False

    wait_for(drives, 30, "decisions")
    time.sleep(after_s)
    killed_ns = time.monotonic_ns()
    process.kill()
    process.wait()
    drive = read_drive(next((tmp_path / "drives").iterdir()))
    lost_s = (killed_ns - int(drive.decisions["time_ns"][-1])) / 1e9
    print(f"{len(drive.decisions)} decisions and {len(drive.frames)} frames; {lost_s:.2f} s lost")
    assert lost_s < LOST_S
    assert "did not end properly" in summary(drive)
    assert len(drive.frames) >= len(drive.decisions) - 30
    assert compare(drive, PILOT, "another").frames == len(drive.frames)
