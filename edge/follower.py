"""The follower: from what a picture shows of the hero to one of the 12 commands.

Pure logic: masks and times are passed in. What it does is steered by where the hero
is in the picture and how high they stand in it, so it needs no lens's data; both carry
a little hysteresis. A hero who is lost is a normal thing and a ``stop`` command, not a
fault: the car drives on when they are back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autcar.cameras.base import Image
from autcar.commands import STOP, Command
from autcar.config import FollowSection
from autcar.safety import MS

Mask = npt.NDArray[np.uint8]

BACKGROUND, PERSON, HERO = range(3)
"""What a pixel of a mask may be."""

_TINTS = np.array([(0, 0, 0), (0, 200, 0), (30, 60, 255)], np.uint8)

# Shares of half the picture's width at which a turn begins and ends, light and medium.
_LIGHT, _MEDIUM = (0.20, 0.10), (0.50, 0.35)
_HOLD_TURN = (0.35, 0.15)
# Driving on begins below this share of the wanted size; below the second, fast.
_ON, _FAST = 0.93, 0.7
_TRIM = 0.02  # of the hero's pixels at each end, which may be specks
_SAME = 0.4  # of the hero's last height, which they must reach while they are not lost
_WAY = 0.4  # who stands within this share of half the width is in the way
_SEARCH_AFTER_MS, _SEARCH_FOR_MS = 1000.0, 7000.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one picture shows. ``pixels`` of the hero; the rest of the hero is 0 without any.

    ``bearing`` is −1 at the left edge of the picture, 1 at the right. ``size`` is the
    hero's height and ``blocked`` that of whoever else stands straight ahead, as shares of
    the picture's. ``sureness`` is the pilot's trust in the hero's pixels, 0…1.
    """

    pixels: int
    bearing: float = 0.0
    size: float = 0.0
    sureness: float = 1.0
    blocked: float = 0.0


def sight(mask: Mask, sureness: float = 1.0) -> Sighting:
    """What an H×W mask shows.

    The hero's middle is the median column and the height leaves out the outermost
    pixels: a few specks far off move neither.
    """
    height, width = mask.shape
    side = round(width * (1 - _WAY) / 2)
    blocked = _extent((mask[:, side : width - side] == PERSON).sum(axis=1)) / height
    found = mask == HERO
    rows, columns = found.sum(axis=1), found.sum(axis=0)
    pixels = int(rows.sum())
    if not pixels:
        return Sighting(0, blocked=blocked)
    middle = int(np.searchsorted(columns.cumsum(), pixels / 2))
    bearing = (middle + 0.5) / width * 2 - 1
    return Sighting(pixels, bearing, _extent(rows) / height, sureness, blocked)


def _extent(counts: npt.NDArray[np.integer]) -> int:
    """Over how many entries the counts spread, but for the outermost two per cent."""
    total = counts.cumsum()
    if not total[-1]:
        return 0
    trim = _TRIM * total[-1]
    first, last = np.searchsorted(total, (trim, total[-1] - trim), side="right")
    return int(min(last, len(counts) - 1) - first + 1)


def tinted(image: Image, mask: Mask) -> Image:
    """The picture with the hero in blue and others in green, where the mask has them."""
    rows = np.arange(image.shape[0]) * mask.shape[0] // image.shape[0]
    columns = np.arange(image.shape[1]) * mask.shape[1] // image.shape[1]
    each = np.asarray(_TINTS[mask[rows[:, None], columns]], np.uint8)
    return np.where(each.any(axis=2, keepdims=True), image // 2 + each // 2, image)


class Follower:
    """Decides what to do about one sighting after another. ``state`` says it in words."""

    def __init__(self, settings: FollowSection | None = None) -> None:
        self.settings = settings or FollowSection()
        self.state = "waiting for the hero"
        self._votes: deque[tuple[int, bool]] = deque()
        self._command = STOP
        self._lost_ns: int | None = None
        self._side: float | None = None
        self._size = 0.0
        self._turn = 0  # −2…2: medium right … medium left
        self._going = 0  # −1, 0, 1: back, hold, on
        self._fast = False

    @property
    def lost(self) -> bool:
        """Whether most of the newest pictures show no hero, or none came yet."""
        return 2 * sum(found for _, found in self._votes) <= len(self._votes)

    def decide(self, seen: Sighting, time_ns: int) -> Command:
        """What to do now, at the time of the picture."""
        # Nobody shrinks so from one picture to the next: that is a speck on somebody else.
        real = self.lost or seen.size >= self._size * _SAME
        found = real and seen.pixels >= self.settings.least_pixels
        self._votes.append((time_ns, found))
        while time_ns - self._votes[0][0] >= self.settings.lost_ms * MS:
            self._votes.popleft()
        if self.lost:
            self._command = self._without(seen, time_ns)
        elif found:
            self._lost_ns = None
            self._side, self._size = seen.bearing, seen.size
            self._command = self._follow(seen)
        elif self._in_the_way(seen) and sum(self._command.wheels) > 0:
            self._command, self.state = STOP, "somebody is in the way"
        # Else one picture among several that show the hero: go on as before.
        return self._command

    def _without(self, seen: Sighting, time_ns: int) -> Command:
        """The hero is lost: stop, and look round after a while where that is allowed."""
        self._turn, self._going, self._fast = 0, 0, False
        if self._lost_ns is None:
            self._lost_ns = time_ns
        lost_ms = (time_ns - self._lost_ns) / MS
        self.state = "waiting for the hero" if self._side is None else "hero lost"
        if self._side is None or not self.settings.search or self._in_the_way(seen):
            return STOP
        if seen.pixels >= self.settings.least_pixels:
            return STOP  # Perhaps the hero, and near: stand until the next pictures tell.
        if not _SEARCH_AFTER_MS <= lost_ms < _SEARCH_AFTER_MS + _SEARCH_FOR_MS:
            return STOP
        self.state = "looking for the hero"
        return Command("right" if self._side > 0 else "left", "medium", "forward")

    def _follow(self, seen: Sighting) -> Command:
        settings, size = self.settings, seen.size
        # Each of the two ends later than it began.
        back = settings.near if self._going >= 0 else (settings.near + settings.size) / 2
        on = settings.size if self._going > 0 else settings.size * _ON
        self._going = -1 if size >= back else 1 if size < on else 0
        barred = self._going > 0 and self._in_the_way(seen)
        if barred:
            self._going = 0
        near = self._going < 0
        if self._going <= 0:
            self.state = (
                "somebody is in the way" if barred else "too near" if near else "near enough"
            )
            return self._keep(near, seen.bearing)
        self.state = "following"
        self._turn = _quantise(-seen.bearing, self._turn, _LIGHT, _MEDIUM)
        fast_below = settings.size * (_FAST + 0.1 * self._fast)
        self._fast = not self._turn and size < fast_below
        if not self._turn:
            return Command("move", "fast" if self._fast else "medium", "forward")
        style = "light" if abs(self._turn) == 1 else "medium"
        return Command("left" if self._turn > 0 else "right", style, "forward")

    def _keep(self, near: bool, bearing: float) -> Command:
        """Come no nearer: back where the hero is too near, and turn to keep them in view."""
        self._fast = False
        if not self.settings.back:
            return STOP
        bounds = (_LIGHT, _MEDIUM) if near else (_HOLD_TURN, _HOLD_TURN)
        self._turn = _quantise(-bearing, self._turn, *bounds)
        if not self._turn:
            return Command("move", "medium", "backwards") if near else STOP
        # Backing with the wheels to the right swings the nose to the left.
        style = "light" if abs(self._turn) == 1 else "medium"
        return Command("right" if self._turn > 0 else "left", style, "backwards")

    def _in_the_way(self, seen: Sighting) -> bool:
        return seen.blocked >= self.settings.near


def _quantise(
    left: float, before: int, light: tuple[float, float], medium: tuple[float, float]
) -> int:
    """The turn −2…2 for a share to the left, where a turn that is on ends later than it began."""
    side = 1 if left > 0 else -1
    held = before * side
    strength = abs(left)
    if strength > medium[held >= 2]:
        return 2 * side
    return side if strength > light[held >= 1] else 0
