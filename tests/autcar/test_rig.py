"""A car opened as car.toml says: simulated in lock-step, and in real time behind the guardian."""

import math
import time
from dataclasses import replace

import pytest

from autcar.config import CameraSection, Config, MotorsSection, SimulatorSection
from autcar.errors import CameraError, ConfigError, MotorError
from autcar.rig import open_rig
from autcar.simulator.wires import Wires

MS = 1_000_000


def test_lockstep_runs_on_the_worlds_clock():
    with open_rig(Config(), realtime=False) as rig:
        rig.wheels.arm()
        assert rig.world is not None
        start = (rig.world.x, rig.world.y)
        began = time.monotonic()
        rig.wheels.drive(0.7, 0.7, 0, 0)
        for number in range(40):
            frame = rig.camera.read()
            assert frame.time_ns == rig.clock() == (number + 1) * 50 * MS
        assert math.dist(start, (rig.world.x, rig.world.y)) == pytest.approx(0.84, rel=0.1)
    assert time.monotonic() - began < 2


def test_real_time_goes_through_the_guardian_and_the_wires(tmp_path):
    path = tmp_path / "wires"
    config = replace(Config(), simulator=SimulatorSection(wires=str(path)))
    with open_rig(config) as rig, Wires(path) as wires:
        frame = rig.camera.read()
        assert 0 <= rig.clock() - frame.time_ns < 500 * MS
        rig.wheels.drive(0.5, 0.5, 0, rig.clock() + 250 * MS)
        time.sleep(0.05)
        assert wires.read()[:2] == (0, 0), "it moved before it was armed"
        rig.wheels.arm()
        rig.wheels.drive(0.5, 0.25, 0, rig.clock() + 900 * MS)
        time.sleep(0.1)
        assert wires.read()[:2] == (0.5, 0.25)
    with Wires(path) as wires:
        assert wires.read()[:2] == (0, 0), "closing the car must bring it to rest"


def test_only_a_simulated_car_outruns_time():
    config = replace(Config(), camera=CameraSection(driver="picamera2"))
    with pytest.raises(ConfigError, match="faster than real time"):
        open_rig(config, realtime=False)


def test_wires_that_cannot_be_made(tmp_path):
    bad = SimulatorSection(wires=str(tmp_path / "no" / "folder" / "wires"))
    with pytest.raises(MotorError):
        open_rig(replace(Config(), simulator=bad))


def test_a_recording_seen_by_a_car_with_simulated_motors(make_session, tmp_path):
    path = tmp_path / "wires"
    options = {"session": str(make_session())}
    config = Config(
        camera=CameraSection("replay", 64, 48, 50.0, options=options),
        simulator=SimulatorSection(wires=str(path)),
    )
    with open_rig(config) as rig, Wires(path) as wires:
        assert rig.world is None
        frame = rig.camera.read()
        rig.wheels.arm()
        rig.wheels.drive(0.5, 0.25, frame.time_ns, rig.clock() + 900 * MS)
        time.sleep(0.1)
        assert wires.read()[:2] == (0.5, 0.25)
    with Wires(path) as wires:
        assert wires.read()[:2] == (0, 0)


def test_halves_that_do_not_fit():
    with pytest.raises(ConfigError, match="sees only the simulated car"):
        open_rig(Config(motors=MotorsSection("stepper")))
    with pytest.raises(ConfigError, match="did you mean 'stepper'"):
        open_rig(Config(camera=CameraSection("replay"), motors=MotorsSection("steper")))


def test_a_camera_that_is_missing_leaves_nothing_open(tmp_path):
    config = Config(camera=CameraSection("replay", options={"session": str(tmp_path / "no")}))
    with pytest.raises(CameraError):
        open_rig(config)
