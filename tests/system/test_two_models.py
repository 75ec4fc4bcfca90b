"""AutCar's two-model example as it stands, in real time, watched at the wires."""

import os
import subprocess
import sys
import time
from pathlib import Path

from autcar.simulator.wires import Wires

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "two_models"


def test_it_stops_at_the_sign_for_four_seconds_and_drives_on(tmp_path):
    config = (EXAMPLE / "car.toml").read_text()
    wires = tmp_path / "wires"
    # A busy machine may be late with frames: what is shown here is not how soon it stops then.
    config = config.replace("[simulator]", f'[simulator]\nwires = "{wires}"')
    config += "\n[safety]\nframe_age_ms = 900.0\ncommand_ms = 900.0\n"
    (tmp_path / "car.toml").write_text(config)
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE / "drive.py")],
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "AUTCAR_CONFIG": str(tmp_path / "car.toml"),
            "PYTHONPATH": str(EXAMPLE.parents[1]),
        },
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "stop sign: the car stops for 4 s\n"
        with Wires(wires) as signal:
            time.sleep(0.3)
            began = time.monotonic()
            assert signal.read()[:2] == (0.0, 0.0)
            while signal.read()[:2] == (0.0, 0.0):
                assert time.monotonic() - began < 10, "it does not drive on"
                time.sleep(0.01)
            assert time.monotonic() - began > 3.0
            # The sign is still there; the car drives past it.
            assert process.stdout.readline() == "and drives on\n"
            until = time.monotonic() + 2.0
            while time.monotonic() < until:
                assert signal.read()[:2] != (0.0, 0.0)
                time.sleep(0.01)
    finally:
        process.terminate()
        process.wait(10)
