"""How fast the simulator is on one core: frames, physics, decisions, and the road to them.

    python benchmarks/simulator.py [--quick]

Prints a table and one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from autcar.simulator.expert import Expert
from autcar.simulator.paint import paint
from autcar.simulator.scenarios import record_plan
from autcar.simulator.track import Track
from autcar.simulator.world import World

QUICK = "--quick" in sys.argv[1:]
"""A fiftieth of the calls: to see that it runs, not how fast."""


def per_second(action: Callable[[], object], repeats: int, rounds: int = 5) -> float:
    """Calls per second of CPU time, the best of some rounds."""
    if QUICK:
        repeats, rounds = -(-repeats // 50), 1
    action()
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        for _ in range(repeats):
            action()
        best = min(best, time.process_time() - begin)
    return repeats / best


def main() -> None:
    """Measure and print."""
    cv2.setNumThreads(1)
    results: dict[str, float] = {}
    for difficulty in (0.0, 1.0):
        world = World(Track.generate(3, difficulty))
        expert = Expert(world)

        def drive(world: World = world, expert: Expert = expert) -> None:
            world.set_wheels(*expert.decide().wheels)
            world.step(0.05)

        def drive_and_look(world: World = world, go: Callable[[], None] = drive) -> None:
            go()
            world.render()

        at = f"difficulty {difficulty:g}"
        results[f"frames/s, {at}"] = per_second(world.render, 400)
        results[f"driven frames/s, {at}"] = per_second(drive_and_look, 400)
        results[f"physics steps of 50 ms/s, {at}"] = per_second(lambda w=world: w.step(0.05), 2000)
        results[f"expert steps/s, {at}"] = per_second(drive, 1000)
        results[f"tracks generated/s, {at}"] = per_second(
            lambda d=difficulty: Track.generate(3, d), 5
        )
        tracks = iter([Track.generate(seed, difficulty) for seed in range(2 if QUICK else 10)])
        results[f"tracks painted/s, {at}"] = per_second(
            lambda tracks=tracks: paint(next(tracks)), 3, 3
        )
        begin = time.process_time()
        frames = sum(1 for _ in record_plan(0, 20 if QUICK else 1000, difficulty=difficulty))
        results[f"recorded frames/s, {at}"] = frames / (time.process_time() - begin)
    for name, value in results.items():
        print(f"{name:44s}{value:12,.0f}")
    for name, value in stages().items():
        print(f"{'µs a frame, ' + name:44s}{value:12,.0f}")
        results[f"µs a frame, {name}"] = value
    print(json.dumps({name: round(value, 1) for name, value in results.items()}))


def stages() -> dict[str, float]:
    """Where the time of one frame goes, in µs."""
    world = World(Track.generate(3))
    renderer = world.renderer
    blank = np.zeros((world.mount.height, world.mount.width, 3), np.uint8)
    whole = 1e6 / per_second(world.render, 400)
    room = 1e6 / per_second(lambda: renderer._draw_room(blank, world.heading), 400)
    sensor = 1e6 / per_second(lambda: renderer.expose(blank, 0), 400)
    return {"floor": whole - room - sensor, "room": room, "sensor": sensor, "in all": whole}


if __name__ == "__main__":
    main()
