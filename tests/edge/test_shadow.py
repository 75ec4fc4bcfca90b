"""A second pilot that looks on, and the comparison of the two."""

import math

import pytest

from autcar.commands import CLASSES, Command
from autcar.errors import CameraTimeoutError
from autcar.safety import MS
from edge.comparison import Comparison
from edge.pilots import ConstantDecider, DecidingPilot, chosen
from edge.shadow import Shadow
from tests.edge.scripted import LEFT, Car, ScriptedCamera

RIGHT = Command("right", "light", "forward")
OTHER = DecidingPilot(ConstantDecider(RIGHT))


def scores(command):
    return DecidingPilot(ConstantDecider(command)).scores(None)


@pytest.fixture
def car():
    car = Car()
    car.loop.arm()
    return car


def shadow_of(car, pilot=OTHER, fps=20.0, clock=None):
    sample = ScriptedCamera().read()
    return Shadow(pilot, ("driver", "shadow"), fps, clock or (lambda: car.camera.now), sample)


def test_it_sees_what_the_driver_sees_and_touches_nothing(car):
    shadow = shadow_of(car)
    for _ in range(10):
        assert chosen(shadow.consider(next(car.ticks))) == RIGHT
        assert car.motors.speeds == LEFT.wheels
    assert shadow.comparison.pairs == {(LEFT.index, RIGHT.index): 10}
    assert "agrees with driver on 0.0% of 10 frames" in shadow.report()
    assert "left_light_forward, the other right_light_forward" in shadow.report()


def test_it_is_not_asked_when_the_next_frame_is_near(car):
    class Clock:
        late_ms = 0.0

        def __call__(self):
            return car.camera.now + int(self.late_ms * MS)

    clock = Clock()
    shadow = shadow_of(car, clock=clock)
    assert shadow.consider(next(car.ticks))
    shadow._cost_ns = 10 * MS
    clock.late_ms = 36.0
    assert shadow.consider(next(car.ticks))
    shadow._cost_ns = 10 * MS
    clock.late_ms = 38.0
    assert shadow.consider(next(car.ticks)) == ()
    assert shadow.skipped == 1
    assert "not asked about 1 frames" in shadow.report()
    # One slow answer is forgotten in time.
    while not shadow.consider(next(car.ticks)):
        assert shadow.skipped < 50


def test_one_that_takes_longer_than_a_frame_is_never_asked(car, monkeypatch):
    asked = []

    class Slow:
        def scores(self, frame):
            asked.append(frame.sequence)
            elapsed.append(elapsed[-1] + 60 * MS)
            return scores(RIGHT)

    elapsed = [0]
    monkeypatch.setattr("edge.shadow.time.perf_counter_ns", lambda: elapsed[-1])
    shadow = shadow_of(car, Slow())
    del asked[:]
    for _ in range(200):
        assert shadow.consider(next(car.ticks)) == ()
    assert asked == []
    assert shadow.skipped == 200


def test_a_hiccup_at_the_start_does_not_silence_it(car, monkeypatch):
    class Hiccup:
        asked = 0

        def scores(self, frame):
            self.asked += 1
            elapsed.append(elapsed[-1] + (60 if self.asked == 2 else 5) * MS)
            return scores(RIGHT)

    elapsed = [0]
    monkeypatch.setattr("edge.shadow.time.perf_counter_ns", lambda: elapsed[-1])
    assert shadow_of(car, Hiccup()).consider(next(car.ticks))


def test_in_a_simulation_that_waits_it_is_always_asked(car):
    shadow = shadow_of(car, fps=0.0, clock=lambda: car.camera.now + 10**12)
    assert shadow.consider(next(car.ticks))


def test_one_that_fails_is_switched_off(car):
    class Failing:
        def scores(self, frame):
            raise ZeroDivisionError("shadow")

    shadow = shadow_of(car, Failing())
    assert shadow.consider(next(car.ticks)) == ()
    assert shadow.consider(next(car.ticks)) == ()
    assert "switched off: ZeroDivisionError" in shadow.report()
    assert car.motors.speeds == LEFT.wheels


def test_it_says_nothing_of_no_frame():
    car = Car([CameraTimeoutError("no frame")])
    assert shadow_of(car).consider(next(car.ticks)) == ()


def test_a_comparison_counts_frames_pairs_and_episodes():
    comparison = Comparison("old", "new")
    for number in range(100):
        differs = number in (10, 11, 12, 60)
        comparison.add(number * 0.05, scores(LEFT), scores(RIGHT if differs else LEFT))
    assert comparison.agreement == 0.96
    assert [episode.frames for episode in comparison.episodes] == [3, 1]
    assert comparison.episodes[0].start_s == pytest.approx(0.5)
    assert comparison.episodes[0].end_s == pytest.approx(0.6)
    facts = comparison.facts()
    assert facts["disagreements"] == [{"one": LEFT.label, "other": RIGHT.label, "frames": 4}]
    assert facts["steering"] == pytest.approx(4 * 0.7 / 100)
    assert facts["score_distance"] == pytest.approx(0.04)
    assert "0.50…0.60 s, 3 frames, mostly left_light_forward" in comparison.report()


def test_a_comparison_of_nothing():
    comparison = Comparison("old", "new")
    assert comparison.report() == "new was never asked"
    assert math.isnan(comparison.agreement)
    assert comparison.facts()["agreement"] is None


def test_chosen():
    assert [chosen(scores(command)) for command in CLASSES] == list(CLASSES)
