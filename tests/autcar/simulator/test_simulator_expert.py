import hashlib
import itertools
import math
from collections import Counter

import pytest

from autcar.commands import LABELS
from autcar.simulator.expert import PARKING_M, Expert
from autcar.simulator.scenarios import record_plan
from autcar.simulator.score import Score
from autcar.simulator.track import Track
from autcar.simulator.world import World


def drive(world: World, seconds: float) -> tuple[Score, list[str]]:
    expert, score, labels = Expert(world), Score(world), []
    for _ in range(round(seconds * 20)):
        command = expert.decide()
        labels.append(command.label)
        world.set_wheels(*command.wheels)
        world.step(0.05)
        score.update()
    return score, labels


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_keeps_the_lane(difficulty: float) -> None:
    for seed in range(6):
        score, labels = drive(World(Track.generate(seed, difficulty)), 40.0)
        assert score.failures == 0
        assert score.laps > 0.9
        assert score.mean_lateral < 0.03
        assert {"move_fast_forward", "move_medium_forward"} <= set(labels)


def test_recovers_from_disturbances() -> None:
    for seed in range(4):
        world = World(Track.generate(seed, 0.5), seed=seed, disturbance=1.0)
        score, labels = drive(world, 30.0)
        assert score.failures <= 1
        assert score.seconds_off < 1.0
        assert any("medium_forward" in label and label[0] in "lr" for label in labels)


def test_straight_on_fails_everywhere() -> None:
    for seed in range(50):
        world = World(Track.generate(seed))
        world.set_wheels(0.7, 0.7)
        for _ in range(600):
            world.step(0.1)
            if world.off_track:
                break
        assert world.off_track


@pytest.mark.parametrize("gap", [1.0, 0.5, 0.1, -0.1, -0.3])
def test_parks_before_the_bar(gap: float) -> None:
    track = Track.generate(2).with_stop_line(4.0)
    world = World(track)
    world.place(4.0 - world.car.nose - gap)
    _, labels = drive(world, 6.0)
    ends = world.speeds
    found = Expert(world).bar_gap
    assert labels[-1] == "stop"
    assert ends == pytest.approx((0.0, 0.0), abs=1e-6)
    assert found is not None
    assert PARKING_M[0] <= found <= PARKING_M[1]
    assert ("move_medium_backwards" in labels) == (gap < PARKING_M[0])


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("degrees", [55, 70, 85])
def test_backs_out_when_askew(degrees: int, side: int) -> None:
    world = World(Track.generate(6))
    world.place(3.0, 0.0, side * math.radians(degrees))
    _, labels = drive(world, 4.0)
    back = "left" if side > 0 else "right"
    assert labels[0] == f"{back}_medium_backwards"
    assert "backwards" not in labels[-1]
    assert not world.off_track
    assert abs(world.lane[2]) < math.radians(20)


def test_backs_straight_out_from_over_a_border() -> None:
    world = World(Track.generate(6))
    world.place(3.0, 0.21, math.radians(20))
    _, labels = drive(world, 4.0)
    assert labels[0] == "move_medium_backwards"
    assert "backwards" not in labels[-1]
    assert not world.off_track


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_a_plan_holds_all_twelve_classes(difficulty: float) -> None:
    frames = 1500
    shares = Counter(
        command.label for _, command in _unseen(record_plan(3, frames, difficulty=difficulty))
    )
    assert set(shares) == set(LABELS)
    assert min(shares.values()) >= 0.01 * frames
    forward = sum(count for label, count in shares.items() if label.endswith("forward"))
    assert forward > 0.6 * frames


def test_a_plan_repeats_itself_to_the_last_bit() -> None:
    def digest() -> str:
        digest = hashlib.sha256()
        for frame, command in record_plan(9, 120, difficulty=1.0):
            digest.update(frame.image)
            digest.update(f"{frame.sequence} {frame.time_ns} {command.label}".encode())
        return digest.hexdigest()

    assert digest() == digest()


def test_a_plan_counts_frames_and_leaves_pauses() -> None:
    frames = [frame for frame, _ in _unseen(record_plan(1, 300))]
    assert [frame.sequence for frame in frames] == list(range(300))
    steps = {b.time_ns - a.time_ns for a, b in itertools.pairwise(frames)}
    assert steps == {50_000_000, 2_050_000_000}


def _unseen(plan):  # type: ignore[no-untyped-def]
    """The plan without rendering, for tests that only count."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(World, "render", lambda _: None)
        yield from plan
