"""Varied situations for recordings, with what the expert does in each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from autcar.cameras.base import Frame
from autcar.commands import Command
from autcar.simulator.expert import PARKING_M, Expert
from autcar.simulator.track import Track
from autcar.simulator.world import CameraMount, Car, World

PAUSE_S = 2.0
"""Between two situations the clock of the frames jumps by this much."""

_SIDES = (-1.0, 1.0)


def record_plan(
    seed: int,
    frames: int,
    *,
    difficulty: float = 0.0,
    mount: CameraMount | None = None,
    fps: float = 20.0,
) -> Iterator[tuple[Frame, Command]]:
    """Drive ``frames`` frames of varied situations and give each with its command.

    Round after round on fresh tracks, both ways: driving on over an uneven floor,
    starts off the middle, starts askew and with the nose over a border, parkings
    and overshot parkings. All 12 commands occur in every round of about 500
    frames. From ``difficulty`` 0 to 1, pictures, tracks and the camera's mounting
    vary more. Same arguments, same frames and commands.
    """
    count, time_ns = 0, 0
    for number in range(frames):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
        way = _SIDES[(seed + number) % 2]
        for world, start, length in _round(rng, difficulty, mount or CameraMount(), way):
            world.place(*start)
            expert = Expert(world)
            for _ in range(length):
                if count == frames:
                    return
                command = expert.decide()
                yield Frame(world.render(), count, time_ns), command
                world.set_wheels(*command.wheels)
                world.step(1.0 / fps)
                count += 1
                time_ns += round(1e9 / fps)
            time_ns += round(PAUSE_S * 1e9)


Situation = tuple[World, tuple[float, float, float], int]
"""A world, where the car starts (s, lateral, heading error), and for how many frames."""


def _round(
    rng: np.random.Generator, difficulty: float, mount: CameraMount, way: float
) -> list[Situation]:
    """Each situation once, in random order; round to the left for ``way`` > 0."""
    track = Track.generate(int(rng.integers(1 << 32)), difficulty)
    if track.curvatures.sum() * way < 0:
        track = track.reversed()
    # Nobody screws a camera on twice the same way.
    mount = replace(
        mount,
        above_m=mount.above_m * float(1 + rng.uniform(-0.1, 0.1) * difficulty),
        pitch_deg=mount.pitch_deg + float(rng.uniform(-2.5, 2.5) * difficulty),
    )
    car = Car(imbalance=float(rng.uniform(-0.06, 0.06)))
    bar = float(rng.uniform(0, track.length))

    def world(on: Track, disturbance: float) -> World:
        bumps = int(rng.integers(1 << 32))
        return World(on, car=car, mount=mount, seed=bumps, disturbance=disturbance)

    def somewhere() -> float:
        return float(rng.uniform(0, track.length))

    def before_bar(gap: float) -> float:
        return bar - car.nose - gap

    uneven, even = world(track, float(rng.uniform(0.4, 1.4))), world(track, 0.3)
    barred = world(track.with_stop_line(bar), 0.3)
    half = track.width / 2

    def start(reach: float, turn: float) -> tuple[float, float, float]:
        return somewhere(), float(rng.uniform(-reach, reach)), float(rng.uniform(-turn, turn))

    situations: list[Situation] = [
        (uneven, start(0.05, 0.2), int(rng.integers(110, 160))),
        (uneven, start(0.05, 0.2), int(rng.integers(80, 120))),
    ]
    for side in _SIDES:
        # Off the middle and turned further off it, yet still to be mended forwards.
        lateral, turn = rng.uniform(0.06, 0.12), rng.uniform(0.2, 0.55)
        situations.append((even, (somewhere(), side * lateral, side * turn), 22))
        # Askew: the border crosses the view. Never so near that it passes below the view.
        for low, high, near in ((52, 68, 0.08), (68, 84, 0.02)):
            lateral, turn = rng.uniform(-0.06, near), math.radians(rng.uniform(low, high))
            situations.append((even, (somewhere(), side * lateral, side * turn), 22))
        # The nose over the border, at a small and at a large angle.
        for low, high in ((14, 26), (30, 38)):
            turn = math.radians(rng.uniform(low, high))
            lateral = half + rng.uniform(0.0, 0.03) - car.nose * math.sin(turn)
            situations.append((even, (somewhere(), side * lateral, side * turn), 18))
    parking = (before_bar(float(rng.uniform(0.4, 1.0))), *start(0.06, 0.2)[1:])
    overshot = (before_bar(float(rng.uniform(0.06, PARKING_M[0]))), *start(0.04, 0.12)[1:])
    situations += [(barred, parking, 50), (barred, overshot, 22)]
    return [situations[i] for i in rng.permutation(len(situations))]
