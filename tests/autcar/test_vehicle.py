"""A car opened as car.toml says: simulated in lock-step, and in real time behind the guardian."""

import math
import time
from dataclasses import replace

import pytest

from autcar.config import CameraSection, Config, MotorsSection, SimulatorSection
from autcar.errors import CameraError, ConfigError, MotorError
from autcar.simulator.wires import Wires
from autcar.vehicle import open_vehicle

MS = 1_000_000


def test_lockstep_runs_on_the_worlds_clock(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it slept"))
    with open_vehicle(Config(), realtime=False) as vehicle:
        vehicle.wheels.arm()
        assert vehicle.world is not None
        start = (vehicle.world.x, vehicle.world.y)
        vehicle.wheels.drive(0.7, 0.7, 0, 0)
        for number in range(40):
            frame = vehicle.camera.read()
            assert frame.time_ns == vehicle.clock() == (number + 1) * 50 * MS
        assert math.dist(start, (vehicle.world.x, vehicle.world.y)) == pytest.approx(0.84, rel=0.1)


def test_real_time_goes_through_the_guardian_and_the_wires(tmp_path):
    path = tmp_path / "wires"
    config = replace(Config(), simulator=SimulatorSection(wires=str(path)))
    with open_vehicle(config) as vehicle, Wires(path) as wires:
        frame = vehicle.camera.read()
        assert 0 <= vehicle.clock() - frame.time_ns < 500 * MS
        vehicle.wheels.drive(0.5, 0.5, 0, vehicle.clock() + 250 * MS)
        time.sleep(0.05)
        assert wires.read()[:2] == (0, 0), "it moved before it was armed"
        vehicle.wheels.arm()
        vehicle.wheels.drive(0.5, 0.25, 0, vehicle.clock() + 900 * MS)
        time.sleep(0.1)
        assert wires.read()[:2] == (0.5, 0.25)
    with Wires(path) as wires:
        assert wires.read()[:2] == (0, 0), "closing the car must bring it to rest"


def test_only_a_simulated_car_outruns_time():
    config = replace(Config(), camera=CameraSection(driver="picamera2"))
    with pytest.raises(ConfigError, match="faster than real time"):
        open_vehicle(config, realtime=False)


def test_wires_that_cannot_be_made(tmp_path):
    bad = SimulatorSection(wires=str(tmp_path / "no" / "folder" / "wires"))
    with pytest.raises(MotorError):
        open_vehicle(replace(Config(), simulator=bad))


def test_a_recording_seen_by_a_car_with_simulated_motors(make_session, tmp_path):
    path = tmp_path / "wires"
    options = {"session": str(make_session())}
    config = Config(
        camera=CameraSection("replay", 64, 48, 50.0, options=options),
        simulator=SimulatorSection(wires=str(path)),
    )
    with open_vehicle(config) as vehicle, Wires(path) as wires:
        assert vehicle.world is None
        frame = vehicle.camera.read()
        vehicle.wheels.arm()
        vehicle.wheels.drive(0.5, 0.25, frame.time_ns, vehicle.clock() + 900 * MS)
        time.sleep(0.1)
        assert wires.read()[:2] == (0.5, 0.25)
    with Wires(path) as wires:
        assert wires.read()[:2] == (0, 0)


def test_halves_that_do_not_fit():
    with pytest.raises(ConfigError, match="sees only the simulated car"):
        open_vehicle(Config(motors=MotorsSection("stepper")))
    with pytest.raises(ConfigError, match="did you mean 'stepper'"):
        open_vehicle(Config(camera=CameraSection("replay"), motors=MotorsSection("steper")))
    with pytest.raises(ConfigError, match="did you mean 'stepper'"):
        open_vehicle(Config(motors=MotorsSection("steper")))


def test_a_camera_that_is_missing_leaves_nothing_open(tmp_path):
    config = Config(camera=CameraSection("replay", options={"session": str(tmp_path / "no")}))
    with pytest.raises(CameraError):
        open_vehicle(config)
