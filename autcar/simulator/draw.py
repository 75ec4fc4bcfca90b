"""Draws a track: from above with what was driven on it, and as the camera sees it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from autcar.simulator.paint import BAR_DEPTH_M
from autcar.simulator.style import Colour
from autcar.simulator.track import Track
from autcar.simulator.world import CameraMount, Car, World

Image = npt.NDArray[np.uint8]
Pose = tuple[float, float, float]

_PAPER, _LANE, _OFF = (247, 246, 243), (226, 226, 222), (214, 40, 40)
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


def _arrowhead(pose: Pose) -> list[tuple[float, float]]:
    x, y, heading = pose
    cos, sin = np.cos(heading), np.sin(heading)
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
