"""The driving loop with a scripted camera, pilot and wheels, on a virtual clock."""

import gc
import threading

import pytest

from autcar.commands import CLASSES
from autcar.errors import CameraError, CameraTimeoutError, MotorError
from autcar.safety import MS, Reason
from edge.pilots import ConstantDecider, DecidingPilot
from tests.edge.scripted import LEFT, Car


def test_frames_become_leased_commands():
    car = Car()
    car.loop.arm()
    tick = next(car.ticks)
    assert car.motors.speeds == LEFT.wheels
    assert tick.verdict.command == LEFT.index
    assert car.motors.leases == [(car.camera.now, car.camera.now + 250 * MS)]


def test_it_waits_to_be_armed():
    car = Car()
    assert next(car.ticks).verdict.reason is Reason.DISARMED
    assert car.motors.speeds == (0, 0)
    assert car.motors.leases == []


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
    assert car.motors.speeds == (0, 0)


def test_one_stops_the_wheels_at_a_time():
    """Whoever stops them waits for the guardian's answer, which nobody else may read."""
    car, inside, go_on = Car(), [], threading.Event()
    next(car.ticks)
    car.motors.stop = lambda: (inside.append(threading.current_thread()), go_on.wait(5))
    threads = [threading.Thread(target=stop) for stop in (car.loop.stop, car.ticks.close)]
    for thread in threads:
        thread.start()
        thread.join(0.1)
    assert inside == threads[:1]
    go_on.set()
    for thread in threads:
        thread.join(5)
    assert inside == threads


def test_the_collector_passes_over_what_was_loaded_before():
    gc.disable()  # as `autcar drive` does while it loads
    car = Car()
    next(car.ticks)
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    car.ticks.close()
    assert gc.get_freeze_count() == 0


def test_a_silent_camera_stops_and_latches():
    car = Car([0, CameraTimeoutError("no frame")])
    car.loop.arm()
    next(car.ticks)
    tick = next(car.ticks)
    assert (tick.frame, tick.verdict.reason) == (None, Reason.CAMERA_STALLED)
    assert car.motors.speeds == (0, 0)
    assert next(car.ticks).verdict.reason is Reason.CAMERA_STALLED
    car.loop.arm()
    assert next(car.ticks).verdict.reason is None
    assert car.motors.speeds == LEFT.wheels


def test_a_camera_that_is_gone_stops_and_is_heard_of():
    car = Car([0, CameraError("unplugged")])
    car.loop.arm()
    next(car.ticks)
    with pytest.raises(CameraError, match="unplugged"):
        next(car.ticks)
    assert car.motors.speeds == (0, 0)
    assert car.gate.reason is Reason.CAMERA_STALLED


class Failing:
    def scores(self, frame):
        raise ZeroDivisionError("pilot")


def test_a_pilot_that_fails_stops_first():
    car = Car(pilot=Failing())
    car.loop.arm()
    with pytest.raises(ZeroDivisionError):
        next(car.ticks)
    assert car.motors.speeds == (0, 0)
    assert car.gate.reason is Reason.PILOT_FAILED


@pytest.mark.parametrize("scores", [[float("nan")] * 12, [1.0] * 3, []])
def test_a_pilot_that_talks_nonsense_is_stopped(scores):
    class Nonsense:
        def scores(self, frame):
            return scores

    car = Car(pilot=Nonsense())
    car.loop.arm()
    assert next(car.ticks).verdict.reason is Reason.BAD_OUTPUT
    assert car.motors.speeds == (0, 0)


def test_a_guardian_that_stopped_latches_the_gate():
    car = Car()
    car.loop.arm()
    next(car.ticks)
    car.motors.stop()
    car.motors.at_rest_because = "expired"
    assert next(car.ticks).verdict.reason is Reason.EXPIRED
    assert next(car.ticks).verdict.reason is Reason.EXPIRED
    assert car.motors.speeds == (0, 0)


def test_a_lost_guardian_latches_the_gate_and_is_heard_of():
    car = Car()
    car.loop.arm()
    next(car.ticks)
    car.motors.broken = True
    with pytest.raises(MotorError):
        next(car.ticks)
    assert car.gate.reason is Reason.GUARDIAN_LOST
    assert car.motors.speeds == (0, 0)


def test_stop_forgets_a_wish_to_arm():
    car = Car()
    car.loop.arm()
    assert car.loop.stop().reason is Reason.STOP_PRESSED
    assert next(car.ticks).verdict.reason is Reason.STOP_PRESSED
    assert car.motors.speeds == (0, 0)


@pytest.mark.parametrize("armed_before", [False, True])
def test_a_wish_to_arm_does_not_outlive_a_silent_camera(armed_before):
    """Neither one made in its silence nor one made while the car drives."""
    car = Car([0, CameraTimeoutError("no frame")])
    if armed_before:
        car.loop.arm()
    next(car.ticks)
    car.loop.arm()
    next(car.ticks)
    assert next(car.ticks).verdict.reason is Reason.CAMERA_STALLED
    assert car.motors.speeds == (0, 0)


def test_a_camera_has_two_seconds_to_its_first_frame():
    car, patience = Car(), []
    read = car.camera.read
    car.camera.read = lambda seconds: (patience.append(seconds), read())[1]
    for _ in range(2):
        next(car.ticks)
    assert patience == [2.0, 0.25]


def test_a_wish_to_arm_that_waited_long_is_void_and_says_why():
    car = Car([400] * 41)
    car.loop.arm()
    for _ in range(40):
        assert next(car.ticks).verdict.reason is Reason.DISARMED
    for _ in range(2):
        assert next(car.ticks).verdict.reason is Reason.STALE_FRAME
    assert car.motors.leases == []
    car.loop.arm()
    assert next(car.ticks).verdict.reason is None


@pytest.mark.parametrize(("answer", "drives"), [(1, True), (2, False)])
def test_only_a_pilots_first_answer_may_take_long(answer, drives):
    class Slow:
        asked = 0

        def scores(self, frame):
            self.asked += 1
            car.camera.now += 3000 * MS * (self.asked == answer)
            return DecidingPilot(ConstantDecider(LEFT)).scores(frame)

    car = Car([400] * answer, pilot=Slow())
    car.loop.arm()
    for _ in range(answer + 1):
        verdict = next(car.ticks).verdict
    assert (verdict.reason is None) is drives


def test_a_wish_said_during_a_slow_first_answer_is_void_two_seconds_after_it():
    class Slow:
        asked = 0

        def scores(self, frame):
            self.asked += 1
            if self.asked == 1:
                car.camera.now += 9000 * MS
                car.loop.arm()
                car.camera.now += 1000 * MS
            return DecidingPilot(ConstantDecider(LEFT)).scores(frame)

    car = Car([400] * 42, pilot=Slow())
    for _ in range(44):
        verdict = next(car.ticks).verdict
    assert verdict.reason is Reason.STALE_FRAME
    assert car.motors.leases == []


@pytest.mark.parametrize("command", CLASSES, ids=lambda command: command.label)
def test_a_decider_is_a_pilot(command):
    scores = DecidingPilot(ConstantDecider(command)).scores(None)
    assert scores.index(1.0) == command.index
    assert sum(scores) == 1.0
