"""The driving loop with a scripted camera, pilot and wheels, on a virtual clock."""

import numpy as np
import pytest

from autcar.cameras.base import Camera, Frame
from autcar.commands import CLASSES, Command
from autcar.errors import CameraError, CameraTimeoutError, MotorError
from autcar.safety import MS, Gate, Reason
from edge.loop import Loop
from edge.pilots import ConstantDecider, DecidingPilot

LEFT = Command("left", "light", "forward")


class ScriptedCamera(Camera):
    """20 frames/s of noise; each entry of ``script`` may be an error or an age in ms."""

    width, height, fps = 32, 24, 20.0

    def __init__(self, script=()):
        self.now = 10**12
        self.script = list(script)
        self._sequence = 0

    def read(self, timeout_s=1.0):
        self.now += 50 * MS
        self._sequence += 1
        event = self.script.pop(0) if self.script else 0
        if isinstance(event, Exception):
            raise event
        image = np.random.default_rng(self._sequence).integers(0, 256, (24, 32, 3), np.uint8)
        return Frame(image, self._sequence, self.now - event * MS)

    def close(self):
        pass


class ScriptedWheels:
    """Remembers everything; fails when told to."""

    def __init__(self):
        self.at_rest_because = "not armed"
        self.speeds = (0.0, 0.0)
        self.leases = []
        self.broken = False

    def arm(self):
        self.at_rest_because = None

    def drive(self, left, right, frame_time_ns, expires_ns):
        if self.broken:
            raise MotorError("the guardian died")
        if self.at_rest_because is None:
            self.speeds = (left, right)
        self.leases.append((frame_time_ns, expires_ns))

    def stop(self):
        self.speeds = (0.0, 0.0)
        self.at_rest_because = "stop"

    def close(self):
        self.stop()


class Car:
    def __init__(self, script=(), pilot=None):
        self.camera = ScriptedCamera(script)
        self.wheels = ScriptedWheels()
        self.gate = Gate()
        pilot = pilot or DecidingPilot(ConstantDecider(LEFT))
        self.loop = Loop(self.camera, pilot, self.wheels, self.gate, lambda: self.camera.now)
        self.ticks = self.loop.ticks()


def test_frames_become_leased_commands():
    car = Car()
    car.loop.arm()
    tick = next(car.ticks)
    assert car.wheels.speeds == LEFT.wheels
    assert tick.verdict.command == LEFT.index
    assert car.wheels.leases == [(car.camera.now, car.camera.now + 250 * MS)]


def test_it_waits_to_be_armed():
    car = Car()
    assert next(car.ticks).verdict.reason is Reason.DISARMED
    assert car.wheels.speeds == (0, 0)
    assert car.wheels.leases == []


def test_arming_waits_for_a_fresh_frame():
    car = Car([400])
    car.loop.arm()
    assert next(car.ticks).verdict.reason is Reason.DISARMED
    assert next(car.ticks).verdict.reason is None


def test_whatever_ends_the_loop_the_wheels_rest():
    car = Car()
    car.loop.arm()
    next(car.ticks)
    car.ticks.close()
    assert car.wheels.speeds == (0, 0)


def test_a_silent_camera_stops_and_latches():
    car = Car([0, CameraTimeoutError("no frame")])
    car.loop.arm()
    next(car.ticks)
    tick = next(car.ticks)
    assert (tick.frame, tick.verdict.reason) == (None, Reason.CAMERA_STALLED)
    assert car.wheels.speeds == (0, 0)
    assert next(car.ticks).verdict.reason is Reason.CAMERA_STALLED
    car.loop.arm()
    assert next(car.ticks).verdict.reason is None
    assert car.wheels.speeds == LEFT.wheels


def test_a_camera_that_is_gone_stops_and_is_heard_of():
    car = Car([0, CameraError("unplugged")])
    car.loop.arm()
    next(car.ticks)
    with pytest.raises(CameraError, match="unplugged"):
        next(car.ticks)
    assert car.wheels.speeds == (0, 0)
    assert car.gate.reason is Reason.CAMERA_STALLED


class Failing:
    def scores(self, frame):
        raise ZeroDivisionError("pilot")


def test_a_pilot_that_fails_stops_first():
    car = Car(pilot=Failing())
    car.loop.arm()
    with pytest.raises(ZeroDivisionError):
        next(car.ticks)
    assert car.wheels.speeds == (0, 0)
    assert car.gate.reason is Reason.PILOT_FAILED


@pytest.mark.parametrize("scores", [[float("nan")] * 12, [1.0] * 3, []])
def test_a_pilot_that_talks_nonsense_is_stopped(scores):
    class Nonsense:
        def scores(self, frame):
            return scores

    car = Car(pilot=Nonsense())
    car.loop.arm()
    assert next(car.ticks).verdict.reason is Reason.BAD_OUTPUT
    assert car.wheels.speeds == (0, 0)


def test_a_guardian_that_stopped_latches_the_gate():
    car = Car()
    car.loop.arm()
    next(car.ticks)
    car.wheels.stop()
    car.wheels.at_rest_because = "expired"
    assert next(car.ticks).verdict.reason is Reason.EXPIRED
    assert next(car.ticks).verdict.reason is Reason.EXPIRED
    assert car.wheels.speeds == (0, 0)


def test_a_lost_guardian_latches_the_gate_and_is_heard_of():
    car = Car()
    car.loop.arm()
    next(car.ticks)
    car.wheels.broken = True
    with pytest.raises(MotorError):
        next(car.ticks)
    assert car.gate.reason is Reason.GUARDIAN_LOST
    assert car.wheels.speeds == (0, 0)


def test_stop_forgets_a_wish_to_arm():
    car = Car()
    car.loop.arm()
    assert car.loop.stop().reason is Reason.STOP_PRESSED
    assert next(car.ticks).verdict.reason is Reason.STOP_PRESSED
    assert car.wheels.speeds == (0, 0)


@pytest.mark.parametrize("command", CLASSES, ids=lambda command: command.label)
def test_a_decider_is_a_pilot(command):
    scores = DecidingPilot(ConstantDecider(command)).scores(None)
    assert scores.index(1.0) == command.index
    assert sum(scores) == 1.0
