"""A closed track on the floor: its centreline, its width, and where a car stands on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from autcar.errors import DataError
from autcar.simulator.sign import Billboard, Sign
from autcar.simulator.style import Style

Points = npt.NDArray[np.float64]

SPACING_M = 0.01
CLEARANCE = 1.4
"""How near the centreline may come to another part of itself, in track widths."""

_CELL_M = 0.02
_MARGIN_M = 1.0
_HARMONICS = 32
_SAMPLES = 2048


@dataclass(frozen=True, eq=False)
class Track:
    """A closed lane between two border lines.

    ``centreline`` is N×2 ``float64`` metres in driving order, evenly spaced by arc
    length; its last point joins its first. ``width`` is from border to border.
    ``stop_line`` is the arc length of the near edge of a bar across the lane, or
    None. ``signs`` stand beside the lane. Lateral positions are positive to the left of
    the driving direction.
    """

    centreline: Points
    width: float = 0.45
    style: Style = field(default_factory=Style)
    stop_line: float | None = None
    signs: tuple[Sign, ...] = ()

    @classmethod
    def generate(cls, seed: int, difficulty: float = 0.0) -> Track:
        """Draw a track from a seed: same seed and difficulty, same track to the last bit.

        ``difficulty`` 0 has wide lanes, gentle curves and a tidy room; 1 has tighter
        curves (radius ≥ 0.45 m) and everything about the picture at random.
        """
        d = min(max(difficulty, 0.0), 1.0)
        shape, look = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
        while True:
            width = float(shape.uniform(0.45, 0.50) - shape.uniform(0.0, 0.05) * d)
            points = _closed_curve(shape, d, least_radius=0.60 - 0.15 * d)
            if points is None:
                continue
            track = cls(points, width)
            if 7.0 <= track.length <= 18.0 and track.clearance >= CLEARANCE * width:
                return replace(track, style=Style.random(look, d))

    def with_stop_line(self, s: float) -> Track:
        """The same track with a stop bar whose near edge lies at arc length ``s``."""
        return replace(self, stop_line=s % self.length)

    def with_sign(self, sign: Sign) -> Track:
        """The same track with one more sign beside the lane."""
        return replace(self, signs=(*self.signs, replace(sign, s=sign.s % self.length)))

    @property
    def billboards(self) -> tuple[Billboard, ...]:
        """The signs where they stand on the floor."""
        return tuple(Billboard(sign, *self.point(sign.s, sign.lateral)) for sign in self.signs)

    def reversed(self) -> Track:
        """The same lane driven the other way round.

        The left colour stays on the driver's left: the lines are painted anew, and signs
        are set up again on the side where they were.
        """
        stop_line = None if self.stop_line is None else -self.stop_line % self.length
        # Roll by one, so that arc length s becomes exactly −s.
        turned = np.ascontiguousarray(np.roll(self.centreline[::-1], 1, axis=0))
        signs = tuple(replace(sign, s=-sign.s % self.length) for sign in self.signs)
        return replace(self, centreline=turned, stop_line=stop_line, signs=signs)

    @cached_property
    def spacing(self) -> float:
        """Metres between two points of the centreline."""
        steps = np.diff(self.centreline, axis=0, append=self.centreline[:1])
        lengths = np.hypot(steps[:, 0], steps[:, 1])
        spacing = float(lengths.mean())
        if not np.allclose(lengths, spacing, rtol=0.02):
            raise DataError("a centreline must be closed and evenly spaced; resample it first")
        return spacing

    @property
    def length(self) -> float:
        """Metres once round, along the centreline."""
        return self.spacing * len(self.centreline)

    @cached_property
    def headings(self) -> npt.NDArray[np.float64]:
        """The tangent at each point, radians anticlockwise from +x, unwrapped; length N."""
        ahead = np.roll(self.centreline, -1, axis=0) - np.roll(self.centreline, 1, axis=0)
        return np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))

    @cached_property
    def curvatures(self) -> npt.NDArray[np.float64]:
        """The curvature at each point in 1/m, positive where the track turns left; length N."""
        change = np.roll(self.headings, -1) - np.roll(self.headings, 1)
        return ((change + math.pi) % math.tau - math.pi) / (2 * self.spacing)

    def curvature(self, s: float) -> float:
        """The curvature at arc length ``s`` in 1/m, positive where the track turns left."""
        return float(self.curvatures[round(s / self.spacing) % len(self.centreline)])

    @cached_property
    def clearance(self) -> float:
        """The least distance between two parts of the lane that are not neighbours, in metres."""
        points = self.centreline[::4]
        number = len(points)
        apart = np.abs(np.arange(number)[:, None] - np.arange(number))
        apart = np.minimum(apart, number - apart) * (4 * self.spacing)
        squares = (points**2).sum(1)
        distance = squares[:, None] + squares - 2.0 * points @ points.T
        far = apart > math.pi * self.width
        return math.sqrt(max(float(distance[far].min()), 0.0)) if far.any() else 0.0

    def offset(self, lateral: float) -> Points:
        """The line at a constant lateral distance from the centreline; N×2 metres."""
        normals = np.stack([-np.sin(self.headings), np.cos(self.headings)], axis=1)
        return self.centreline + lateral * normals

    def point(self, s: float, lateral: float = 0.0) -> tuple[float, float, float]:
        """Metres x and y, and tangent heading in radians, at arc length ``s``."""
        number = len(self.centreline)
        place = s / self.spacing
        index = math.floor(place)
        part = place - index
        index %= number
        x0, y0 = self._xy[index]
        x1, y1 = self._xy[(index + 1) % number]
        h0 = self._headings[index]
        turn = math.remainder(self._headings[(index + 1) % number] - h0, math.tau)
        heading = h0 + part * turn
        return (
            x0 + part * (x1 - x0) - lateral * math.sin(heading),
            y0 + part * (y1 - y0) + lateral * math.cos(heading),
            math.remainder(heading, math.tau),
        )

    def project(self, x: float, y: float) -> tuple[float, float, float]:
        """Where a point of the floor is, seen from the lane.

        Returns arc length in metres 0…length, lateral distance in metres (left is
        positive) and the heading of the tangent there in radians −π…π.
        """
        xy = self._xy
        number = len(xy)
        index = self._nearest_index(x, y)
        best = (x - xy[index][0]) ** 2 + (y - xy[index][1]) ** 2
        # The grid knows the nearest point to within a cell: walk downhill to the exact one.
        for step in (1, -1):
            while True:
                other = (index + step) % number
                square = (x - xy[other][0]) ** 2 + (y - xy[other][1]) ** 2
                if square >= best:
                    break
                index, best = other, square
        heading = self._headings[index]
        dx, dy = x - xy[index][0], y - xy[index][1]
        cos, sin = math.cos(heading), math.sin(heading)
        along, lateral = dx * cos + dy * sin, dy * cos - dx * sin
        curvature = self._curvatures[index]
        # Off the centreline, arc length runs slower or faster than the point does.
        along /= max(1.0 - curvature * lateral, 0.2)
        s = (index * self.spacing + along) % self.length
        return s, lateral, math.remainder(heading + curvature * along, math.tau)

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """The floor that matters: least x, least y, greatest x, greatest y in metres."""
        low, high = self.centreline.min(0) - _MARGIN_M, self.centreline.max(0) + _MARGIN_M
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    # Plain lists and a flat memoryview: scalar access is several times faster than NumPy's.

    @cached_property
    def _xy(self) -> list[tuple[float, float]]:
        return [(x, y) for x, y in self.centreline.tolist()]

    @cached_property
    def _headings(self) -> list[float]:
        return [float(h) for h in self.headings]

    @cached_property
    def _curvatures(self) -> list[float]:
        return [float(c) for c in self.curvatures]

    @cached_property
    def _grid(self) -> tuple[memoryview, int, int]:
        """For each cell of the floor, the index of the centreline point nearest to it."""
        x0, y0, x1, y1 = self.bounds
        columns, rows = math.ceil((x1 - x0) / _CELL_M), math.ceil((y1 - y0) / _CELL_M)
        cells = ((self.centreline - (x0, y0)) / _CELL_M).astype(np.intp)
        away = np.ones((rows, columns), np.uint8)
        away[cells[:, 1], cells[:, 0]] = 0
        _, labels = cv2.distanceTransformWithLabels(
            away, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        index_of = np.zeros(int(labels.max()) + 1, np.int32)
        index_of[labels[cells[:, 1], cells[:, 0]]] = np.arange(len(cells))
        return memoryview(index_of[labels].ravel()), columns, rows

    def _nearest_index(self, x: float, y: float) -> int:
        table, columns, rows = self._grid
        x0, y0, _, _ = self.bounds
        column = min(max(int((x - x0) / _CELL_M), 0), columns - 1)
        row = min(max(int((y - y0) / _CELL_M), 0), rows - 1)
        return int(table[row * columns + column])


def _closed_curve(rng: np.random.Generator, d: float, least_radius: float) -> Points | None:
    """A random smooth closed curve with even spacing, or None when this draw is no good.

    A polygon with jittered corners, smoothed as a Fourier series until no curve is
    tighter than ``least_radius``: long straights stay, corners become bends.
    """
    corners = int(rng.integers(6, 9 + round(3 * d)))
    angles = (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * math.tau / corners
    jitter = 0.35 + 0.1 * d
    radii = rng.uniform(1 - jitter, 1 + jitter, corners) * rng.uniform(1.9, 2.4)
    polygon = radii * (np.cos(angles) + 1j * rng.uniform(0.7, 1.0) * np.sin(angles))
    polygon = polygon * np.exp(1j * rng.uniform(0, math.tau))
    sides = np.abs(np.roll(polygon, -1) - polygon)
    knots = np.concatenate([[0.0], np.cumsum(sides)])
    samples = np.arange(_SAMPLES) * (knots[-1] / _SAMPLES)
    outline = np.interp(samples, knots, np.append(polygon, polygon[0]))
    order = np.fft.fftfreq(_SAMPLES, 1.0 / _SAMPLES)
    wave = order * (math.tau / knots[-1])
    series = np.where(np.abs(order) <= _HARMONICS, np.fft.fft(outline), 0.0)
    for sigma in (0.2, 0.25, 0.3, 0.36, 0.43, 0.5):
        smooth = series * np.exp(-0.5 * (wave * sigma) ** 2)
        first, second = np.fft.ifft(1j * wave * smooth), np.fft.ifft(-(wave**2) * smooth)
        speed = np.abs(first)
        if (np.abs((np.conj(first) * second).imag) * least_radius <= speed**3).all():
            break
    else:
        return None
    # Trapezium sums of a periodic function converge fast: arc length at each sample.
    arc = np.concatenate([[0.0], np.cumsum((speed + np.roll(speed, -1)) / 2)])
    arc *= knots[-1] / _SAMPLES
    number = round(arc[-1] / SPACING_M)
    even = np.interp(np.arange(number) * (arc[-1] / number), arc, np.append(samples, knots[-1]))
    few = np.abs(order) <= _HARMONICS
    curve = np.exp(1j * even[:, None] * wave[few]) @ (smooth[few] / _SAMPLES)
    if rng.random() < 0.5:
        curve = curve[::-1]
    return np.stack([curve.real, curve.imag], axis=1)
