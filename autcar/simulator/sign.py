"""Traffic signs that stand beside the lane, as the camera sees them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from autcar.errors import ConfigError
from autcar.simulator.mount import CameraMount

Image = npt.NDArray[np.uint8]
Point = tuple[float, float]

_TEXELS = 96
_POST_M = 0.012
_POST, _BACK = (120, 122, 125), (150, 152, 155)
_RED, _WHITE, _YELLOW, _BLACK = (200, 25, 30), (240, 240, 240), (245, 200, 20), (25, 25, 25)


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign on a post that faces the cars coming towards it.

    It stands at arc length ``s`` and ``lateral`` metres left of the middle of the lane
    (negative is to the right). ``size`` is its height and width, ``above`` the height of
    its middle over the floor, in metres.
    """

    s: float
    kind: Literal["stop", "priority"] = "stop"
    lateral: float = -0.36
    size: float = 0.14
    above: float = 0.12


def parse_signs(text: str) -> list[Sign]:
    """Read ``"stop 3.0, priority 7.5"``: kinds and arc lengths; :class:`ConfigError` if not so."""
    signs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, _, place = part.partition(" ")
        try:
            if kind not in ("stop", "priority"):
                raise ValueError(kind)
            signs.append(Sign(float(place), kind))  # type: ignore[arg-type]
        except ValueError:
            raise ConfigError(
                f"[simulator] signs: {part!r} is no sign; write stop or priority and metres "
                f"along the lane, such as 'stop 3.0, priority 7.5'"
            ) from None
    return signs


@dataclass(frozen=True, slots=True)
class Billboard:
    """A sign where it stands: metres ``x`` and ``y``, and the lane's ``heading`` in radians."""

    sign: Sign
    x: float
    y: float
    heading: float

    def seen(
        self, mount: CameraMount, x: float, y: float, heading: float
    ) -> tuple[float, float, float] | None:
        """Column and row of its middle, and its height, in pixels; None when it is not ahead."""
        middle, top = (
            mount.see((x, y, heading), self.x, self.y, self.sign.above + rise)
            for rise in (0.0, self.sign.size / 2)
        )
        if middle is None or top is None:
            return None
        return (*middle, 2 * (middle[1] - top[1]))

    def draw(
        self, image: Image, mount: CameraMount, x: float, y: float, heading: float, light: float
    ) -> None:
        """Draw into ``image`` what a lens at ``x``, ``y`` looking along ``heading`` sees of it."""
        view = (x, y, heading)
        half = self.sign.size / 2
        bottom, top = self.sign.above - half, self.sign.above + half
        left = (-math.sin(self.heading) * half, math.cos(self.heading) * half)
        corners = [
            mount.see(view, self.x + side * left[0], self.y + side * left[1], height)
            for side, height in ((1, top), (-1, top), (-1, bottom), (1, bottom))
        ]
        foot = mount.see(view, self.x, self.y, 0.0)
        neck = mount.see(view, self.x, self.y, bottom)
        if None in corners or foot is None or neck is None:
            return
        away = math.hypot(self.x - x, self.y - y)
        thickness = max(1, round(_POST_M * mount.focal / away))
        cv2.line(image, _whole(foot), _whole(neck), [light * c for c in _POST], thickness)
        facing = math.cos(self.heading) * (self.x - x) + math.sin(self.heading) * (self.y - y) > 0
        places = np.array(corners, np.float32)
        _paste(image, *_face(self.sign.kind if facing else "back"), places, light)


def _paste(
    image: Image, face: Image, mask: Image, corners: npt.NDArray[np.float32], light: float
) -> None:
    """Put a face into the four ``corners``, the part of it that is within the image."""
    low = np.clip(np.floor(corners.min(0)), 0, None).astype(int)
    high = np.minimum(np.ceil(corners.max(0)) + 1, image.shape[1::-1]).astype(int)
    if (high <= low).any():
        return
    edge = _TEXELS - 1
    texels = np.array([(0, 0), (edge, 0), (edge, edge), (0, edge)], np.float32)
    matrix = cv2.getPerspectiveTransform(texels, corners - low.astype(np.float32))
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    seen = cv2.warpPerspective(face, matrix, size, flags=cv2.INTER_AREA)
    share = cv2.warpPerspective(mask, matrix, size, flags=cv2.INTER_LINEAR)[..., None] / 255.0
    part = image[low[1] : high[1], low[0] : high[0]]
    part[:] = part * (1 - share) + np.minimum(seen * light, 255) * share


def _whole(point: Point) -> tuple[int, int]:
    return round(point[0]), round(point[1])


@lru_cache(maxsize=4)
def _face(kind: str) -> tuple[Image, Image]:
    """The face of a sign, RGB, and its outline: 255 where it is."""
    face = np.zeros((_TEXELS, _TEXELS, 3), np.uint8)
    mask = np.zeros((_TEXELS, _TEXELS), np.uint8)
    middle = (_TEXELS - 1) / 2
    corners, turn = (4, 0.0) if kind == "priority" else (8, math.pi / 8)

    def shape(radius: float) -> npt.NDArray[np.int32]:
        angles = turn + np.arange(corners) * math.tau / corners
        points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius + middle
        return np.asarray(np.rint(points), np.int32)

    cv2.fillPoly(mask, [shape(middle)], 255)
    if kind == "back":
        face[:] = _BACK
        return face, mask
    face[:] = _WHITE
    cv2.fillPoly(face, [shape(middle * 0.88)], _RED if kind == "stop" else _BLACK)
    if kind == "priority":
        cv2.fillPoly(face, [shape(middle * 0.84)], _WHITE)
        cv2.fillPoly(face, [shape(middle * 0.6)], _YELLOW)
    else:
        font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.85
        (width, height), _ = cv2.getTextSize("STOP", font, size, 3)
        at = (round(middle - width / 2), round(middle + height / 2))
        cv2.putText(face, "STOP", at, font, size, _WHITE, 3, cv2.LINE_AA)
    return face, mask
