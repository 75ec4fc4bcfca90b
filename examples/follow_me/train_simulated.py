"""Trains the shipped bundle that follows the simulator's hero, and proves it on walks.

    python examples/follow_me/train_simulated.py [FOLDER]

4,000 pictures of simulated people with their masks, a small network that gives each
pixel's class, and then minutes of walks behind a hero whom it never saw walk there.
A quarter of an hour on two cores. FOLDER is the bundle's, models/follow unless given.
"""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from autcar.bundle import Bundle, add_proof, load_bundle
from autcar.progress import terminal_progress
from edge.follow_closed_loop import IN_VIEW, NEAREST_M, REST_MS, Walk, walk

PAIRS, EPOCHS = 4000, 12
WALKS, HIDES, HARD = range(201, 207), range(301, 306), range(401, 404)
WORKERS = os.cpu_count() or 1
SECONDS, HIDE_SECONDS = 60.0, 30.0


def train(folder: Path) -> None:
    from autcar.simulator.follow_pictures import make_follow_pictures
    from trainer.quiet import import_tensorflow

    import_tensorflow()
    from trainer.follow.pipeline import SCHEDULE, FollowSettings, train_follow

    progress = terminal_progress()
    with tempfile.TemporaryDirectory() as scratch:
        people = Path(scratch) / "people"
        make_follow_pictures(
            people,
            PAIRS,
            progress=lambda done, total: progress.step("drawing people", done, total),
        )
        schedule = replace(SCHEDULE, epochs=EPOCHS)
        train_follow(
            FollowSettings(data=(people,), output=folder, schedule=schedule, runs=None), progress
        )


def prove(bundle: Bundle) -> bool:
    """Follow hero after hero, write what came of it into the bundle; whether all went well."""
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        first = [pool.submit(walk, bundle, seed, SECONDS) for seed in WALKS]
        second = [pool.submit(walk, bundle, seed, HIDE_SECONDS, hide=True) for seed in HIDES]
        third = [pool.submit(walk, bundle, seed, HIDE_SECONDS, difficulty=0.5) for seed in HARD]
        walks, hides, hard = (
            [told(one.result()) for one in group] for group in (first, second, third)
        )
    rest_ms = [ms for one in hides for ms in one.rest_ms]
    figures = {
        "in_view": min(one.in_view for one in walks),
        "nearest_m": min(one.nearest_m for one in [*walks, *hides, *hard]),
        "rest_ms": max(rest_ms),
        "in_view_hard": min((one.in_view for one in hard), default=None),
        "walks": [one.as_dict() for one in walks],
        "hides": [one.as_dict() for one in hides],
        "hard": [one.as_dict() for one in hard],
    }
    add_proof(bundle, "Walks", card(walks, hides, hard), {"follow": figures})
    return all(one.well for one in [*walks, *hides]) and bool(rest_ms)


def told(one: Walk) -> Walk:
    rests = f", at rest after {max(one.rest_ms):.0f} ms" if one.rest_ms else ""
    print(
        f"walk {one.seed}: in view {one.in_view:.1%}, nearest {one.nearest_m:.2f} m, "
        f"{one.bumps} bumps{rests}",
        flush=True,
    )
    return one


def card(walks: list[Walk], hides: list[Walk], hard: list[Walk]) -> str:
    rows = [
        f"| {one.seed} | {one.seconds:.0f} | {one.hero_m:.1f} | {one.in_view:.1%} | "
        f"{one.nearest_m:.2f} | {one.farthest_m:.2f} | {one.bumps} |"
        for one in walks
    ]
    rest_ms = [ms for one in hides for ms in one.rest_ms]
    return "\n".join(
        [
            f"Behind the simulator's hero among six others, through pilot, gate and motors, with "
            f"`[follow]` as it comes. Promised: in view {IN_VIEW:.0%} of the time, never nearer "
            f"than {NEAREST_M:g} m, at rest {REST_MS:.0f} ms after the hero is hidden.",
            "",
            "| walk | seconds | hero walked, m | in view | nearest, m | farthest, m | bumps |",
            "| --: | --: | --: | --: | --: | --: | --: |",
            *rows,
            "",
            f"Hidden {len(rest_ms)} times while the wheels turned, at rest after at most "
            f"{max(rest_ms):.0f} ms; nearest {min(one.nearest_m for one in hides):.2f} m, "
            f"{sum(one.bumps for one in hides)} bumps.",
            "",
            *_hard(hard),
            "A bump is with anybody, mostly while backing off from the hero: the car does not see "
            "behind itself. It sees people only: no walls, pillars or stairs.",
        ]
    )


def _hard(walks: list[Walk]) -> list[str]:
    if not walks:
        return []
    nearest = min(one.nearest_m for one in walks)
    return [
        f"In {len(walks)} rooms of difficulty 0.5, {HIDE_SECONDS:.0f} s each: in view at least "
        f"{min(one.in_view for one in walks):.1%}, nearest {nearest:.2f} m, "
        f"{sum(one.bumps for one in walks)} bumps.",
        "",
    ]


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("models/follow")
    train(folder)
    well = prove(load_bundle(folder))
    print(f"bundle {folder}: " + ("proven" if well else "it does not keep what is promised"))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
