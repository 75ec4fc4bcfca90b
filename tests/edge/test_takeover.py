"""A person takes over from a driving pilot, on a virtual clock."""

import threading

import pytest

from autcar.commands import STOP, Command
from autcar.errors import CameraTimeoutError
from autcar.helm import HelmError
from autcar.safety import MS, Reason
from edge.pilots import ConstantDecider, DecidingPilot
from edge.takeover import Takeover
from tests.edge.scripted import LEFT, Car

BACK = Command("move", "medium", "backwards")


class Shared(Car):
    """A car at speed, with a helm that a person may take."""

    def __init__(self, script=(), pilot=None):
        super().__init__(script, pilot)
        self.helm = Takeover(self.loop, self.motors, clock=lambda: self.camera.now)
        self.loop.arm()
        self.tick()
        assert self.motors.speeds == LEFT.wheels

    def tick(self):
        """One turn of the loop, as the driver of a run takes it."""
        tick = next(self.ticks)
        if tick.frame is not None:
            self.helm.saw(tick.frame.time_ns)
        self.helm.tick()
        return tick


@pytest.fixture
def car():
    return Shared()


def test_a_person_takes_over_at_once(car):
    lease = car.helm.take("anna")
    assert car.motors.speeds == STOP.wheels
    assert car.helm.beat(lease, BACK)
    assert car.motors.speeds == BACK.wheels
    for _ in range(3):
        assert car.tick().verdict.reason is Reason.TAKEN_OVER
        assert car.motors.speeds == BACK.wheels
        assert car.helm.beat(lease, BACK)


def test_frames_meanwhile_are_labelled_takeover(car):
    assert car.helm.in_force(car.camera.now) == (STOP, None)
    lease = car.helm.take("anna")
    car.helm.beat(lease, BACK)
    assert car.helm.in_force(car.camera.now) == (BACK, "takeover")


def test_letting_go_leaves_the_car_at_rest_until_somebody_hands_back(car):
    lease = car.helm.take("anna")
    car.helm.beat(lease, BACK)
    with pytest.raises(HelmError, match="anna drives; let go"):
        car.helm.hand_back()
    car.helm.release(lease)
    for _ in range(20):
        assert car.tick().verdict.reason is Reason.TAKEN_OVER
        assert car.motors.speeds == (0, 0)
    car.helm.hand_back()
    assert car.tick().verdict.reason is None
    assert car.motors.speeds == LEFT.wheels


def test_a_person_who_is_lost_leaves_the_car_at_rest(car):
    lease = car.helm.take("anna")
    car.helm.beat(lease, BACK)
    for _ in range(9):
        car.tick()
    assert car.motors.speeds == (0, 0)
    assert car.helm.state.reason == Reason.LINK_LOST.value
    assert not car.helm.beat(lease, BACK)
    car.helm.hand_back()
    car.tick()
    assert car.motors.speeds == LEFT.wheels


def test_an_old_lease_cannot_drive_beside_the_pilot(car):
    lease = car.helm.take("anna")
    car.helm.release(lease)
    car.helm.hand_back()
    car.tick()
    assert not car.helm.beat(lease, BACK)
    assert car.motors.speeds == LEFT.wheels


def test_anybody_stops_the_pilot(car):
    car.helm.stop()
    assert car.motors.speeds == (0, 0)
    assert car.tick().verdict.reason is Reason.STOP_PRESSED
    assert car.motors.speeds == (0, 0)


def test_who_is_refused_does_not_disturb_who_drives(car):
    lease = car.helm.take("anna")
    car.helm.beat(lease, BACK)
    with pytest.raises(HelmError, match="anna drives"):
        car.helm.take("ben")
    assert car.motors.speeds == BACK.wheels


def test_without_a_picture_the_wheel_cannot_be_taken_but_the_pilot_rests(car):
    car.camera.now += 300 * MS
    with pytest.raises(HelmError, match="no picture"):
        car.helm.take("anna")
    assert car.motors.speeds == (0, 0)
    assert car.tick().verdict.reason is Reason.TAKEN_OVER


def test_a_camera_that_stalls_stops_a_person_too():
    car = Shared([0, *[CameraTimeoutError("no frame")] * 6])
    lease = car.helm.take("anna")
    car.helm.beat(lease, BACK)
    for _ in range(6):
        car.helm.beat(lease, BACK)
        car.tick()
    assert car.motors.speeds == (0, 0)
    assert car.helm.state.reason == Reason.CAMERA_STALLED.value


def test_a_lost_guardian_is_no_way_to_drive_on(car):
    car.motors.broken = True
    lease = car.helm.take("anna")
    assert not car.helm.beat(lease, BACK)
    assert car.motors.speeds == (0, 0)
    assert car.helm.state.reason == Reason.GUARDIAN_LOST.value


def test_taking_over_while_the_pilot_decides():
    """The pilot is in the middle of a frame: its word comes too late."""

    class Slow:
        def __init__(self):
            self.asked, self.answer = threading.Event(), threading.Event()
            self.pilot = DecidingPilot(ConstantDecider(LEFT))

        def scores(self, frame):
            self.asked.set()
            assert self.answer.wait(5)
            return self.pilot.scores(frame)

    slow = Slow()
    slow.answer.set()
    car = Shared(pilot=slow)
    slow.asked.clear()
    slow.answer.clear()
    turn = threading.Thread(target=next, args=(car.ticks,))
    turn.start()
    assert slow.asked.wait(5)
    lease = car.helm.take("anna")
    car.helm.beat(lease, BACK)
    slow.answer.set()
    turn.join(5)
    assert car.motors.speeds == BACK.wheels
