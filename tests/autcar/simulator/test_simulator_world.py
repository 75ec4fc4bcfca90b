import math

import numpy as np
import pytest

from autcar.commands import CLASSES
from autcar.simulator.score import Score
from autcar.simulator.track import Track
from autcar.simulator.world import Car, World

TRACK = Track.generate(0)
NO_LAG = Car(lag_s=0.0)


@pytest.mark.parametrize("command", CLASSES, ids=lambda c: c.label)
def test_each_command_drives_its_arc(command: object) -> None:
    left, right = command.wheels  # type: ignore[attr-defined]
    world = World(TRACK, car=NO_LAG)
    x, y, heading = world.x, world.y, world.heading
    world.set_wheels(left, right)
    world.step(0.5)
    speed = 0.6 * (left + right) / 2
    rate = 0.6 * (right - left) / 0.15
    if rate:
        radius = speed / rate
        x += radius * (math.sin(heading + rate * 0.5) - math.sin(heading))
        y -= radius * (math.cos(heading + rate * 0.5) - math.cos(heading))
    else:
        x += speed * 0.5 * math.cos(heading)
        y += speed * 0.5 * math.sin(heading)
    assert (world.x, world.y) == pytest.approx((x, y), abs=1e-9)
    assert math.remainder(world.heading - heading - rate * 0.5, math.tau) == pytest.approx(0)
    assert world.time_ns == 500_000_000


def test_wheels_lag_behind_their_command() -> None:
    world = World(TRACK, car=Car(lag_s=0.08))
    x, y = world.x, world.y
    world.set_wheels(1.0, 1.0)
    world.step(0.08)
    assert world.speeds == pytest.approx((1 - math.exp(-1),) * 2)
    # The distance, too, is the closed form's: v (t − τ (1 − e^(−t/τ))).
    expected = 0.6 * (0.08 - 0.08 * (1 - math.exp(-1)))
    assert math.hypot(world.x - x, world.y - y) == pytest.approx(expected, rel=1e-6)
    assert world.speed == pytest.approx(0.6 * (1 - math.exp(-1)))


def test_substeps_do_not_depend_on_how_time_is_cut() -> None:
    whole, cut = World(TRACK), World(TRACK)
    for world, steps in ((whole, 1), (cut, 50)):
        world.set_wheels(0.7, 0.14)
        for _ in range(steps):
            world.step(0.5 / steps)
    assert (whole.x, whole.y) == pytest.approx((cut.x, cut.y), abs=1e-5)
    assert whole.heading == pytest.approx(cut.heading, abs=1e-5)


def test_an_imbalanced_car_drifts_away_from_its_faster_side() -> None:
    world = World(TRACK, car=Car(lag_s=0.0, imbalance=0.1))
    heading = world.heading
    world.set_wheels(0.7, 0.7)
    world.step(1.0)
    assert world.heading - heading == pytest.approx(-0.6 * 0.07 / 0.15)


def test_no_time_no_motion() -> None:
    world = World(TRACK)
    world.set_wheels(1.0, 1.0)
    world.step(0.0)
    assert world.speeds == (0.0, 0.0)
    assert world.time_ns == 0


def test_placed_where_asked_and_off_track_by_the_wheel() -> None:
    world = World(TRACK)
    world.place(1.0, 0.05, 0.3)
    assert world.lane == pytest.approx((1.0, 0.05, 0.3), abs=1e-3)
    # Parallel to the lane, the outer wheels stand half an axle track further out.
    room = TRACK.width / 2 - Car().axle_track / 2
    world.place(1.0, room - 0.02)
    assert not world.off_track
    assert world.on_track_margin == pytest.approx(0.02, abs=0.01)
    world.place(1.0, room + 0.02)
    assert world.off_track
    world.place(1.0, -room - 0.02)
    assert world.off_track


def test_disturbance_is_physical_seeded_and_spares_a_parked_car() -> None:
    def drive(seed: int, strength: float, speed: float = 0.7) -> tuple[float, float, float]:
        world = World(TRACK, seed=seed, disturbance=strength)
        world.set_wheels(speed, speed)
        for _ in range(100):
            world.step(0.05)
        return world.x, world.y, world.heading

    assert drive(1, 1.0) == drive(1, 1.0)
    assert drive(1, 1.0) != drive(2, 1.0)
    assert drive(1, 0.0) == drive(2, 0.0)
    parked = World(TRACK)
    assert drive(1, 1.0, 0.0) == (parked.x, parked.y, parked.heading)


def test_score_of_a_known_drive() -> None:
    world = World(TRACK, car=NO_LAG)
    score = Score(world)
    world.place(0.0, 0.0)
    score.restart()
    world.set_wheels(0.7, 0.7)
    while not world.off_track:
        world.step(0.05)
        score.update()
    assert score.failures == 1
    driven = score.seconds * 0.42
    assert score.distance == pytest.approx(driven, rel=0.1)
    assert score.mean_speed == pytest.approx(0.42, rel=0.1)
    assert score.laps == pytest.approx(score.distance / TRACK.length)
    assert 0 < score.mean_lateral <= score.max_lateral
    assert score.seconds_off == pytest.approx(0.05)
    for _ in range(20):  # Staying off is no second failure.
        world.step(0.05)
        score.update()
    assert score.failures == 1
    world.place(3.0)
    score.restart()
    world.step(0.05)
    score.update()
    assert score.failures == 1
    assert len(score.line) > 20


def test_a_score_without_failures() -> None:
    score = Score(World(TRACK))
    assert score.mean_speed == score.mean_lateral == 0.0


def test_backwards_over_the_start_counts_off() -> None:
    world = World(TRACK)
    score = Score(world)
    world.set_wheels(-0.7, -0.7)
    for _ in range(10):
        world.step(0.05)
        score.update()
    assert -0.3 < score.distance < -0.1
    assert np.isfinite(score.mean_speed)
