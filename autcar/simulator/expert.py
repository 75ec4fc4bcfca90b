"""A driver that knows where the car is: it shows what to do in every picture.

It labels training data, so what it does follows from what the camera sees at that
moment, up to a little hysteresis: where the lane goes, whether the car stands
askew or its nose is over a border, how far the stop bar is.
"""

from __future__ import annotations

import math

from autcar.commands import STOP, Command
from autcar.simulator.world import World

PARKING_M = (0.16, 0.28)
"""Parked is: the stop bar's near edge is this far ahead of the nose."""

_PASSED_M = -0.45  # a bar further behind than this was not meant for us
_APPROACH_M = 1.2  # within this distance of the bar, no fast driving

# Badly placed: askew, or over a border and heading out. Ends well below where it begins.
_ASKEW, _ALIGNED = math.radians(50), math.radians(35)
_OUTWARD, _ALONG = math.radians(12), math.radians(6)
_NOSE_INSIDE_M = 0.03
_BACK_LIGHT, _BACK_MEDIUM = math.radians(28), math.radians(50)

# Pure pursuit: metres to the point that is aimed at, and the curvature (1/m) at which
# each turn begins and ends. The turns themselves are tighter than the track: 4.4 and 8.9.
_AIM_M = 0.32
_LIGHT, _MEDIUM = (1.4, 0.8), (3.4, 2.4)


class Expert:
    """Drives a world by its ground truth, in the 12 commands.

    Fast on straights, medium elsewhere, light and medium turns by pure pursuit.
    Before a stop bar it parks, backing up when it stands too near. When the car
    stands badly it backs out, turning towards the track, and then goes on.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._turn = 0  # −2…2: medium right … medium left
        self._fast = False
        self._backing = False

    def decide(self, frame: object = None) -> Command:
        """What to do now. ``frame`` is not looked at: the expert knows better."""
        _, _, askew = self.world.lane
        if self._stands_badly(askew):
            self._turn, self._fast = 0, False
            return _back_out(askew)
        gap = self.bar_gap
        if gap is not None and gap <= PARKING_M[1]:
            self._turn, self._fast = 0, False
            return STOP if gap >= PARKING_M[0] else Command("move", "medium", "backwards")
        return self._follow(gap)

    @property
    def bar_gap(self) -> float | None:
        """Metres from the nose to the stop bar, negative when over it; None without a bar."""
        world = self.world
        if world.track.stop_line is None:
            return None
        length = world.track.length
        gap = (world.track.stop_line - world.lane[0] - world.car.nose) % length
        return gap if gap < length + _PASSED_M else gap - length

    def _stands_badly(self, askew: float) -> bool:
        world = self.world
        _, nose, _ = world.track.project(*world.point(world.car.nose))
        outward = math.copysign(askew, askew * nose) if nose else abs(askew)
        slack, along = (_NOSE_INSIDE_M, _ALONG) if self._backing else (0.0, _OUTWARD)
        over = abs(nose) > world.track.width / 2 - slack and outward > along
        self._backing = over or abs(askew) > (_ALIGNED if self._backing else _ASKEW)
        return self._backing

    def _follow(self, gap: float | None) -> Command:
        world = self.world
        s, lateral, askew = world.lane
        x, y, _ = world.track.point(s + _AIM_M)
        dx, dy = x - world.x, y - world.y
        bearing = math.remainder(math.atan2(dy, dx) - world.heading, math.tau)
        curvature = 2.0 * math.sin(bearing) / math.hypot(dx, dy)
        self._turn = _quantise(curvature, self._turn)
        if self._turn:
            self._fast = False
            style = "light" if abs(self._turn) == 1 else "medium"
            return Command("left" if self._turn > 0 else "right", style, "forward")
        ease = 1.5 if self._fast else 1.0
        bend = max(abs(world.track.curvature(s + ahead)) for ahead in (0.2, 0.4, 0.6, 0.8))
        self._fast = (
            bend < 0.8 * ease
            and abs(lateral) < 0.06 * ease
            and abs(askew) < math.radians(9) * ease
            and (gap is None or gap > _APPROACH_M)
        )
        return Command("move", "fast" if self._fast else "medium", "forward")


def _quantise(curvature: float, before: int) -> int:
    """The turn −2…2 for a curvature, where a turn that is on ends later than it began."""
    side = 1 if curvature > 0 else -1
    held = before * side
    strength = abs(curvature)
    if strength > _MEDIUM[held >= 2]:
        return 2 * side
    return side if strength > _LIGHT[held >= 1] else 0


def _back_out(askew: float) -> Command:
    if abs(askew) < _BACK_LIGHT:
        return Command("move", "medium", "backwards")
    # Backing with the wheels to the left swings the nose to the right.
    style = "medium" if abs(askew) > _BACK_MEDIUM else "light"
    return Command("left" if askew > 0 else "right", style, "backwards")
