"""Where the camera sits on the car, and the pinhole geometry that follows from it.

Camera coordinates on the floor are metres: X ahead of the lens, Y to its left.
Pixels are columns u to the right and rows v down, whole numbers at pixel centres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

_NEAREST_M = 0.06


@dataclass(frozen=True, slots=True)
class CameraMount:
    """A pinhole camera on the car.

    ``width`` and ``height`` are the image in pixels; ``fov_deg`` is the horizontal
    field of view; the lens is ``above_m`` over the floor and ``ahead_m`` in front
    of the car's centre of turning, looking down by ``pitch_deg``.
    """

    width: int = 224
    height: int = 168
    fov_deg: float = 80.0
    above_m: float = 0.18
    pitch_deg: float = 25.0
    ahead_m: float = 0.08

    @property
    def focal(self) -> float:
        """The focal length in pixels."""
        return self.width / 2 / math.tan(math.radians(self.fov_deg) / 2)

    @property
    def centre(self) -> tuple[float, float]:
        """The pixel on the optical axis."""
        return (self.width - 1) / 2, (self.height - 1) / 2

    @property
    def horizon(self) -> float:
        """The row of the horizon; may lie outside of the image."""
        return self.centre[1] - self.focal * math.tan(math.radians(self.pitch_deg))

    def floor_to_pixel(self) -> Matrix:
        """The 3×3 homography from floor points (X, Y, 1) to pixels (u, v, 1), up to scale."""
        cos, sin = math.cos(math.radians(self.pitch_deg)), math.sin(math.radians(self.pitch_deg))
        f, (u0, v0), h = self.focal, self.centre, self.above_m
        # Rows: right, down and forward in the camera's own axes, of a floor point.
        axes = np.array([[0.0, -1.0, 0.0], [-sin, 0.0, h * cos], [cos, 0.0, h * sin]])
        lens = np.array([[f, 0.0, u0], [0.0, f, v0], [0.0, 0.0, 1.0]])
        return np.asarray(lens @ axes, np.float64)

    def pixel_to_floor(self) -> Matrix:
        """The inverse of :meth:`floor_to_pixel`, scaled so that pixels below the horizon are +."""
        inverse = np.linalg.inv(self.floor_to_pixel())
        below = inverse @ (self.centre[0], self.horizon + 1.0, 1.0)
        return np.asarray(inverse * math.copysign(1.0, below[2]), np.float64)

    def project(self, ahead: float, left: float) -> tuple[float, float]:
        """The pixel (u, v) of a floor point in camera coordinates; it must lie before the lens."""
        u, v, w = self.floor_to_pixel() @ (ahead, left, 1.0)
        return float(u / w), float(v / w)

    def see(
        self, lens: tuple[float, float, float], x: float, y: float, z: float
    ) -> tuple[float, float] | None:
        """The pixel (u, v) of a point ``z`` metres over the floor; None when not before the lens.

        ``lens`` is where the camera is and looks: x and y in metres, heading in radians.
        """
        dx, dy, heading = x - lens[0], y - lens[1], lens[2]
        ahead = dx * math.cos(heading) + dy * math.sin(heading)
        left = dy * math.cos(heading) - dx * math.sin(heading)
        sin, cos = math.sin(math.radians(self.pitch_deg)), math.cos(math.radians(self.pitch_deg))
        depth = cos * ahead - sin * (z - self.above_m)
        if depth < _NEAREST_M:
            return None
        down = -sin * ahead - cos * (z - self.above_m)
        u0, v0 = self.centre
        return u0 - self.focal * left / depth, v0 + self.focal * down / depth
