"""Paints a track once: the floor from above at several scales, and the room around it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from autcar.simulator.style import Colour, Style
from autcar.simulator.track import Track

Image = npt.NDArray[np.uint8]
Relief = npt.NDArray[np.float32]

TEXEL_M = 0.0025
_COARSE_TEXEL_M = 0.005
SCALES = (1, 3, 6)
"""Each level of the floor is this many times coarser than the finest."""

BAR_DEPTH_M = 0.08

# The panorama: elevations in degrees, and pixels per degree across and down.
TOP_DEG, BOTTOM_DEG = 45.0, -5.0
ACROSS, DOWN = 8, 4

_SHIFT = 4  # binary digits of a pixel in OpenCV's drawing


@dataclass(frozen=True, eq=False)
class Painting:
    """What a camera can see of a track.

    ``floor`` holds one RGB image per scale, of the rectangle that starts at
    ``origin`` metres; columns run along +x and rows along +y, a pixel of the finest is
    ``texel_m`` wide. ``beyond`` is the colour of the floor outside. ``room`` is an RGB
    panorama whose columns run clockwise (to the right) from heading 0 and ``solid`` its
    mask: 0 where the floor shows.
    """

    floor: tuple[Image, ...]
    origin: tuple[float, float]
    beyond: Colour
    room: Image
    solid: Image
    texel_m: float = TEXEL_M


@lru_cache(maxsize=2)
def paint(track: Track) -> Painting:
    """Paint a track; the last two are remembered, a painting being some 20 MB."""
    style = track.style
    x0, y0, x1, y1 = track.bounds
    finest = _plain(x1 - x0, y1 - y0, TEXEL_M, _lit(style, style.floor_colour))
    for lateral, colour, dash in (
        (track.width / 2, style.left_colour, style.left_dash),
        (-track.width / 2, style.right_colour, style.right_dash),
    ):
        _line(finest, track, lateral, _lit(style, colour), dash)
    if track.stop_line is not None:
        rim = _lit(style, (245, 245, 245))
        _bar(finest, track, track.stop_line, _lit(style, style.bar_colour), rim)
    return _finish(finest, (x0, y0), style, TEXEL_M)


def paint_floor(style: Style, size_m: float) -> Painting:
    """Paint an open floor in a room, ``size_m`` square about the origin; a camera looks ahead.

    Coarser than a track, whose camera looks down.
    """
    colour = _lit(style, style.floor_colour)
    finest = _plain(size_m, size_m, _COARSE_TEXEL_M, colour)
    return _finish(finest, (-size_m / 2, -size_m / 2), style, _COARSE_TEXEL_M)


def _plain(width_m: float, depth_m: float, texel_m: float, colour: Colour) -> Image:
    """A floor of one colour, whose sizes divide by every scale."""
    coarse = texel_m * SCALES[-1]
    columns, rows = (math.ceil(size / coarse) * SCALES[-1] for size in (width_m, depth_m))
    image = np.empty((rows, columns, 3), np.uint8)
    image[:] = colour
    return image


def _finish(finest: Image, origin: tuple[float, float], style: Style, texel_m: float) -> Painting:
    """Give a floor its pattern and light, its coarser scales, and a room around it."""
    rng = np.random.default_rng(style.seed)
    rows, columns = finest.shape[:2]
    shade = 1.0 + style.contrast * _pattern(rng, style.floor, rows, columns)
    shade *= _light(rng, rows, columns, style.gradient, style.shadows)
    grey = cv2.convertScaleAbs(shade, alpha=128.0)
    finest = np.asarray(cv2.multiply(finest, cv2.merge([grey] * 3), scale=1 / 128), np.uint8)
    floor = [finest]
    for scale in SCALES[1:]:
        size = (columns // scale, rows // scale)
        floor.append(np.asarray(cv2.resize(finest, size, interpolation=cv2.INTER_AREA), np.uint8))
    room, solid = _room(rng, style)
    beyond = _lit(style, style.floor_colour)
    return Painting(tuple(floor), origin, beyond, room, solid, texel_m)


def _lit(style: Style, colour: Colour) -> Colour:
    """A colour in the light of a style."""
    gains = style.light * np.array([1 + style.warmth, 1.0, 1 - style.warmth])
    red, green, blue = (min(round(c * g), 255) for c, g in zip(colour, gains, strict=True))
    return red, green, blue


def _line(image: Image, track: Track, lateral: float, colour: Colour, dash: float) -> None:
    """Draw a border line; ``dash`` is the length of a dash and of the gap after it, 0 for none."""
    points = _texels(track, track.offset(lateral))
    thickness = max(1, round(track.style.line_width / TEXEL_M))
    if not dash:
        cv2.polylines(image, [points], True, colour, thickness, cv2.LINE_AA, _SHIFT)
        return
    pairs = max(1, round(track.length / (2.0 * dash)))
    for part in np.array_split(points, 2 * pairs)[::2]:
        cv2.polylines(image, [part], False, colour, thickness, cv2.LINE_AA, _SHIFT)


def _bar(image: Image, track: Track, s: float, colour: Colour, edge: Colour) -> None:
    """Draw the stop bar from arc length ``s`` on, with a bright rim along both edges."""
    half = track.width / 2 - track.style.line_width / 2
    rim = 0.012
    for start, end, paint_with in ((0.0, BAR_DEPTH_M, edge), (rim, BAR_DEPTH_M - rim, colour)):
        steps = np.linspace(s + start, s + end, 8)
        outline = [track.point(a, half)[:2] for a in steps]
        outline += [track.point(a, -half)[:2] for a in steps[::-1]]
        points = _texels(track, np.array(outline))
        cv2.fillPoly(image, [points], paint_with, cv2.LINE_AA, _SHIFT)


def _texels(track: Track, points: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Metres to OpenCV's fixed-point pixels of the finest floor."""
    origin = np.array(track.bounds[:2])
    return np.asarray(np.rint(((points - origin) / TEXEL_M - 0.5) * (1 << _SHIFT)), np.int32)


def _noise(rng: np.random.Generator, rows: int, columns: int, texels: float) -> Relief:
    """Smooth noise of mean 0 and deviation about 1, whose bumps are ``texels`` wide."""
    size = (max(2, round(rows / texels)), max(2, round(columns / texels)))
    seed = rng.standard_normal(size, np.float32)
    # Cubic interpolation flattens the noise by about a third.
    return np.asarray(
        1.4 * cv2.resize(seed, (columns, rows), interpolation=cv2.INTER_CUBIC), np.float32
    )


def _pattern(rng: np.random.Generator, kind: str, rows: int, columns: int) -> Relief:
    """The floor's own pattern as deviations from its colour, about −2…2."""
    grain = rng.standard_normal((512, 512), np.float32)
    repeats = (math.ceil(rows / 512), math.ceil(columns / 512))
    pattern = np.tile(grain, repeats)[:rows, :columns] * np.float32(0.5)
    pattern += _noise(rng, rows, columns, 120)
    if kind == "concrete":
        pattern += _noise(rng, rows, columns, 24)
        pattern += _noise(rng, rows, columns, 8) * np.float32(0.7)
    elif kind == "planks":
        plank = round(rng.uniform(0.08, 0.15) / TEXEL_M)
        boards = rng.standard_normal(columns // plank + 1).astype(np.float32)
        across = np.arange(columns)
        joint = np.where(across % plank < 2, np.float32(-3.0), boards[across // plank])
        veins = rng.standard_normal((rows // 100 + 2, columns), np.float32)
        pattern += joint + cv2.resize(veins, (columns, rows)) * np.float32(0.6)
    elif kind == "tiles":
        tile = round(rng.uniform(0.2, 0.4) / TEXEL_M)
        shades = rng.standard_normal((rows // tile + 1, columns // tile + 1)).astype(np.float32)
        pattern += np.repeat(np.repeat(shades, tile, 0), tile, 1)[:rows, :columns] * 0.5
        for lines in (pattern[::tile], pattern[1::tile], pattern[:, ::tile], pattern[:, 1::tile]):
            lines -= 2.5
    return pattern


def _light(
    rng: np.random.Generator, rows: int, columns: int, gradient: float, shadows: int
) -> Relief:
    """How bright each part of the floor is lit, around 1: a slope across it and soft shadows."""
    small = (rows // 24, columns // 24)
    down, across = np.meshgrid(*(np.linspace(-1, 1, n) for n in small), indexing="ij")
    angle = rng.uniform(0, math.tau)
    light = 1.0 + gradient * (down * math.sin(angle) + across * math.cos(angle)) / 1.5
    for _ in range(shadows):
        centre, radius = rng.uniform(-0.8, 0.8, 2), rng.uniform(0.1, 0.35, 2)
        depth = ((across - centre[0]) / radius[0]) ** 2 + ((down - centre[1]) / radius[1]) ** 2
        light *= 1.0 - rng.uniform(0.15, 0.45) / (1.0 + depth**4)
    resized = cv2.resize(light.astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)


def _room(rng: np.random.Generator, style: Style) -> tuple[Image, Image]:
    """A room seen from its middle: four walls, a skirting, windows and furniture."""
    wall = _lit(style, style.wall_colour)
    columns, rows = 360 * ACROSS, round((TOP_DEG - BOTTOM_DEG) * DOWN)
    image = np.empty((rows, columns, 3), np.uint8)
    solid = np.zeros((rows, columns), np.uint8)

    def row(elevation: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
        return (TOP_DEG - np.asarray(elevation)) * DOWN

    # Walls stand at ±width and ±depth; their foot lies a little below the horizon.
    azimuth = np.linspace(0, math.tau, columns, endpoint=False)
    width, depth = rng.uniform(3.0, 5.0, 2)
    to_side = width / np.maximum(np.abs(np.cos(azimuth)), 1e-9)
    to_end = depth / np.maximum(np.abs(np.sin(azimuth)), 1e-9)
    away = np.minimum(to_side, to_end)
    facing = 2 * (to_side >= to_end) + ((azimuth + math.pi / 4) % math.tau > math.pi)
    brightness = rng.uniform(0.8, 1.1, 4)[facing.astype(np.intp)]
    foot, top = row(-np.degrees(np.arctan(0.15 / away))), row(np.degrees(np.arctan(2.3 / away)))
    down = np.arange(rows)[:, None]
    walls = np.clip(np.array(wall) * brightness[:, None], 0, 255)
    image[:] = walls[None]
    image[down < top] = _lit(style, (235, 235, 230))
    image[(down > foot - 1.5) & (down <= foot)] = _lit(style, (120, 110, 100))
    solid[down <= foot] = 255
    for _ in range(round(rng.uniform(0.5, 1.0) * 24 * style.clutter)):
        centre, half = rng.uniform(0, columns), rng.uniform(2, 14) * ACROSS
        hung = rng.random() < 0.35
        base = rng.uniform(4, 12) if hung else -rng.uniform(1.5, 4.5)
        high = base + rng.uniform(3, 20)
        # Things in rooms are duller than tape on a floor.
        vivid = rng.uniform(20, 235, 3)
        red, green, blue = (int(c) for c in 0.35 * vivid + 0.65 * vivid.mean())
        colour = _lit(style, (red, green, blue))
        dark = tuple(c // 2 for c in colour)
        for shift in (-columns, 0, columns):
            corner = (round(centre - half + shift), round(float(row(high))))
            other = (round(centre + half + shift), round(float(row(base))))
            cv2.rectangle(image, corner, other, colour, -1)
            cv2.rectangle(solid, corner, other, 255, -1)
            cv2.rectangle(image, corner, other, dark, 1)
    return image, solid
