import pytest

from autcar.commands import STOP, Command
from autcar.errors import MotorError
from autcar.helm import Helm, HelmError
from autcar.safety import MS, Limits, Reason

FORWARD = Command("move", "medium", "forward")
LEFT = Command("left", "light", "forward")
FAST = Command("move", "fast", "forward")


class FakeWheels:
    """Wheels with the guardian's rules, on the test's clock."""

    def __init__(self, clock):
        self.clock = clock
        self.at_rest_because = "not armed"
        self.speeds = (0.0, 0.0)
        self.expires_ns = None
        self.broken = False

    def arm(self):
        self._work()
        self.at_rest_because = None

    def drive(self, left, right, frame_time_ns, expires_ns):
        self._work()
        self.settle()
        if self.at_rest_because is None:
            self.speeds, self.expires_ns = (left, right), expires_ns

    def stop(self):
        self.speeds, self.expires_ns, self.at_rest_because = (0.0, 0.0), None, "stop"
        self._work()

    def settle(self):
        if self.expires_ns is not None and self.clock() >= self.expires_ns:
            self.speeds, self.expires_ns, self.at_rest_because = (0.0, 0.0), None, "expired"
        return self.speeds

    def _work(self):
        if self.broken:
            self.speeds = (0.0, 0.0)
            raise MotorError("the guardian died")

    def close(self):
        self.stop()


class Bench:
    """A helm on a virtual clock, with a camera at 20 Hz unless ``camera`` is off."""

    def __init__(self, **settings):
        self.now_ns = 1_000 * MS
        self.camera = True
        self.wheels = FakeWheels(lambda: self.now_ns)
        self.helm = Helm(self.wheels, clock=lambda: self.now_ns, **settings)
        self.helm.saw(self.now_ns)

    def wait(self, ms, tick=True):
        for _ in range(int(ms / 5)):
            self.now_ns += 5 * MS
            if self.camera and self.now_ns % (50 * MS) == 0:
                self.helm.saw(self.now_ns)
            if tick:
                self.helm.tick()

    @property
    def speeds(self):
        return self.wheels.settle()


@pytest.fixture
def bench():
    return Bench()


def test_nothing_moves_before_the_helm_is_taken(bench):
    assert not bench.helm.beat(0, FORWARD)
    assert not bench.helm.beat(1, FORWARD)
    assert bench.speeds == (0, 0)
    assert bench.helm.state.reason == Reason.DISARMED.value


def test_taking_the_helm_moves_nothing(bench):
    lease = bench.helm.take("anna")
    assert bench.speeds == (0, 0)
    assert bench.helm.state.driver == "anna"
    assert bench.helm.beat(lease, FORWARD)
    assert bench.speeds == FORWARD.wheels


def test_one_drives_and_the_other_is_told_who(bench):
    bench.helm.take("anna")
    with pytest.raises(HelmError, match="anna drives"):
        bench.helm.take("ben")
    bench.helm.stop()
    assert bench.helm.take("ben") == 2


def test_stop_is_everybodys_and_latches(bench):
    lease = bench.helm.take("anna")
    bench.helm.beat(lease, FAST)
    bench.helm.stop()
    assert bench.speeds == (0, 0)
    assert not bench.helm.beat(lease, FAST)
    assert bench.speeds == (0, 0)
    assert bench.helm.state.reason == Reason.STOP_PRESSED.value


def test_a_lease_of_before_is_worth_nothing(bench):
    old = bench.helm.take("anna")
    bench.helm.stop()
    new = bench.helm.take("anna")
    assert not bench.helm.beat(old, FORWARD)
    bench.helm.release(old)
    assert bench.helm.state.driver == "anna"
    assert bench.helm.beat(new, FORWARD)


@pytest.mark.parametrize("ticking", [True, False], ids=["ticking", "server stalled"])
def test_a_silent_driver_is_stopped_within_500_ms(bench, ticking):
    lease = bench.helm.take("anna")
    bench.helm.beat(lease, FORWARD)
    bench.wait(395, ticking)
    assert bench.speeds == FORWARD.wheels
    bench.wait(105, ticking)
    assert bench.speeds == (0, 0)
    assert not bench.helm.beat(lease, FORWARD), "latched"
    assert bench.speeds == (0, 0)
    assert bench.helm.state.reason == Reason.LINK_LOST.value


def test_beats_keep_the_car_going(bench):
    lease = bench.helm.take("anna")
    for _ in range(50):
        assert bench.helm.beat(lease, LEFT)
        bench.wait(100)
        assert bench.speeds == LEFT.wheels


def test_a_blind_camera_stops_the_car_and_forbids_the_helm(bench):
    lease = bench.helm.take("anna")
    bench.camera = False
    for _ in range(3):
        bench.helm.beat(lease, FORWARD)
        bench.wait(100)
    assert bench.speeds == (0, 0)
    assert bench.helm.state.reason == Reason.CAMERA_STALLED.value
    with pytest.raises(HelmError, match="no picture"):
        bench.helm.take("anna")


def test_a_car_without_camera_may_be_allowed():
    bench = Bench(blind=True)
    bench.camera = False
    bench.wait(1000)
    assert bench.helm.beat(bench.helm.take("script"), FORWARD)


def test_top_speed_holds_for_people_too():
    bench = Bench(limits=Limits(speed=0.5))
    bench.helm.beat(bench.helm.take("anna"), FAST)
    assert bench.speeds == (0.5, 0.5)


def test_a_stop_counts_even_when_nobody_drives_and_the_guardian_is_dead(bench):
    before = bench.helm.state.rests
    bench.wheels.broken = True
    bench.helm.stop()
    assert bench.helm.state.reason == Reason.GUARDIAN_LOST.value
    bench.wheels.broken = False
    with pytest.raises(HelmError, match="somebody stopped the car"):
        bench.helm.take("anna", rests=before)
    assert bench.helm.take("anna", rests=bench.helm.state.rests)


def test_a_dead_guardian_ends_the_drive(bench):
    lease = bench.helm.take("anna")
    bench.wheels.broken = True
    assert not bench.helm.beat(lease, FORWARD)
    assert bench.helm.state.reason == Reason.GUARDIAN_LOST.value
    with pytest.raises(MotorError):
        bench.helm.take("anna")
    bench.wheels.broken = False
    bench.helm.take("anna")


def test_frames_are_labelled_with_what_was_in_force_when_they_were_exposed(bench):
    start = bench.now_ns
    lease = bench.helm.take("anna")
    bench.wait(50)
    bench.helm.beat(lease, FORWARD)
    bench.wait(50)
    bench.helm.beat(lease, LEFT)
    bench.wait(50)
    bench.helm.stop()
    in_force = bench.helm.in_force
    assert in_force(start - 1) == (STOP, None)
    assert in_force(start) == (STOP, "human")
    assert in_force(start + 50 * MS - 1) == (STOP, "human")
    assert in_force(start + 50 * MS) == (FORWARD, "human")
    assert in_force(start + 100 * MS - 1) == (FORWARD, "human")
    assert in_force(start + 149 * MS) == (LEFT, "human")
    assert in_force(start + 150 * MS) == (STOP, None)


def test_a_stalled_server_labels_the_stop_when_the_guardian_made_it(bench):
    lease = bench.helm.take("anna")
    bench.helm.beat(lease, FORWARD)
    start = bench.now_ns
    bench.wait(2_000, tick=False)
    bench.helm.tick()
    assert bench.helm.in_force(start + 399 * MS) == (FORWARD, "human")
    assert bench.helm.in_force(start + 400 * MS) == (STOP, None)


def test_release_frees_the_helm(bench):
    lease = bench.helm.take("anna")
    bench.helm.beat(lease, FORWARD)
    bench.helm.release(lease)
    assert bench.speeds == (0, 0)
    assert bench.helm.take("ben", "takeover") == lease + 1
