"""A bundle on its trial drives in the simulator, before it may leave for a car."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from autcar.bundle import Bundle, load_bundle
from autcar.config import CameraSection, Config
from autcar.safety import Gate
from autcar.vehicle import open_vehicle

TRACKS = ((1, 0.0), (2, 0.0), (3, 0.25), (4, 0.5), (5, 0.75), (6, 1.0))
"""Seed and difficulty of each: from an even floor and one light to varied looks and mountings."""

SECONDS = 20.0
"""Simulated, on each track: about two laps."""

NEEDED = 4
"""Tracks on which it must stay; so what learned from easy ones alone is not asked for more."""

SLOWEST_M_S = 0.1
"""A car that goes slower on average stands, or waits to be put right."""

AT_MOST_S = 60.0
"""Real seconds for one track, which takes 1 or 2: a pilot that needs more is none."""


@dataclass(frozen=True)
class Outcome:
    """How one drive ended; ``fault`` says why it does not count, None if it does."""

    seed: int
    difficulty: float
    fault: str | None


class _TooSlowError(Exception):
    pass


class _Watch:
    """Ends a drive that takes too long, and notes when the car first left its lane."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self._until = time.monotonic() + AT_MOST_S
        self.left_s: float | None = None

    def tell(self, tick: Any, rate: float) -> None:
        if time.monotonic() > self._until:
            raise _TooSlowError
        if self.left_s is None and self._world.off_track:
            self.left_s = self._world.time_ns / 1e9

    def end(self) -> None:
        pass


def drive_track(folder: str, seed: int, difficulty: float) -> Outcome:
    """Drive the bundle in ``folder`` once, faster than real time."""
    from edge.drive import drive_vehicle
    from edge.pilots import BundlePilot

    bundle = load_bundle(folder)
    manifest = bundle.manifest
    config = Config(camera=replace(CameraSection(), width=manifest.width, height=manifest.height))
    simulator = replace(config.simulator, seed=seed, difficulty=difficulty)
    with open_vehicle(replace(config, simulator=simulator), realtime=False) as vehicle:
        watch = _Watch(vehicle.world)
        try:
            run = drive_vehicle(vehicle, BundlePilot(bundle), Gate(config.safety), SECONDS, watch)
        except _TooSlowError:
            return Outcome(seed, difficulty, f"did not finish within {AT_MOST_S:g} s")
    fault = None
    if watch.left_s is not None:
        fault = f"left the lane after {watch.left_s:.1f} s"
    elif run.reason is not None:
        fault = f"stopped after {run.seconds:.1f} s: {run.reason.value}"
    elif run.score is None or run.score.distance < SLOWEST_M_S * SECONDS:
        fault = "stood still"
    return Outcome(seed, difficulty, fault)


def drive_tracks(folder: Path, cores: int | None = None) -> list[Outcome]:
    """Drive every track of :data:`TRACKS`, as many at once as there are cores."""
    workers = min(len(TRACKS), cores or os.cpu_count() or 1)
    # Started anew, as Windows and macOS do: a fork would share the threads of whoever calls.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(drive_track, str(folder), *track) for track in TRACKS]
        return [job.result() for job in jobs]


def objection(outcomes: Sequence[Outcome]) -> str | None:
    """Why these drives are not good enough, in one line; None when they are."""
    bad = [outcome for outcome in outcomes if outcome.fault]
    well = len(outcomes) - len(bad)
    if well >= NEEDED:
        return None
    faults = "; ".join(
        f"track {outcome.seed} (difficulty {outcome.difficulty:g}): {outcome.fault}"
        for outcome in bad
    )
    return (
        f"drove {well} of {len(outcomes)} simulated tracks well, {NEEDED} are needed: {faults}. "
        f"See one with `autcar drive --fast --seed {bad[0].seed} --map drive.png --bundle …`"
    )


def walk_behind_hero(bundle: Bundle) -> str | None:
    """Why a bundle that follows is not good enough on a simulated walk; None when it is."""
    from edge.follow_closed_loop import walk

    found = walk(bundle, TRACKS[0][0], SECONDS)
    if found.well:
        return None
    return (
        f"on a simulated walk of {SECONDS:g} s it kept its hero in view {found.in_view:.0%} of "
        f"the time and was {found.nearest_m:.1f} to {found.farthest_m:.1f} m away; leave this "
        f"check out for a hero who is not the simulator's"
    )
