"""The gate, on a virtual clock."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autcar.commands import CLASSES, STOP, Command
from autcar.safety import BLIND_LABELS, MS, Gate, Limits, Reason, Sight

TICK_NS = 50 * MS
FORWARD = Command("move", "medium", "forward").index
FAST = Command("move", "fast", "forward").index


def one_hot(index, confidence=1.0):
    rest = (1 - confidence) / 11
    return [confidence if number == index else rest for number in range(12)]


class Bench:
    """A gate on a bench: a camera of 20 frames/s and a pilot, both adjustable."""

    def __init__(self, **limits):
        self.gate = Gate(Limits(**limits))
        self.now = 1_000_000 * MS
        self.sequence = 0
        self.fingerprint = 0

    def arm(self, age_ms=0):
        return self.gate.arm(self.now, self.now - age_ms * MS)

    def tick(self, scores=None, *, age_ms=10, mean=100.0, contrast=40.0, frozen=False, **sight):
        self.now += TICK_NS
        self.sequence += 1
        if not frozen:
            self.fingerprint += 1
        seen = Sight(
            **{
                "sequence": self.sequence,
                "time_ns": self.now - int(age_ms * MS),
                "mean": mean,
                "contrast": contrast,
                "fingerprint": self.fingerprint,
                **sight,
            }
        )
        return self.gate.decide(self.now, seen, one_hot(FORWARD) if scores is None else scores)

    def rest_after_ms(self, **tick):
        """How long bad ticks go on before the wheels rest."""
        began = self.now
        for _ in range(100):
            verdict = self.tick(**tick)
            if verdict.reason is not None:
                assert (verdict.left, verdict.right, verdict.command) == (0.0, 0.0, None)
                return (self.now - began) / MS, verdict.reason
        raise AssertionError("never stopped")


@pytest.fixture
def bench():
    bench = Bench()
    assert bench.arm()
    for _ in range(5):
        assert bench.tick().reason is None
    return bench


@pytest.mark.parametrize("command", CLASSES, ids=lambda command: command.label)
def test_the_pilots_word_reaches_the_wheels(command):
    bench = Bench()
    bench.arm()
    verdict = bench.tick(one_hot(command.index))
    assert (verdict.left, verdict.right) == command.wheels
    assert (verdict.command, verdict.confidence, verdict.reason) == (command.index, 1.0, None)


def test_nothing_moves_before_arming():
    bench = Bench()
    verdict = bench.tick()
    assert (verdict.left, verdict.right, verdict.reason) == (0.0, 0.0, Reason.DISARMED)
    assert not bench.gate.armed


def test_arming_takes_a_fresh_frame():
    bench = Bench()
    assert not bench.arm(age_ms=251)
    assert not bench.arm(age_ms=-1)
    assert bench.tick().reason is Reason.DISARMED
    assert bench.arm(age_ms=250)
    assert bench.tick().reason is None


# What goes wrong → within how many ms the wheels rest, and why.
FAULTS = {
    "stale frame": ({"age_ms": 251}, 50, Reason.STALE_FRAME),
    "frozen image": ({"frozen": True}, 750, Reason.FROZEN_IMAGE),
    "lens covered": ({"mean": 7.9}, 250, Reason.LENS_COVERED),
    "brightness not a number": ({"mean": math.nan}, 250, Reason.LENS_COVERED),
    "glare": ({"mean": 250.1}, 250, Reason.GLARE),
    "grey wall": ({"contrast": 1.9}, 250, Reason.FLAT_IMAGE),
    "contrast not a number": ({"contrast": math.nan}, 250, Reason.FLAT_IMAGE),
    "NaN": ({"scores": [math.nan] * 12}, 50, Reason.BAD_OUTPUT),
    "one infinite score": ({"scores": [math.inf, *[0.0] * 11]}, 50, Reason.BAD_OUTPUT),
    "wrong shape": ({"scores": [1.0] * 11}, 50, Reason.BAD_OUTPUT),
    "no scores": ({"scores": []}, 50, Reason.BAD_OUTPUT),
    "scores above one": ({"scores": [2.0, *[0.0] * 11]}, 50, Reason.BAD_OUTPUT),
    "scores below zero": ({"scores": [-0.5, *[0.0] * 11]}, 50, Reason.BAD_OUTPUT),
    "low confidence": ({"scores": one_hot(FORWARD, 0.19)}, 400, Reason.LOW_CONFIDENCE),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_stops_in_time_and_latches(bench, fault):
    tick, within_ms, reason = FAULTS[fault]
    after_ms, found = bench.rest_after_ms(**tick)
    assert found is reason
    assert after_ms <= within_ms
    # All is well again, but the car stays where it is until somebody arms it.
    for _ in range(50):
        assert bench.tick().reason is reason
    assert bench.arm()
    assert bench.tick().reason is None


@pytest.mark.parametrize("fault", [name for name, row in FAULTS.items() if row[1] > 50])
def test_one_bad_frame_is_ridden_through(bench, fault):
    tick, _, _ = FAULTS[fault]
    for _ in range(5):
        assert bench.tick(**tick).reason is None
        assert bench.tick().reason is None


@pytest.mark.parametrize(
    "sight",
    [{"sequence": 1}, {"age_ms": 70}, {"age_ms": -1}],
    ids=["frame number", "frame time", "frame from the future"],
)
def test_time_that_goes_back(bench, sight):
    assert bench.tick(**sight).reason is Reason.TIME_WENT_BACK


def test_a_clock_that_goes_back(bench):
    bench.now -= 10_000 * MS
    assert bench.tick(age_ms=0).reason is Reason.TIME_WENT_BACK


def test_the_same_frame_twice(bench):
    sight = Sight(bench.sequence, bench.now, 100, 40, 1)
    assert bench.gate.decide(bench.now, sight, one_hot(0)).reason is Reason.TIME_WENT_BACK


def test_the_first_reason_stands(bench):
    bench.gate.stop(Reason.LINK_LOST)
    assert bench.gate.stop(Reason.STOP_PRESSED).reason is Reason.LINK_LOST
    assert bench.tick().reason is Reason.LINK_LOST


def test_stop_needs_no_arming():
    assert Gate().stop().reason is Reason.STOP_PRESSED


def test_arming_forgets_what_was_before(bench):
    for _ in range(13):
        bench.tick(frozen=True)
    for _ in range(6):
        bench.tick(one_hot(FORWARD, 0.1), frozen=True)
    bench.gate.stop()
    bench.sequence = 0
    assert bench.arm()
    assert bench.tick(one_hot(FORWARD, 0.1), frozen=True).reason is None


def test_the_window_averages_scores():
    bench = Bench(window=3)
    bench.arm()
    left = Command("left", "light", "forward").index
    assert bench.tick(one_hot(FORWARD, 0.9)).command == FORWARD
    assert bench.tick(one_hot(FORWARD, 0.9)).command == FORWARD
    assert bench.tick(one_hot(left, 0.9)).command == FORWARD
    verdict = bench.tick(one_hot(left, 0.9))
    assert verdict.command == left
    assert verdict.confidence == pytest.approx((0.9 + 0.9 + 0.1 / 11) / 3)


def test_a_window_of_two_averages_the_second_frame_with_the_first():
    bench = Bench(window=2)
    bench.arm()
    bench.tick(one_hot(FORWARD))
    verdict = bench.tick(one_hot(FAST, 0.6))
    assert verdict.command == FORWARD
    assert verdict.confidence == pytest.approx((1 + 0.4 / 11) / 2)


@pytest.mark.parametrize(
    ("limit", "wheels"), [(0.5, (0.25, 0.5)), (1.0, (0.35, 0.7)), (0, (0, 0))]
)
def test_the_speed_limit_keeps_the_curve(limit, wheels):
    bench = Bench(speed=limit)
    bench.arm()
    verdict = bench.tick(one_hot(Command("left", "light", "forward").index))
    assert (verdict.left, verdict.right) == pytest.approx(wheels)


def test_a_pilots_stop_is_no_fault(bench):
    verdict = bench.tick(one_hot(STOP.index))
    assert (verdict.left, verdict.right, verdict.reason) == (0.0, 0.0, None)
    assert bench.tick().left > 0


scores = st.lists(st.floats(width=32), max_size=14) | st.builds(
    one_hot, st.integers(0, 11), st.floats(0, 1)
)
moments = st.tuples(
    st.integers(-300, 600),  # ms since the last tick
    st.integers(-50, 400),  # age of the frame
    st.integers(-1, 2),  # step of the sequence
    st.floats(0, 255) | st.just(math.nan),
    st.floats(0, 128) | st.just(math.nan),
    st.integers(0, 1),
    scores,
    st.sampled_from(["", "", "", "arm", "stop"]),
)


@settings(max_examples=300)
@given(st.lists(moments, max_size=40), st.floats(0, 1), st.integers(1, 4))
def test_whatever_happens_wheels_turn_only_when_armed_fresh_and_in_range(
    happenings, speed, window
):
    gate = Gate(Limits(speed=speed, window=window))
    now, sequence = 10**15, 0
    for step, age, step_sequence, mean, contrast, fingerprint, said, also in happenings:
        now += step * MS
        sequence += step_sequence
        seen = Sight(sequence, now - age * MS, mean, contrast, fingerprint)
        if also == "arm":
            assert gate.arm(now, seen.time_ns) == (0 <= age <= 250)
        elif also == "stop":
            gate.stop()
        armed = gate.armed
        verdict = gate.decide(now, seen, said)
        assert abs(verdict.left) <= speed + 1e-9
        assert abs(verdict.right) <= speed + 1e-9
        if verdict.reason is None:
            assert armed
            assert 0 <= age <= 250
            assert len(said) == 12
            assert all(map(math.isfinite, said))
            assert verdict.command is not None
        else:
            assert (verdict.left, verdict.right, verdict.command) == (0.0, 0.0, None)
            assert not gate.armed


def test_the_limits_are_those_that_are_promised():
    assert MS == 1_000_000
    assert Limits() == Limits(
        frame_age_ms=250,
        command_ms=250,
        frozen_ms=700,
        dark_luma=8,
        bright_luma=250,
        flat_contrast=2,
        blind_ms=150,
        confidence=0.2,
        unsure_ms=350,
        window=1,
        speed=1,
    )


@pytest.mark.parametrize(
    "tick",
    [
        {"age_ms": 250},
        {"age_ms": 0},
        {"mean": 8.0},
        {"mean": 250.0},
        {"contrast": 2.0},
        {"scores": one_hot(FORWARD, 0.2)},
        {"scores": [1.01, -0.01, *[0.0] * 10]},
    ],
    ids=str,
)
def test_a_value_at_its_limit_is_still_good(tick):
    bench = Bench()
    bench.arm()
    for _ in range(20):
        assert bench.tick(**tick).reason is None


@pytest.mark.parametrize(
    ("tick", "limit_ms", "reason"),
    [
        ({"frozen": True}, 700, Reason.FROZEN_IMAGE),
        ({"mean": 0.0}, 150, Reason.LENS_COVERED),
        ({"scores": one_hot(FORWARD, 0.1)}, 350, Reason.LOW_CONFIDENCE),
    ],
    ids=["frozen", "blind", "unsure"],
)
def test_a_fault_may_last_exactly_its_limit(bench, tick, limit_ms, reason):
    """The last good tick was now: the limit counts from there."""
    began, number, fingerprint = bench.now, bench.sequence, bench.fingerprint

    def after(elapsed_ns, step):
        bench.now = began + elapsed_ns - TICK_NS
        bench.sequence = number + step
        bench.fingerprint = fingerprint
        return bench.tick(**{"frozen": True, **tick}).reason

    assert after(limit_ms * MS - 1, 1) is None
    assert after(limit_ms * MS, 2) is None
    assert after(limit_ms * MS + 1, 3) is reason


def test_a_clock_that_goes_back_less_than_the_frames_go_on(bench):
    bench.tick(age_ms=40)
    bench.now -= TICK_NS + 5 * MS
    assert bench.tick(age_ms=10).reason is Reason.TIME_WENT_BACK


def test_two_frames_at_the_same_moment_are_judged(bench):
    bench.tick(age_ms=40)
    bench.now -= TICK_NS
    assert bench.tick(age_ms=10).reason is None


def test_a_new_number_on_an_old_time(bench):
    bench.tick(age_ms=10)
    assert bench.tick(age_ms=60).reason is Reason.TIME_WENT_BACK


def test_no_setting_makes_the_wheels_faster_than_full():
    bench = Bench(speed=1.9)
    bench.arm()
    verdict = bench.tick(one_hot(FAST))
    assert (verdict.left, verdict.right) == (1.0, 1.0)


def test_a_stopped_car_is_confident_of_nothing(bench):
    verdict = bench.gate.stop()
    assert (verdict.command, verdict.confidence) == (None, 0.0)


@pytest.mark.parametrize(("label", "reason"), BLIND_LABELS.items())
def test_what_the_pilot_itself_takes_for_no_road_stops(bench, label, reason):
    def tick(blind):
        bench.now += TICK_NS
        bench.sequence += 1
        bench.fingerprint += 1
        sight = Sight(bench.sequence, bench.now, 100.0, 40.0, bench.fingerprint)
        return bench.gate.decide(bench.now, sight, one_hot(FORWARD), blind).reason

    assert tick(reason) is None
    assert tick(None) is None
    assert [tick(reason) for _ in range(4)] == [None, None, None, reason]
