"""Keeps score of how well a simulated car is driven."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from autcar.simulator.world import World

Pose = tuple[float, float, float]


@dataclass(slots=True)
class Score:
    """What a drive came to; call :meth:`update` after each step of the world.

    Times are simulated seconds, distances metres along the centreline (backwards
    counts off again), lateral errors metres from the centreline. One failure is
    one episode off the track, however long. ``line`` holds the poses x, y, heading
    for drawing, about one per centimetre driven.
    """

    world: World
    seconds: float = 0.0
    distance: float = 0.0
    failures: int = 0
    seconds_off: float = 0.0
    max_lateral: float = 0.0
    line: list[Pose] = field(default_factory=list)
    _absolute: float = 0.0
    _s: float = 0.0
    _time_ns: int = 0
    _was_off: bool = False

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Count on from where the car is now, as after it was put down somewhere else."""
        self._s = self.world.lane[0]
        self._time_ns = self.world.time_ns
        self._was_off = self.world.off_track
        self.line.append((self.world.x, self.world.y, self.world.heading))

    def update(self) -> None:
        """Add what happened since the last call."""
        world = self.world
        s, lateral, _ = world.lane
        dt = (world.time_ns - self._time_ns) * 1e-9
        self._time_ns = world.time_ns
        self.seconds += dt
        self.distance += math.remainder(s - self._s, world.track.length)
        self._s = s
        off = world.off_track
        self.failures += off and not self._was_off
        self.seconds_off += dt * off
        self._was_off = off
        self._absolute += dt * abs(lateral)
        self.max_lateral = max(self.max_lateral, abs(lateral))
        x, y, _ = self.line[-1]
        if math.hypot(world.x - x, world.y - y) >= 0.01:
            self.line.append((world.x, world.y, world.heading))

    @property
    def laps(self) -> float:
        """Times round the track."""
        return self.distance / self.world.track.length

    @property
    def mean_speed(self) -> float:
        """Metres along the track per second."""
        return self.distance / self.seconds if self.seconds else 0.0

    @property
    def mean_lateral(self) -> float:
        """The mean absolute lateral error over time, in metres."""
        return self._absolute / self.seconds if self.seconds else 0.0

    def facts(self) -> dict[str, Any]:
        """Everything measured, JSON-able: seconds, metres, laps."""
        return {
            "seconds": round(self.seconds, 2),
            "distance_m": round(self.distance, 3),
            "laps": round(self.laps, 2),
            "failures": self.failures,
            "seconds_off": round(self.seconds_off, 2),
            "mean_lateral_m": round(self.mean_lateral, 4),
            "max_lateral_m": round(self.max_lateral, 4),
        }

    def summary(self) -> str:
        """The same for a person."""
        off = (
            f"left the track {self.failures} times" if self.failures else "no wheel off the track"
        )
        return (
            f"{self.distance:.1f} m, {self.laps:.1f} laps, {off}, "
            f"at most {self.max_lateral * 100:.0f} cm from the centre"
        )
