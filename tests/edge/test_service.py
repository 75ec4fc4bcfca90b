"""``autcar drive --service``: ready, armed when it may be, and why it cannot go on."""

from __future__ import annotations

import math

import pytest

from autcar.cli import main
from autcar.errors import CameraError, CameraTimeoutError
from autcar.exit_codes import NO_CAMERA
from autcar.safety import Reason
from edge import service
from edge.service import BrokenPilotError, ControlRefusedError, Service
from tests.edge.scripted import Car


class Manager:
    """Hears what systemd would."""

    def __init__(self):
        self.said = []

    def __getattr__(self, name):
        return lambda text="": self.said.append(f"{name} {text}".strip())


class Bench:
    """The service around a scripted car; ``turn`` lets the loop turn once."""

    def __init__(self, script=(), pilot=None):
        self.car, self.manager = Car(script, pilot), Manager()
        self.service = Service(self.car.loop, self.car.gate, self.manager)
        self.service.about = {"bundle": "mine (int8)", "folder": "mine-1"}

    def turn(self, times=1):
        for _ in range(times):
            self.service._note(next(self.car.ticks))


def test_it_is_ready_after_one_whole_turn_and_tells_what_changes():
    bench = Bench()
    assert bench.service.facts()["ready"] is False
    bench.turn(3)
    assert bench.manager.said == [
        *("alive", "status mine (int8): at rest: not armed", "ready"),
        *("alive", "alive"),
    ]
    bench.car.loop.arm()
    bench.turn(2)
    assert bench.manager.said.count("status mine (int8): drives") == 1
    assert bench.car.motors.speeds != (0, 0)
    facts = bench.service.answer("status")
    assert (facts["armed"], facts["frames"], facts["folder"]) == (True, 5, "mine-1")
    assert facts["fps"] > 0
    facts = bench.service.answer("disarm")
    assert (facts["armed"], facts["reason"]) == (False, Reason.DISARMED.value)
    assert bench.car.motors.speeds == (0, 0)
    assert "there are arm, disarm, status" in bench.service.answer("fly")["error"]


def test_after_a_boot_it_arms_itself_if_the_owner_said_so(tmp_path, monkeypatch):
    bench = Bench()
    bench.service.arm_when_ready = True
    bench.turn(3)
    assert bench.service.facts()["armed"]
    monkeypatch.setenv("AUTCAR_RUN", str(tmp_path))
    assert [service._first_of_this_boot() for _ in range(3)] == [True, False, False]


def test_a_disarm_before_it_is_ready_holds():
    bench = Bench()
    bench.service.arm_when_ready = True
    assert bench.service.answer("disarm")["armed"] is False
    bench.turn(3)
    assert not bench.service.facts()["armed"]
    assert bench.car.motors.speeds == (0, 0)


def test_what_cannot_be_armed_now_is_not_armed_later(monkeypatch):
    monkeypatch.setattr(service, "_ARM_WAIT_S", 0.05)
    bench = Bench()
    bench.turn()
    with pytest.raises(ControlRefusedError, match="not armed: not armed; look at `autcar service"):
        bench.service.answer("arm")
    bench.turn(3)  # the frames that were missing come: too late
    assert not bench.service.facts()["armed"]
    assert bench.car.motors.speeds == (0, 0)


def test_a_camera_without_frames_is_waited_for_but_not_for_ever(monkeypatch):
    bench = Bench(script=[CameraTimeoutError("no frame")] * 2)
    bench.turn()
    assert bench.manager.said[-1] == "step waiting for the camera's first frame"
    monkeypatch.setattr(service, "CAMERA_WAIT_S", 0.0)
    with pytest.raises(CameraTimeoutError, match="no frame in 0 s; check its cable"):
        bench.turn()


def test_a_bundle_that_answers_with_no_numbers_never_gets_ready():
    class Nonsense:
        def scores(self, frame):
            return [math.nan] * 12

    bench = Bench(pilot=Nonsense())
    with pytest.raises(BrokenPilotError, match="`autcar models rollback`"):
        bench.turn()
    assert "ready" not in bench.manager.said


@pytest.fixture
def started(tmp_path, monkeypatch):
    """The verb with a camera that fails as the test says."""
    monkeypatch.setenv("AUTCAR_RUN", str(tmp_path))
    monkeypatch.setenv("AUTCAR_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("autcar.appliance.service_mode.CAMERA_WAIT_S", 0.0)
    manager = Manager()
    monkeypatch.setattr(service, "Notifier", lambda: manager)
    return manager


def test_a_car_without_a_camera_is_not_started_again_and_again(started, tmp_path, monkeypatch):
    def no_camera(config):
        raise CameraError("no camera at /dev/video0")

    waits = []
    monkeypatch.setattr("autcar.appliance.service_mode.open_vehicle", no_camera)
    monkeypatch.setattr("autcar.appliance.service_mode.time.sleep", waits.append)
    monkeypatch.setattr("autcar.appliance.service_mode.CAMERA_WAIT_S", 0.001)
    assert main(["drive", "--service"]) == NO_CAMERA
    assert not service._first_of_this_boot(), "a later start would arm itself"
    assert started.said[-1] == "status failed: no camera at /dev/video0"


def test_a_camera_may_come_late(started, monkeypatch):
    from autcar.appliance import service_mode

    vehicle, tries = Car().vehicle, []

    def late(config):
        tries.append(config)
        if len(tries) < 3:
            raise CameraError("not yet")
        return vehicle

    monkeypatch.setattr(service_mode, "CAMERA_WAIT_S", 60.0)
    monkeypatch.setattr(service_mode, "open_vehicle", late)
    monkeypatch.setattr(service_mode.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(service_mode, "step_back", lambda: None)
    assert service_mode.open_when_there(None, started) is vehicle
    assert started.said == [
        "step opening camera and motors",
        "step waiting for the camera: not yet",
        "step waiting for the camera: not yet",
    ]


def test_a_bundle_that_does_not_fit_is_said_to_systemd(started, tmp_path, monkeypatch):
    monkeypatch.setattr(service, "open_when_there", lambda config, notifier: Car().vehicle)
    (tmp_path / "car.toml").write_text("[camera]\nwidth = 320\nheight = 240\n")
    assert main(["drive", "--service", "--config", str(tmp_path / "car.toml")]) == 2
    assert started.said[-1].startswith("status failed: bundle ")
    assert "takes 224×168 images" in started.said[-1]
