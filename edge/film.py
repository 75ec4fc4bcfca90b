"""A simulated drive as a short film: the track from above beside what the car sees."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np

from autcar.cameras.base import Image
from autcar.commands import LABELS
from autcar.errors import ConfigError, RuntimeMissingError
from autcar.simulator.draw import world_map
from autcar.simulator.score import Pose
from autcar.vehicle import Vehicle
from edge.follower import tinted
from edge.loop import Tick

FRAMES_A_SECOND = 10
MOST_FRAMES = 400
QUALITY = 55
_WAY, _GROUND, _TEXT, _BAR = (0, 158, 115), (24, 28, 34), (240, 243, 246), (86, 180, 233)
_SIZE = (360, 270)
_STRIP = 34
_FONT = cv2.FONT_HERSHEY_SIMPLEX


class Film:
    """Gathers pictures while a simulated car drives and writes them as an animated WebP."""

    def __init__(self, vehicle: Vehicle, path: Path) -> None:
        if vehicle.world is None:
            raise ConfigError("--film shows the simulated car; this is a real car")
        if path.suffix.lower() != ".webp":
            raise ConfigError(f"--film {path}: expected a name that ends in .webp")
        if not hasattr(cv2, "imwriteanimation"):
            raise RuntimeMissingError(
                f"OpenCV {cv2.__version__} writes no films; "
                f"pip install 'opencv-python-headless>=4.11'"
            )
        self._world = vehicle.world
        self._path = path
        self._frames: list[Image] = []
        self._line: list[Pose] = []
        self._next_ns = 0

    def see(self, tick: Tick) -> None:
        """Take a picture where it is time for the next one."""
        world = self._world
        self._line.append((world.x, world.y, world.heading))
        due = world.time_ns >= self._next_ns and len(self._frames) < MOST_FRAMES
        if tick.frame is None or not due:
            return
        self._next_ns = world.time_ns + 1_000_000_000 // FRAMES_A_SECOND
        # Newest pose first: the arrow stands where the line begins.
        above = world_map(world, self._line[::-1], _WAY, _SIZE)
        image = tick.frame.image if tick.mask is None else tinted(tick.frame.image, tick.mask)
        seen = cv2.resize(image, _SIZE, interpolation=cv2.INTER_CUBIC)
        picture = np.hstack([above, np.asarray(seen, np.uint8)])
        self._frames.append(np.vstack([picture, _strip(tick, picture.shape[1])]))

    def write(self) -> str:
        """Write the file, whole or not at all; returns what there is to say."""
        if not self._frames:
            return "no frame came: no film"
        animation = cv2.Animation()
        animation.frames = [cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in self._frames]
        animation.durations = [1000 // FRAMES_A_SECOND] * len(self._frames)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f".{time.monotonic_ns()}.{self._path.name}")
        try:
            cv2.imwriteanimation(str(part), animation, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
            part.replace(self._path)
        finally:
            part.unlink(missing_ok=True)
        return f"film of {len(self._frames) / FRAMES_A_SECOND:.0f} s: {self._path}"


def _strip(tick: Tick, width: int) -> Image:
    """The line below: what the pilot says, and how sure it is of it."""
    strip = np.full((_STRIP, width, 3), _GROUND, np.uint8)
    verdict = tick.verdict
    if verdict.command is None:
        said = f"at rest: {verdict.reason.value}" if verdict.reason else "at rest"
    else:
        said = tick.remark or LABELS[verdict.command].replace("_", " ")
        left, right, middle = width - 200, width - 62, _STRIP // 2
        end = left + round((right - left) * verdict.confidence)
        cv2.rectangle(strip, (left, middle - 6), (right, middle + 6), (60, 66, 74), -1)
        cv2.rectangle(strip, (left, middle - 6), (end, middle + 6), _BAR, -1)
        _write(strip, f"{verdict.confidence:4.0%}", right + 8)
    _write(strip, said, 12)
    return strip


def _write(strip: Image, text: str, x: int) -> None:
    cv2.putText(strip, text, (x, _STRIP // 2 + 6), _FONT, 0.52, _TEXT, 1, cv2.LINE_AA)
