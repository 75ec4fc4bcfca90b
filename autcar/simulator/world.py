"""A simulated car on a track: wheels, pose, time, and what its camera sees."""

from __future__ import annotations

import math

from autcar.simulator.mount import CameraMount
from autcar.simulator.moving_car import Car, MovingCar
from autcar.simulator.paint import paint
from autcar.simulator.render import Renderer
from autcar.simulator.track import Track

__all__ = ["CameraMount", "Car", "World"]


class World(MovingCar):
    """A car on a track."""

    def __init__(
        self,
        track: Track,
        *,
        car: Car | None = None,
        mount: CameraMount | None = None,
        seed: int = 0,
        disturbance: float = 0.0,
    ) -> None:
        super().__init__(car=car, mount=mount, seed=seed, disturbance=disturbance)
        self.track = track
        self.place(0.0)

    def place(self, s: float, lateral: float = 0.0, heading_error: float = 0.0) -> None:
        """Put the car down at rest, relative to the lane: metres and radians, left is positive."""
        x, y, heading = self.track.point(s, lateral)
        self.put(x, y, heading + heading_error)
        self._lane: tuple[float, float, float] | None = None

    def step(self, dt_s: float) -> None:
        """Advance by ``dt_s`` seconds."""
        super().step(dt_s)
        self._lane = None

    @property
    def lane(self) -> tuple[float, float, float]:
        """Arc length (m), lateral distance (m) and heading error (rad); left is positive."""
        if self._lane is None:
            s, lateral, tangent = self.track.project(self.x, self.y)
            self._lane = s, lateral, math.remainder(self.heading - tangent, math.tau)
        return self._lane

    @property
    def on_track_margin(self) -> float:
        """Metres from the outermost wheel to its border; negative when it is over."""
        ahead, left = self.car.wheel_base / 2, self.car.axle_track / 2
        wheels = ((ahead, left), (ahead, -left), (-ahead, left), (-ahead, -left))
        project = self.track.project
        outermost = max(abs(project(*self.point(*wheel))[1]) for wheel in wheels)
        return self.track.width / 2 - outermost

    @property
    def off_track(self) -> bool:
        """Whether any of the four wheels stands outside of the borders."""
        return self.on_track_margin < 0.0

    def paint(self) -> Renderer:
        """The track's floor, room and signs, painted."""
        return Renderer(paint(self.track), self.mount, self.track.style, self.track.billboards)
