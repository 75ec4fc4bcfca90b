"""Draws a track: from above with what was driven on it, and as the camera sees it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from autcar.simulator.moving_car import MovingCar
from autcar.simulator.paint import BAR_DEPTH_M
from autcar.simulator.people_world import REACH_M, PeopleWorld, Pillar
from autcar.simulator.style import Colour
from autcar.simulator.track import Track
from autcar.simulator.world import CameraMount, Car, World

Image = npt.NDArray[np.uint8]
Pose = tuple[float, float, float]

_PAPER, _LANE, _OFF = (247, 246, 243), (226, 226, 222), (214, 40, 40)
_VIEW, _PILLAR = (170, 200, 225), (120, 120, 118)
_BORDER_M = 0.35
_SHIFT = 4


def track_map(
    track: Track,
    lines: Iterable[tuple[Sequence[Pose], Colour]] = (),
    size: tuple[int, int] = (800, 600),
    *,
    car: Car | None = None,
) -> Image:
    """A map of the track, ``size`` (width, height) pixels, RGB ``uint8``.

    Each line is a list of poses (x, y, heading) and its colour; an arrow shows
    where it starts and which way it goes, red rings where a wheel of ``car`` left
    the track. Up is +y.
    """
    car = car or Car()
    # Drawn at twice the size and averaged down: smoother than any drawn edge.
    width, height = 2 * size[0], 2 * size[1]
    low, high = track.centreline.min(0), track.centreline.max(0)
    extent = high - low + 2 * (track.width / 2 + _BORDER_M)
    scale = float(min(width / extent[0], height / extent[1]))
    middle = (low + high) / 2

    def pixels(points: npt.ArrayLike) -> npt.NDArray[np.int32]:
        places = (np.asarray(points, np.float64)[..., :2] - middle) * (scale, -scale)
        corner = np.array((width / 2, height / 2))
        return np.asarray(np.rint((places + corner) * (1 << _SHIFT)), np.int32)

    def stroke(points: npt.ArrayLike, colour: Colour, metres: float, closed: bool = False) -> None:
        thickness = max(2, round(metres * scale))
        cv2.polylines(image, [pixels(points)], closed, colour, thickness, cv2.LINE_AA, _SHIFT)

    image = np.empty((height, width, 3), np.uint8)
    image[:] = _PAPER
    left, right = track.offset(track.width / 2), track.offset(-track.width / 2)
    stroke(track.centreline, _LANE, track.width, closed=True)
    if track.stop_line is not None:
        bar = [track.point(track.stop_line + BAR_DEPTH_M / 2, side)[:2] for side in _sides(track)]
        stroke(bar, track.style.bar_colour, BAR_DEPTH_M)
    stroke(left, track.style.left_colour, track.style.line_width, closed=True)
    stroke(right, track.style.right_colour, track.style.line_width, closed=True)
    for poses, colour in lines:
        if len(poses) < 2:
            continue
        stroke(poses, colour, 0.018)
        for x, y in _episodes_off(track, poses, car):
            centre = tuple(int(c) for c in pixels((x, y)))
            radius = round(0.11 * scale * (1 << _SHIFT))
            thickness = max(2, round(0.02 * scale))
            cv2.circle(image, centre, radius, _OFF, thickness, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(image, [pixels(_arrowhead(poses[0]))], colour, cv2.LINE_AA, _SHIFT)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def world_map(
    world: MovingCar, line: Sequence[Pose], colour: Colour, size: tuple[int, int] = (800, 600)
) -> Image:
    """A map of a simulated world with the way that its car drove."""
    if isinstance(world, PeopleWorld):
        return floor_map(world, line, colour, size)
    assert isinstance(world, World)
    return track_map(world.track, [(line, colour)], size)


def floor_map(
    world: PeopleWorld, line: Sequence[Pose], colour: Colour, size: tuple[int, int] = (800, 600)
) -> Image:
    """The floor from above, RGB ``uint8``: where people and car are now, and the car's way.

    The hero is a large dot in the colour of their jacket, others are small ones in theirs,
    pillars squares; two lines show what the camera overlooks.
    """
    width, height = 2 * size[0], 2 * size[1]
    places = [(one.x, one.y) for one in world.standing] + [pose[:2] for pose in line]
    low, high = np.min(places, axis=0), np.max(places, axis=0)
    low, high = np.minimum(low, -REACH_M) - _BORDER_M, np.maximum(high, REACH_M) + _BORDER_M
    scale = float(min(width / (high - low)[0], height / (high - low)[1]))
    middle = (low + high) / 2

    def pixel(x: float, y: float) -> tuple[int, int]:
        place = ((x, y) - middle) * (scale, -scale) + (width / 2, height / 2)
        u, v = np.rint(place).astype(int)
        return int(u), int(v)

    image = np.empty((height, width, 3), np.uint8)
    image[:] = _PAPER
    cv2.circle(image, pixel(0, 0), round(REACH_M * scale), _LANE, -1, cv2.LINE_AA)
    for edge in (-1, 1):
        heading = world.heading + edge * math.atan(world.mount.width / 2 / world.mount.focal)
        far = world.x + 4 * math.cos(heading), world.y + 4 * math.sin(heading)
        cv2.line(image, pixel(world.x, world.y), pixel(*far), _VIEW, 2, cv2.LINE_AA)
    if len(line) > 1:
        points = np.array([pixel(x, y) for x, y, _ in line], np.int32)
        cv2.polylines(image, [points], False, colour, 4, cv2.LINE_AA)
    for one in world.standing:
        at = pixel(one.x, one.y)
        if isinstance(one, Pillar):
            half = round(one.width / 2 * scale)
            low_corner, high_corner = (at[0] - half, at[1] - half), (at[0] + half, at[1] + half)
            cv2.rectangle(image, low_corner, high_corner, _PILLAR, -1)
        else:
            metres = 0.3 if one is world.hero else 0.2
            cv2.circle(image, at, round(metres * scale), one.look.top, -1, cv2.LINE_AA)
            cv2.circle(image, at, round(metres * scale), _PILLAR, 2, cv2.LINE_AA)
    pose = (world.x, world.y, world.heading)
    arrow = np.array([pixel(x, y) for x, y in _arrowhead(pose, 3.0)], np.int32)
    cv2.fillPoly(image, [arrow], colour, cv2.LINE_AA)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def frame_sheet(
    track: Track, mount: CameraMount | None = None, *, columns: int = 4, rows: int = 3
) -> Image:
    """What the camera sees at places evenly spread along the track, as one RGB image."""
    world = World(track, mount=mount)
    frames = []
    for number in range(columns * rows):
        world.place(number * track.length / (columns * rows))
        frames.append(world.render())
    sheet = [np.hstack(frames[at : at + columns]) for at in range(0, len(frames), columns)]
    return np.vstack(sheet)


def _sides(track: Track) -> tuple[float, float]:
    half = track.width / 2 - track.style.line_width
    return -half, half


def _arrowhead(pose: Pose, larger: float = 1.0) -> list[tuple[float, float]]:
    x, y, heading = pose
    cos, sin = larger * np.cos(heading), larger * np.sin(heading)
    shape = ((0.09, 0.0), (-0.06, 0.06), (-0.03, 0.0), (-0.06, -0.06))
    return [(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in shape]


def _episodes_off(track: Track, poses: Sequence[Pose], car: Car) -> list[tuple[float, float]]:
    """Where the car was when it left the track, each time that it did."""
    places, was_off = [], False
    for x, y, heading in poses:
        cos, sin = np.cos(heading), np.sin(heading)
        ahead, left = car.wheel_base / 2, car.axle_track / 2
        off = any(
            abs(track.project(x + a * cos - b * sin, y + a * sin + b * cos)[1]) > track.width / 2
            for a in (ahead, -ahead)
            for b in (left, -left)
        )
        if off and not was_off:
            places.append((x, y))
        was_off = off
    return places
