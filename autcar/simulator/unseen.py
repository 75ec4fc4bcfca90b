"""How far a pilot drives between failures, on simulated tracks that it never saw.

A frame at a time a network may err without harm, or never err and still drift off:
only driving tells. Each track is driven until the first failure, or for its whole
time: leaving it, standing for three seconds, or a stop by the gate. So no single track
counts for more than one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autcar.cameras.base import Frame
from autcar.config import Config
from autcar.frame_statistics import look
from autcar.progress import Progress
from autcar.safety import Gate
from autcar.simulator.mount import CameraMount
from autcar.simulator.score import Pose, Score
from autcar.simulator.track import Track
from autcar.simulator.world import Car, World

_FIRST_SEED = 90_000
_STANDING_S, _STANDING_M = 3.0, 0.05

Answer = Callable[[Frame], Sequence[float]]
"""A pilot's 12 scores for a frame."""


@dataclass(frozen=True)
class UnseenDrive:
    """One track: simulated seconds, metres along the lane, and the way that was driven.

    ``failure`` is ``"left track"``, ``"stood"``, ``"stopped"``, or empty for none.
    """

    track: Track
    seconds: float
    metres: float
    failure: str
    line: Sequence[Pose]


@dataclass(frozen=True)
class Measure:
    """All tracks together: simulated seconds, metres along the lane, failures by kind."""

    seconds: float
    metres: float
    left_track: int
    stood: int
    stopped: int
    clean_tracks: int
    tracks: int

    @classmethod
    def of(cls, drives: Sequence[UnseenDrive]) -> Measure:
        """The sum of ``drives``."""
        kinds = Counter(drive.failure for drive in drives)
        return cls(
            round(sum(drive.seconds for drive in drives), 2),
            round(sum(drive.metres for drive in drives), 2),
            kinds["left track"],
            kinds["stood"],
            kinds["stopped"],
            kinds[""],
            len(drives),
        )

    @property
    def failures(self) -> int:
        """All three kinds together."""
        return self.left_track + self.stood + self.stopped

    @property
    def metres_between(self) -> float:
        """Metres for each failure; all metres when there was none."""
        return self.metres / max(self.failures, 1)

    def __str__(self) -> str:
        none = "≥ " if self.failures == 0 else ""
        return (
            f"{self.tracks} unseen tracks: {none}{self.metres_between:.1f} m between failures "
            f"({self.metres:.0f} m; left {self.left_track}, stood on {self.stood}, stopped by the "
            f"gate on {self.stopped}), {self.clean_tracks} driven without one"
        )


def drive_unseen(
    config: Config,
    answer: Answer,
    *,
    tracks: int,
    seconds: float,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[UnseenDrive]:
    """Drive ``tracks`` tracks of the config's difficulty for ``seconds`` each, through the gate.

    The same ``seed`` gives the same tracks, to be driven by another pilot, too.
    """
    drives = []
    for number in range(tracks):
        drives.append(_drive(config, answer, _FIRST_SEED + seed * 1000 + number, seconds))
        if progress:
            progress.step("driving unseen tracks", number + 1, tracks)
    return drives


def _drive(config: Config, answer: Answer, seed: int, seconds: float) -> UnseenDrive:
    world = varied_world(config, seed)
    score, gate, standing = Score(world), Gate(config.safety), Standing(world)
    gate.arm(world.time_ns, world.time_ns)
    failure = ""
    for number in range(round(seconds * config.camera.fps)):
        now_ns = world.time_ns
        frame = Frame(world.render(), number, now_ns)
        verdict = gate.decide(now_ns, look(frame), answer(frame))
        world.set_wheels(verdict.left, verdict.right)
        world.step(1 / config.camera.fps)
        score.update()
        standing.update()
        if world.off_track:
            failure = "left track"
        elif verdict.reason is not None:
            failure = "stopped"
        elif standing.seconds > _STANDING_S:
            failure = "stood"
        if failure:
            break
    return UnseenDrive(world.track, score.seconds, score.distance, failure, score.line)


class Standing:
    """For how long a car has stood, or only trembled."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._place = (world.x, world.y)
        self._since_ns = world.time_ns

    def update(self) -> None:
        """Look where the car is now."""
        world = self._world
        if math.dist(self._place, (world.x, world.y)) > _STANDING_M:
            self._place, self._since_ns = (world.x, world.y), world.time_ns

    @property
    def seconds(self) -> float:
        """Seconds since it was elsewhere."""
        return (self._world.time_ns - self._since_ns) / 1e9


def varied_world(config: Config, seed: int) -> World:
    """The track of ``seed`` at the config's difficulty, uneven, with a car of its own."""
    difficulty = config.simulator.difficulty
    rng = np.random.default_rng(seed)
    mount = CameraMount(width=config.camera.width, height=config.camera.height)
    mount = replace(
        mount,
        above_m=mount.above_m * float(1 + rng.uniform(-0.1, 0.1) * difficulty),
        pitch_deg=mount.pitch_deg + float(rng.uniform(-2.5, 2.5) * difficulty),
    )
    track = Track.generate(seed, difficulty)
    car = Car(imbalance=float(rng.uniform(-0.06, 0.06)))
    disturbance = float(rng.uniform(0.3, 1.0))
    world = World(track, car=car, mount=mount, seed=seed, disturbance=disturbance)
    world.place(float(rng.uniform(0, track.length)))
    return world
