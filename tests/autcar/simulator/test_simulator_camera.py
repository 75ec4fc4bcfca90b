import math
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from autcar.simulator.mount import CameraMount
from autcar.simulator.style import Style
from autcar.simulator.track import Track
from autcar.simulator.world import World

CLEAN = Style(contrast=0.0, gradient=0.0, vignette=0.0, noise=0.0, clutter=0.0)


@pytest.mark.parametrize(
    "mount", [CameraMount(), CameraMount(640, 480, 62.2, 0.1, 5.0, 0.0), CameraMount(pitch_deg=89)]
)
def test_a_floor_point_projects_as_a_pinhole_does(mount: CameraMount) -> None:
    ahead, left = 0.5, 0.2
    pitch = math.radians(mount.pitch_deg)
    # By hand: the angle of the point below the axis, and its depth along it.
    below = math.atan2(mount.above_m, ahead) - pitch
    depth = math.hypot(mount.above_m, ahead) * math.cos(below)
    u, v = mount.project(ahead, left)
    assert v == pytest.approx((mount.height - 1) / 2 + mount.focal * math.tan(below))
    assert u == pytest.approx((mount.width - 1) / 2 - mount.focal * left / depth)
    back = mount.pixel_to_floor() @ (u, v, 1.0)
    assert back[:2] / back[2] == pytest.approx((ahead, left))


def test_the_field_of_view_spans_the_image() -> None:
    mount = CameraMount(fov_deg=90.0)
    assert mount.focal == pytest.approx(112.0)
    assert CameraMount(pitch_deg=0.0).horizon == pytest.approx(83.5)


@pytest.mark.parametrize("mount", [CameraMount(), CameraMount(320, 240, 62.2, 0.12, 15.0, 0.0)])
def test_the_border_is_seen_where_geometry_says(mount: CameraMount) -> None:
    track = _straightish()
    world = World(track, mount=mount)
    world.place(0.5, 0.05, 0.1)
    image = world.render().astype(int)
    x, y = world.point(mount.ahead_m)
    cos, sin = math.cos(world.heading), math.sin(world.heading)
    checked = 0
    for side, colour in ((1, CLEAN.left_colour), (-1, CLEAN.right_colour)):
        for px, py in track.offset(side * track.width / 2)[::2]:
            ahead, left = (px - x) * cos + (py - y) * sin, (py - y) * cos - (px - x) * sin
            if not 0.2 < ahead < 0.9:
                continue
            u, v = mount.project(ahead, left)
            if 3 < u < mount.width - 4 and v < mount.height - 4:
                pixel = image[round(v), round(u)]
                assert np.abs(pixel - colour).max() < 60, (u, v, pixel)
                checked += 1
    assert checked > 20


def test_the_middle_of_a_line_is_placed_to_a_fraction_of_a_pixel() -> None:
    track = _straightish()
    world = World(track)
    world.place(1.0)
    image = world.render()
    row = 120
    # Where the row meets the border: solve on the floor, along the row.
    to_floor = world.mount.pixel_to_floor()
    columns = np.arange(world.mount.width)
    floor = to_floor @ np.stack([columns, np.full(len(columns), row), np.ones(len(columns))])
    x, y = world.point(world.mount.ahead_m)
    cos, sin = math.cos(world.heading), math.sin(world.heading)
    ahead, left = floor[0] / floor[2], floor[1] / floor[2]
    laterals = [
        track.project(x + a * cos - b * sin, y + a * sin + b * cos)[1]
        for a, b in zip(ahead, left, strict=True)
    ]
    expected = np.interp(-track.width / 2, laterals[::-1], columns[::-1])
    blueness = image[row].astype(float) @ (-1.0, 0.0, 1.0)
    weights = np.clip(blueness - 20, 0, None)
    assert weights @ columns / weights.sum() == pytest.approx(expected, abs=0.6)


def test_same_state_same_picture_and_a_fresh_one() -> None:
    one, two = World(Track.generate(4, 1.0)), World(Track.generate(4, 1.0))
    first, again, other = one.render(), one.render(), two.render()
    assert first is not again
    assert first.tobytes() == again.tobytes() == other.tobytes()
    assert (first.dtype, first.shape) == (np.uint8, (168, 224, 3))
    one.step(0.05)  # At rest: only noise and flicker change.
    later = one.render()
    assert later.tobytes() != first.tobytes()
    assert np.abs(later.astype(int) - first).mean() < 12


def test_another_process_sees_the_same() -> None:
    code = (
        "import hashlib; from autcar.simulator.track import Track;"
        "from autcar.simulator.world import World;"
        "print(hashlib.sha256(World(Track.generate(11, 0.7)).render()).hexdigest())"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout.strip()) == 64, runs[0].stderr


@pytest.mark.parametrize(
    "mount",
    [
        CameraMount(64, 48),
        CameraMount(160, 120, 120.0, 0.3, 60.0),
        CameraMount(224, 168, 80.0, 0.1, -10.0),
        CameraMount(224, 168, 50.0, 1.0, 90.0),
        CameraMount(101, 33, 160.0, 0.05, 0.0),
    ],
)
def test_any_mounting_renders(mount: CameraMount) -> None:
    world = World(Track.generate(2, 1.0), mount=mount)
    for heading in np.linspace(-math.pi, math.pi, 9):
        world.heading = float(heading)
        image = world.render()
        assert image.shape == (mount.height, mount.width, 3)
        assert 5 < image.mean() < 250


def test_rendering_is_far_faster_than_life() -> None:
    world = World(Track.generate(0))
    world.render()
    begin = time.process_time()
    for _ in range(100):
        world.render()
    assert 100 / (time.process_time() - begin) > 20 * 20


def _straightish() -> Track:
    """An oval of two metres' radius with plain colours."""
    number = round(math.tau * 2 / 0.01)
    angles = np.arange(number) * (math.tau / number)
    return Track(2 * np.stack([np.cos(angles), np.sin(angles)], axis=1), 0.45, CLEAN)


def test_nothing_global_is_changed() -> None:
    threads = cv2.getNumThreads()
    np.random.seed(1)
    before = np.random.get_state()[1].tobytes()  # type: ignore[union-attr,index]
    World(Track.generate(0), disturbance=1.0).render()
    assert cv2.getNumThreads() == threads
    assert np.random.get_state()[1].tobytes() == before  # type: ignore[union-attr,index]
