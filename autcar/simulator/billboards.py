"""How people and pillars look: painted once, stood on the floor facing the camera."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from autcar.simulator.mount import CameraMount
from autcar.simulator.style import Colour

Image = npt.NDArray[np.uint8]
Relief = npt.NDArray[np.float32]

PHASES = 8
"""Pictures of one stride."""

_ROWS, _COLUMNS = 192, 128
_LEVELS = 4
_SPAN = 1.05
"""A picture of a person is this many times their height from top to bottom."""

_SHIFT = 4
_FINER = 2
"""People are painted this many times larger and averaged down."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a person looks like. ``height`` is metres, ``build`` the width relative to 1."""

    height: float
    build: float
    skin: Colour
    hair: Colour
    top: Colour
    legs: Colour
    shoes: Colour
    band: Colour | None = None
    skirt: bool = False
    hat: Colour | None = None


HERO = Look(
    height=1.76,
    build=1.0,
    skin=(205, 160, 130),
    hair=(60, 45, 35),
    top=(245, 110, 15),
    legs=(30, 40, 95),
    shoes=(30, 30, 35),
    band=(235, 240, 225),
    hat=(245, 110, 15),
)
"""The one to follow: an orange jacket with a bright band, an orange cap, navy trousers."""

_LEAST_APART = 130.0  # RGB distance of any other jacket or hat from the hero's
_SKINS = ((240, 205, 180), (205, 160, 130), (160, 110, 80), (95, 65, 50))
_HAIRS = ((30, 25, 25), (70, 50, 35), (140, 100, 60), (200, 170, 110), (150, 150, 150))


def random_look(rng: np.random.Generator) -> Look:
    """Somebody who is not the hero: anything but their orange on top."""

    def colour(dark: bool = False) -> Colour:
        value = rng.uniform(0.1, 0.5) if dark else rng.uniform(0.15, 0.95)
        red, green, blue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.0, 0.9), value)
        return round(255 * red), round(255 * green), round(255 * blue)

    def other() -> Colour:
        while math.dist(found := colour(), HERO.top) < _LEAST_APART:
            pass
        return found

    return Look(
        height=float(rng.uniform(1.5, 1.95)),
        build=float(rng.uniform(0.85, 1.25)),
        skin=_SKINS[int(rng.integers(len(_SKINS)))],
        hair=_HAIRS[int(rng.integers(len(_HAIRS)))],
        top=other(),
        legs=colour(dark=bool(rng.random() < 0.7)),
        shoes=colour(dark=True),
        band=other() if rng.random() < 0.25 else None,
        skirt=bool(rng.random() < 0.25),
        hat=other() if rng.random() < 0.25 else None,
    )


@dataclass(frozen=True, eq=False)
class Sprite:
    """A picture to stand on the floor, from fine to coarse.

    ``colours`` are RGB ``uint8``, black where nothing is (premultiplied), ``shares``
    ``uint8``, 255 where it is solid. ``width`` and ``height`` are metres.
    """

    colours: tuple[Image, ...]
    shares: tuple[Image, ...]
    width: float
    height: float

    def draw(
        self, image: Image, mount: CameraMount, lens: Pose, x: float, y: float, light: float
    ) -> None:
        """Draw it into an RGB image as if it stood at ``x``, ``y``, facing the lens."""
        if (found := self._warp(mount, lens, x, y)) is None:
            return
        part, seen, share = found
        rest = cv2.subtract(np.full_like(share, 255), share)
        behind = cv2.multiply(image[part], cv2.merge([rest] * 3), scale=1 / 255)
        lit = cv2.convertScaleAbs(seen, alpha=light)
        # Premultiplied colours must not outshine their share, however bright the light.
        lit = cv2.min(lit, cv2.merge([share] * 3))
        cv2.add(behind, lit, dst=behind)
        image[part] = behind

    def cover(
        self, mask: Image, mount: CameraMount, lens: Pose, x: float, y: float, label: int
    ) -> None:
        """Write ``label`` into an H×W mask where it is seen."""
        if (found := self._warp(mount, lens, x, y)) is None:
            return
        part, _, share = found
        mask[part][share > 127] = label

    def _warp(
        self, mount: CameraMount, lens: Pose, x: float, y: float
    ) -> tuple[tuple[slice, slice], Image, Image] | None:
        """The part of the picture that it is in, and its colours and shares there."""
        away = math.hypot(x - lens[0], y - lens[1])
        if away < 1e-6:
            return None
        # Half its width across the line of sight, to the left.
        across = -(y - lens[1]) / away * self.width / 2, (x - lens[0]) / away * self.width / 2
        corners = [
            mount.see(lens, x + side * across[0], y + side * across[1], height)
            for side, height in ((1, self.height), (-1, self.height), (-1, 0.0), (1, 0.0))
        ]
        if None in corners:
            return None
        places = np.array(corners, np.float32)
        low = np.clip(np.floor(places.min(0)), 0, None).astype(int)
        high = np.minimum(np.ceil(places.max(0)) + 1, (mount.width, mount.height)).astype(int)
        if (high <= low).any():
            return None
        # The coarsest level that still has a texel for each pixel.
        rows = float(places[2:, 1].max() - places[:2, 1].min())
        finer = int(math.log2(max(1.0, self.colours[0].shape[0] / max(rows, 1.0))))
        level = min(len(self.colours) - 1, finer)
        colours, share = self.colours[level], self.shares[level]
        bottom, right = share.shape[0] - 0.5, share.shape[1] - 0.5
        texels = np.array([(-0.5, -0.5), (right, -0.5), (right, bottom), (-0.5, bottom)])
        shifted = places - low.astype(np.float32)
        matrix = cv2.getPerspectiveTransform(texels.astype(np.float32), shifted)
        size = (int(high[0] - low[0]), int(high[1] - low[1]))
        seen = cv2.warpPerspective(colours, matrix, size, flags=cv2.INTER_LINEAR)
        solid = cv2.warpPerspective(share, matrix, size, flags=cv2.INTER_LINEAR)
        part = slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
        return part, np.asarray(seen, np.uint8), np.asarray(solid, np.uint8)


Pose = tuple[float, float, float]


def person(look: Look, seen_from: float, phase: float) -> Sprite:
    """A person's picture: ``seen_from`` is the angle of the view from their face, in radians.

    ``phase`` is where they are in their stride, 0…1; standing is 0.
    """
    view = round(seen_from / (math.pi / 4)) % 8
    return _person(look, view, int(phase * PHASES) % PHASES)


@lru_cache(maxsize=8)
def pillar(height: float, width: float, colour: Colour) -> Sprite:
    """A round pillar: it looks the same from all sides."""
    across = np.linspace(-0.92, 0.92, _COLUMNS // 2)
    shade = 0.55 + 0.45 * np.sqrt(1 - across**2) + 0.1 * across
    row = np.clip(np.array(colour) * shade[:, None], 0, 255).astype(np.uint8)
    image = np.repeat(row[None], _ROWS, axis=0)
    image[-6:] = image[-6:] // 2
    return _levels(image, np.full(image.shape[:2], 255, np.uint8), width, height)


def _levels(colours: Image, share: Image, width: float, height: float) -> Sprite:
    pyramids: list[list[Image]] = [[colours], [share]]
    for _ in range(_LEVELS - 1):
        for pyramid in pyramids:
            rows, columns = pyramid[-1].shape[:2]
            size = (columns // 2, rows // 2)
            half = cv2.resize(pyramid[-1], size, interpolation=cv2.INTER_AREA)
            pyramid.append(np.asarray(half, np.uint8))
    return Sprite(tuple(pyramids[0]), tuple(pyramids[1]), width, height)


@lru_cache(maxsize=1024)
def _person(look: Look, view: int, phase: int) -> Sprite:
    canvas = _Canvas()
    turned = view * math.pi / 4
    # From the side a stride is wide and the body narrow; from the front the other way round.
    side, front = math.sin(turned), math.cos(turned)
    swing = math.sin(phase * math.tau / PHASES)
    wide = (0.55 + 0.45 * abs(front)) * look.build
    stride = 0.16 * swing * side
    lift = 0.02 * abs(swing)
    hip, shoulder = 0.075 * wide, 0.125 * wide
    # The farther limbs first, a little darker.
    for near in (False, True):
        sign = 1.0 if near else -1.0
        dim = 1.0 if near else 0.8
        foot = (sign * (hip * front * 0.9 + stride), 0.025 + (lift if sign * swing < 0 else 0.0))
        knee = (sign * (hip * front + 0.55 * stride), 0.27)
        leg = look.skin if look.skirt else look.legs
        canvas.limb([(sign * hip * front, 0.5), knee, foot], 0.065 * look.build, leg, dim)
        toe = (foot[0] + 0.045 * side, foot[1] - 0.005)
        canvas.limb([foot, toe], 0.045, look.shoes, dim)
        reach = sign * shoulder * front - sign * 0.6 * stride
        hand = (reach + sign * 0.03 * front, 0.47)
        elbow = ((sign * shoulder * front + hand[0]) / 2 + 0.01 * sign * front, 0.63)
        if near:
            _body(canvas, look, wide, front, side)
        canvas.limb([(sign * shoulder * front, 0.79), elbow, hand], 0.05, look.top, dim * 0.92)
        canvas.limb([hand, (hand[0], 0.455)], 0.035, look.skin, dim)
    return canvas.finish(look.height)


def _body(canvas: _Canvas, look: Look, wide: float, front: float, side: float) -> None:
    chest, waist = 0.13 * wide, 0.105 * wide
    canvas.limb([(0.0, 0.80), (0.0, 0.86)], 0.05, look.skin)
    canvas.shape([(-chest, 0.80), (chest, 0.80), (waist, 0.47), (-waist, 0.47)], look.top)
    canvas.limb([(-chest * 0.75, 0.80), (chest * 0.75, 0.80)], 0.06, look.top)
    if look.skirt:
        canvas.shape(
            [(-waist, 0.5), (waist, 0.5), (waist * 1.35, 0.28), (-waist * 1.35, 0.28)], look.legs
        )
    else:
        canvas.shape([(-waist, 0.5), (waist, 0.5), (waist, 0.45), (-waist, 0.45)], look.legs)
    if look.band is not None:
        canvas.shape(
            [
                (-chest * 0.95, 0.68),
                (chest * 0.95, 0.68),
                (waist * 1.1, 0.61),
                (-waist * 1.1, 0.61),
            ],
            look.band,
        )
    # The face shows from the front only.
    canvas.oval((0.0, 0.915), (0.055, 0.07), look.hair)
    if front > -0.5:
        canvas.oval((0.018 * side, 0.90), (0.045, 0.058), look.skin)
    if look.hat is not None:
        canvas.shape(
            [(-0.06, 0.93), (0.06, 0.93), (0.052, 0.985), (0.0, 1.0), (-0.052, 0.985)], look.hat
        )


class _Canvas:
    """Paints in shares of a person's height: x to the right of the middle, y over the floor."""

    def __init__(self) -> None:
        shape = (_ROWS * _FINER, _COLUMNS * _FINER)
        self._scale = shape[0] / _SPAN
        self._image = np.zeros((*shape, 3), np.uint8)
        self._share = np.zeros(shape, np.uint8)

    def limb(
        self, points: Sequence[tuple[float, float]], width: float, colour: Colour, dim: float = 1.0
    ) -> None:
        thickness = max(1, round(width * self._scale))
        dimmed = tuple(int(c * dim) for c in colour)
        for image, paint in ((self._image, dimmed), (self._share, (255,))):
            places = self._places(points)
            cv2.polylines(image, [places], False, paint, thickness, cv2.LINE_8, _SHIFT)

    def shape(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        cv2.fillPoly(self._image, [self._places(points)], colour, cv2.LINE_8, _SHIFT)
        cv2.fillPoly(self._share, [self._places(points)], (255,), cv2.LINE_8, _SHIFT)

    def oval(
        self, centre: tuple[float, float], radii: tuple[float, float], colour: Colour
    ) -> None:
        angles = np.linspace(0, math.tau, 24, endpoint=False)
        points = np.stack([np.cos(angles), np.sin(angles)], 1) * radii + centre
        self.shape([(x, y) for x, y in points.tolist()], colour)

    def finish(self, height: float) -> Sprite:
        size = (_COLUMNS, _ROWS)
        image, share = (
            np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
            for part in (self._image, self._share)
        )
        return _levels(image, share, _SPAN * height * _COLUMNS / _ROWS, _SPAN * height)

    def _places(self, points: Sequence[tuple[float, float]]) -> npt.NDArray[np.int32]:
        rows, columns = self._share.shape
        places = np.array(points) * (self._scale, -self._scale) + (columns / 2, rows)
        return np.asarray(np.rint(places * (1 << _SHIFT)), np.int32)
