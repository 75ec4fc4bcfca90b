"""Renders what the camera on the car sees, from a painted track."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from autcar.simulator.mount import CameraMount, Matrix
from autcar.simulator.paint import ACROSS, BOTTOM_DEG, DOWN, SCALES, TOP_DEG, Painting
from autcar.simulator.style import Style

Image = npt.NDArray[np.uint8]

# The floor is drawn in bands, by metres ahead of the lens: up to where, from which
# scale of the painting, and how many samples make one row (1, 2 or 4). Far rows cover much more
# floor along the view than across it, which a coarser scale alone would blur or alias.
_BANDS = ((0.5, 0, 1), (0.8, 1, 2), (1.4, 1, 4), (math.inf, 2, 4))


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    """Rows ``top``…``bottom`` of the image and how to draw them."""

    top: int
    bottom: int
    level: int
    samples: int
    to_floor: Matrix  # pixels of the band, at `samples` per row, to floor points
    buffer: Image


class Upright(Protocol):
    """What stands on the floor and turns to the camera: a sign, a person, a pillar."""

    @property
    def x(self) -> float:
        """Metres."""

    @property
    def y(self) -> float:
        """Metres."""

    def draw(
        self, image: Image, mount: CameraMount, x: float, y: float, heading: float, light: float
    ) -> None:
        """Draw into ``image`` what a lens at ``x``, ``y`` looking along ``heading`` sees of it."""


class Renderer:
    """Turns poses into images, by homography: RGB ``uint8``, height × width × 3.

    The same pose and moment give the same picture, noise included.
    """

    def __init__(
        self,
        painting: Painting,
        mount: CameraMount,
        style: Style,
        uprights: Sequence[Upright] = (),
    ) -> None:
        self._painting = painting
        self._uprights = uprights
        self._mount = mount
        self._style = style
        self._bands = _bands(mount)
        self._prepare_room()
        self._prepare_sensor()

    def render(self, x: float, y: float, heading: float, time_ns: int = 0) -> Image:
        """The image from a lens at metres ``x``, ``y`` looking along ``heading`` (radians)."""
        mount, painting = self._mount, self._painting
        image = np.empty((mount.height, mount.width, 3), np.uint8)
        cos, sin = math.cos(heading), math.sin(heading)
        x0, y0 = painting.origin
        for band in self._bands:
            texel = painting.texel_m * SCALES[band.level]
            to_texel = np.array(
                [
                    [cos / texel, -sin / texel, (x - x0) / texel - 0.5],
                    [sin / texel, cos / texel, (y - y0) / texel - 0.5],
                    [0.0, 0.0, 1.0],
                ]
            )
            rows = image[band.top : band.bottom]
            target = rows if band.samples == 1 else band.buffer
            cv2.warpPerspective(
                painting.floor[band.level],
                to_texel @ band.to_floor,
                (mount.width, target.shape[0]),
                dst=target,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=painting.beyond,
            )
            # Averaging pairs of rows is several times faster than resizing by area.
            while len(target) > len(rows):
                halved = rows if len(target) == 2 * len(rows) else None
                upper, lower = target[::2], target[1::2]
                mean = cv2.addWeighted(upper, 0.5, lower, 0.5, 0.0, dst=halved)
                target = np.asarray(mean, np.uint8)
        self._draw_room(image, heading)
        # The farthest first, so that nearer ones hide it.
        for upright in sorted(self._uprights, key=lambda u: -math.hypot(u.x - x, u.y - y)):
            upright.draw(image, mount, x, y, heading, self._style.light)
        return self.expose(image, time_ns)

    def expose(self, image: Image, time_ns: int) -> Image:
        """Make ``image`` what the sensor gives: vignette, flicker, blur, noise; in place."""
        moment = _scramble(time_ns ^ self._style.seed)
        flicker = 1.0 + 0.02 * ((moment >> 40 & 0xFF) / 255.0 - 0.5)
        cv2.multiply(image, self._vignette, dst=image, scale=flicker / 255.0)
        if self._style.blur > 0.3:
            cv2.GaussianBlur(image, (0, 0), self._style.blur, dst=image)
        for grains, change, start in (
            (self._brighter, cv2.add, moment),
            (self._darker, cv2.subtract, moment >> 20),
        ):
            offset = start % (grains.size - image.size)
            grain = grains[offset : offset + image.size].reshape(image.shape)
            change(image, grain, dst=image)
        return image

    def _prepare_room(self) -> None:
        """Find where each pixel above the floor looks in the panorama, for heading 0."""
        mount, f = self._mount, self._mount.focal
        pitch = math.radians(mount.pitch_deg)
        u0, v0 = mount.centre
        v, u = np.mgrid[: mount.height, : mount.width]
        right, down = (u - u0) / f, (v - v0) / f
        ahead = math.cos(pitch) - down * math.sin(pitch)
        up = -math.sin(pitch) - down * math.cos(pitch)
        azimuth = np.degrees(np.arctan2(right, ahead))
        elevation = np.degrees(np.arctan2(up, np.hypot(right, ahead)))
        # Only floor below: from the first row that lies wholly under the lowest furniture.
        self._room_rows = int((elevation > BOTTOM_DEG).any(axis=1).sum())
        self._mixed_from = min(max(math.ceil(mount.horizon), 0), self._room_rows)
        azimuth, elevation = azimuth[: self._room_rows], elevation[: self._room_rows]
        half = math.ceil(float(np.abs(azimuth).max(initial=1.0))) * ACROSS
        across, depth = azimuth * ACROSS + half, (TOP_DEG - elevation) * DOWN
        self._room_span = 2 * half + 2
        maps = across.astype(np.float32), depth.astype(np.float32)
        self._room_map = cv2.convertMaps(*maps, cv2.CV_16SC2) if self._room_rows else maps
        mixed = slice(self._mixed_from, self._room_rows)
        self._solid_map = maps[0][mixed], maps[1][mixed]
        # Unrolled once more on both sides, every view of the panorama is one slice.
        self._room = np.tile(self._painting.room, (1, 3, 1))
        self._solid = np.tile(self._painting.solid, (1, 3))
        self._room_half = half

    def _draw_room(self, image: Image, heading: float) -> None:
        if not self._room_rows:
            return
        around = 360 * ACROSS
        start = around + round(-math.degrees(heading) * ACROSS) % around - self._room_half
        span = slice(start, start + self._room_span)
        across, down = self._room_map
        edge = cv2.BORDER_REPLICATE
        view = cv2.remap(self._room[:, span], across, down, cv2.INTER_LINEAR, borderMode=edge)
        image[: self._mixed_from] = view[: self._mixed_from]
        if self._mixed_from < self._room_rows:
            across, down = self._solid_map
            mask = cv2.remap(self._solid[:, span], across, down, cv2.INTER_NEAREST)
            mixed = slice(self._mixed_from, self._room_rows)
            cv2.copyTo(view[mixed], mask, dst=image[mixed])

    def _prepare_sensor(self) -> None:
        mount, style = self._mount, self._style
        v, u = np.mgrid[: mount.height, : mount.width]
        u0, v0 = mount.centre
        radius = ((u - u0) ** 2 + (v - v0) ** 2) / (u0**2 + v0**2)
        vignette = np.rint(255 * (1 - style.vignette * radius)).astype(np.uint8)
        self._vignette = np.repeat(vignette[..., None], 3, axis=2)
        # Two tiles, one of what noise adds and one of what it takes, at changing offsets:
        # saturating integer arithmetic is far cheaper than fresh random numbers.
        rng = np.random.default_rng(style.seed)
        number = 2 * mount.height * mount.width * 3
        noise = np.rint(rng.standard_normal(number, np.float32) * style.noise)
        self._brighter = np.clip(noise, 0, 255).astype(np.uint8)
        self._darker = np.clip(-noise, 0, 255).astype(np.uint8)


def _bands(mount: CameraMount) -> list[_Band]:
    """Cut the floor's rows into bands, from the far one to the near one."""
    to_floor = mount.pixel_to_floor()
    first = max(math.floor(mount.horizon) + 1, 0)
    rows = np.arange(first, mount.height)
    points = to_floor @ np.stack([np.full(len(rows), mount.centre[0]), rows, np.ones(len(rows))])
    ahead = points[0] / points[2]
    bands, nearest = [], 0.0
    for farthest, level, samples in _BANDS:
        inside = rows[(ahead >= nearest) & (ahead < farthest)]
        nearest = farthest
        if len(inside):
            top, bottom = int(inside[0]), int(inside[-1]) + 1
            # Row k of the band's buffer is row top + (k + ½)/samples − ½ of the image.
            into = np.array(
                [[1, 0, 0], [0, 1 / samples, top + 0.5 / samples - 0.5], [0, 0, 1]], np.float64
            )
            buffer = np.empty(((bottom - top) * samples, mount.width, 3), np.uint8)
            bands.append(_Band(top, bottom, level, samples, to_floor @ into, buffer))
    return bands


def _scramble(value: int) -> int:
    """Sixty-four well-mixed bits of a number (SplitMix64's last step)."""
    mask = (1 << 64) - 1
    value = (value + 0x9E3779B97F4A7C15) & mask
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & mask
    value = (value ^ value >> 27) * 0x94D049BB133111EB & mask
    return value ^ value >> 31
