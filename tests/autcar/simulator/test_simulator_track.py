import math

import numpy as np
import pytest

from autcar.errors import DataError
from autcar.simulator.track import CLEARANCE, SPACING_M, Track


def circle(radius: float = 1.0, width: float = 0.45) -> Track:
    number = round(math.tau * radius / SPACING_M)
    angles = np.arange(number) * (math.tau / number)
    return Track(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), width)


def test_same_seed_same_track_to_the_last_bit() -> None:
    one, two = Track.generate(7, 0.5), Track.generate(7, 0.5)
    assert one.centreline.tobytes() == two.centreline.tobytes()
    assert (one.width, one.style) == (two.width, two.style)
    assert Track.generate(8, 0.5).centreline.tobytes() != one.centreline.tobytes()


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_tracks_can_be_driven(difficulty: float) -> None:
    for seed in range(12):
        track = Track.generate(seed, difficulty)
        assert 0.40 <= track.width <= 0.50
        assert 7.0 <= track.length <= 18.0
        assert np.abs(track.curvatures).max() <= 1 / 0.445
        assert track.clearance >= CLEARANCE * track.width
        assert abs(track.headings[-1] - track.headings[0]) == pytest.approx(math.tau, abs=0.05)


def test_colours_are_told_apart() -> None:
    for seed in range(30):
        style = Track.generate(seed, 1.0).style
        colours = style.floor_colour, style.left_colour, style.right_colour, style.bar_colour
        for i, one in enumerate(colours):
            for other in colours[i + 1 :]:
                assert math.dist(one, other) >= 100


def test_a_circle_is_measured_exactly() -> None:
    track = circle(1.0)
    assert track.length == pytest.approx(math.tau, rel=1e-4)
    assert track.curvature(2.0) == pytest.approx(1.0, rel=1e-3)
    # A quarter of the way round, 0.1 m towards the middle, which lies to the left.
    s, lateral, heading = track.project(0.0, 0.9)
    assert s == pytest.approx(math.pi / 2, abs=1e-4)
    assert lateral == pytest.approx(0.1, abs=1e-4)
    assert abs(heading) == pytest.approx(math.pi, abs=1e-4)
    assert track.clearance == pytest.approx(2 * math.sin(math.pi * 0.45 / 2), abs=0.05)


def test_project_undoes_point_everywhere() -> None:
    track = Track.generate(3, 1.0)
    rng = np.random.default_rng(0)
    for s, lateral in zip(
        rng.uniform(0, track.length, 300), rng.uniform(-0.3, 0.3, 300), strict=True
    ):
        x, y, heading = track.point(s, lateral)
        found_s, found_lateral, found_heading = track.project(x, y)
        assert math.remainder(found_s - s, track.length) == pytest.approx(0, abs=3e-4)
        assert found_lateral == pytest.approx(lateral, abs=2e-4)
        assert math.remainder(found_heading - heading, math.tau) == pytest.approx(0, abs=1e-3)


def test_far_away_is_still_somewhere_beside_the_track() -> None:
    track = Track.generate(0)
    _, lateral, _ = track.project(50.0, -40.0)
    assert abs(lateral) > 30


def test_the_other_way_round() -> None:
    track = Track.generate(5).with_stop_line(2.0)
    other = track.reversed()
    assert other.stop_line == pytest.approx(track.length - 2.0)
    x, y, heading = track.point(1.0, 0.1)
    s, lateral, turned = other.project(x, y)
    assert s == pytest.approx(track.length - 1.0, abs=1e-3)
    assert lateral == pytest.approx(-0.1, abs=1e-3)
    assert abs(math.remainder(turned - heading, math.tau)) == pytest.approx(math.pi, abs=1e-3)
    assert other.reversed().centreline.tobytes() == track.centreline.tobytes()


def test_a_stop_line_keeps_everything_else() -> None:
    track = Track.generate(1)
    barred = track.with_stop_line(track.length + 1.5)
    assert barred.stop_line == pytest.approx(1.5)
    assert track.stop_line is None
    assert barred.style == track.style


def test_an_open_line_is_refused() -> None:
    line = np.stack([np.linspace(0, 3, 300), np.zeros(300)], axis=1)
    with pytest.raises(DataError, match="closed"):
        _ = Track(line).length
