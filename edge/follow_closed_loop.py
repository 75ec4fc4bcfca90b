"""Walks of the simulated hero with a bundle behind them: the proof of a follow bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from autcar.bundle import Bundle
from autcar.config import CameraSection, Config, FollowSection
from autcar.safety import Gate, Reason
from autcar.simulator.follow_score import FollowScore
from autcar.simulator.people_world import PeopleWorld
from autcar.vehicle import open_vehicle
from edge.drive import StatusLine, drive_vehicle
from edge.follow_pilot import BundleEyes, FollowPilot, knowing
from edge.loop import Tick

IN_VIEW, NEAREST_M, REST_MS = 0.95, 1.5, 500.0
"""What is promised: the share of the time in view, the distance, and the time until rest."""

FARTHEST_M = 6.0
"""A car that is farther away than this does not follow, though it may see its hero."""

HIDE_EVERY_S, HIDDEN_S = 8.0, 2.0


@dataclass(frozen=True)
class Walk:
    """What came of one walk.

    ``in_view`` is a share of the time, ``rest_ms`` the times from each hiding of the hero
    until the wheels were told to rest.
    """

    seed: int
    seconds: float
    in_view: float
    nearest_m: float
    farthest_m: float
    hero_m: float
    car_m: float
    bumps: int
    stopped: str | None
    rest_ms: tuple[float, ...]

    @property
    def well(self) -> bool:
        """Whether the hero was in view unless hidden, not too near or far, and rest came soon."""
        return (
            self.stopped is None
            and (self.in_view >= IN_VIEW or bool(self.rest_ms))
            and self.nearest_m >= NEAREST_M
            and self.farthest_m <= FARTHEST_M
            and max(self.rest_ms, default=0.0) <= REST_MS
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)


def walk(
    bundle: Bundle | None,
    seed: int,
    seconds: float = 60.0,
    *,
    variant: str | None = None,
    hide: bool = False,
    difficulty: float = 0.0,
    settings: FollowSection | None = None,
) -> Walk:
    """Let a bundle (None: eyes that know the truth) follow the hero of walk ``seed``.

    With ``hide`` the hero is taken off the floor every few seconds while the wheels turn,
    and comes back. Faster than real time, through pilot, gate and motors as a car drives.
    """
    manifest = bundle.manifest if bundle else None
    size = (manifest.width, manifest.height) if manifest else (128, 96)
    config = Config(camera=replace(CameraSection(), width=size[0], height=size[1]))
    config = replace(
        config,
        simulator=replace(config.simulator, seed=seed, world="people", difficulty=difficulty),
        follow=settings or config.follow,
    )
    with open_vehicle(config, realtime=False) as vehicle:
        world = vehicle.world
        assert isinstance(world, PeopleWorld)
        if bundle:
            eyes = BundleEyes(bundle, variant)
            pilot = FollowPilot(eyes, eyes.labels, config.follow)
        else:
            pilot = knowing(world, config.follow)
        status = _Hider(world) if hide else None
        run = drive_vehicle(vehicle, pilot, Gate(config.safety), seconds, status)
    score = run.score
    assert isinstance(score, FollowScore)
    return _result(seed, score, run.reason, status.rest_ms if status else [])


def _result(seed: int, score: FollowScore, reason: Reason | None, rest_ms: list[float]) -> Walk:
    return Walk(
        seed=seed,
        seconds=round(score.seconds, 2),
        in_view=round(score.in_view, 4),
        nearest_m=round(score.nearest, 3),
        farthest_m=round(score.farthest, 3),
        hero_m=round(score.hero_distance, 2),
        car_m=round(score.distance, 2),
        bumps=score.failures,
        stopped=reason.value if reason else None,
        rest_ms=tuple(round(ms, 1) for ms in rest_ms),
    )


class _Hider(StatusLine):
    """Hides the hero now and then, and times how long the wheels go on."""

    def __init__(self, world: PeopleWorld) -> None:
        super().__init__()
        self._world = world
        self._hidden_ns: int | None = None
        self._next_ns = round(HIDE_EVERY_S * 1e9)
        self._timing = False
        self.rest_ms: list[float] = []

    def tell(self, tick: Tick, rate: float) -> None:
        """Look at the wheels after a turn of the loop."""
        world, now_ns = self._world, self._world.time_ns
        moving = (tick.verdict.left, tick.verdict.right) != (0.0, 0.0)
        if self._hidden_ns is None:
            if moving and now_ns >= self._next_ns:
                world.hide_hero()
                self._hidden_ns, self._timing = now_ns, True
            return
        passed_ms = (now_ns - self._hidden_ns) / 1e6
        if self._timing and not moving:
            self.rest_ms.append(passed_ms)
            self._timing = False
        if passed_ms >= HIDDEN_S * 1e3:
            if self._timing:
                self.rest_ms.append(passed_ms)
            world.show_hero()
            self._hidden_ns, self._timing = None, False
            self._next_ns = now_ns + round(HIDE_EVERY_S * 1e9)
