"""Pictures of simulated people with their masks, to train a network that finds the hero.

Written as Udacity's Follow Me has them: ``images`` and ``masks``, in a mask red for the
background, green for people and blue for the hero.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from autcar.errors import DataError
from autcar.images import encode_jpeg, write_png
from autcar.simulator.people_world import Mask, PeopleWorld, Scene, looking_up
from autcar.simulator.render import Image

COLOURS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255)], np.uint8)
"""RGB in a mask, by class: background, people, hero."""

PARTS = {"training": 0.8, "validation": 0.1, "test": 0.1}
"""The folders, and their share of the pairs. No scene is in two of them."""

QUALITY = 92
VIEWS = 20
"""Pictures of one scene."""

_NEAR_M, _FAR_M = 0.9, 6.0
_ASIDE = math.radians(48)  # a little beyond the edge of the picture
_AWAY = 0.25  # of the pictures have no hero on the floor


def make_follow_pictures(
    folder: str | Path,
    pairs: int,
    *,
    seed: int = 0,
    size: tuple[int, int] = (128, 96),
    difficulty: float = 0.5,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write ``pairs`` pictures of ``size`` (width, height) with their masks; returns how many.

    ``folder`` must not be there: it appears when it is whole. Scenes vary from tidy rooms
    to ``difficulty``. Raises :class:`DataError` for a folder that is there, and for fewer
    pairs than give each part one.
    """
    folder = Path(folder)
    if folder.exists():
        raise DataError(f"{folder} is there; name a new folder, or delete it first")
    counts = {part: round(pairs * share) for part, share in PARTS.items()}
    if min(counts.values()) < 1:
        raise DataError(f"{pairs} pairs leave a part empty; ask for 10 or more")
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    done = 0
    try:
        for number, (part, count) in enumerate(counts.items()):
            (new / part / "images").mkdir(parents=True)
            views = _views(np.random.SeedSequence([seed, number]), size, difficulty)
            for at, (image, mask) in zip(range(count), views, strict=False):
                name = f"{part}_{at:05d}"
                (new / part / "images" / f"{name}.jpeg").write_bytes(encode_jpeg(image, QUALITY))
                write_png(new / part / "masks" / f"{name}.png", COLOURS[mask])
                done += 1
                if progress:
                    progress(done, sum(counts.values()))
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return done


def _views(
    seeds: np.random.SeedSequence, size: tuple[int, int], difficulty: float
) -> Iterator[tuple[Image, Mask]]:
    """Scene after scene, ``VIEWS`` of each: the hero near and far, aside, hidden and away."""
    rng = np.random.default_rng(seeds)
    while True:
        mount = looking_up(*size, pitch_deg=15.0 + float(rng.uniform(-4, 4)) * difficulty)
        scene = Scene(
            others=int(rng.integers(0, 11)),
            pillars=int(rng.integers(0, 4)),
            difficulty=difficulty * float(rng.random()),
        )
        world = PeopleWorld(
            int(rng.integers(1 << 31)),
            scene,
            mount=replace(mount, above_m=mount.above_m * float(rng.uniform(0.9, 1.2))),
        )
        for _ in range(VIEWS):
            # So far from where the car stands that nobody walks round it.
            world.put(50.0, 50.0, 0.0)
            world.show_hero()
            world.step(float(rng.uniform(1.0, 4.0)))
            away = _NEAR_M * (_FAR_M / _NEAR_M) ** float(rng.random())
            angle, aside = rng.uniform(-math.pi, math.pi), rng.uniform(-_ASIDE, _ASIDE)
            x, y = world.hero.x - away * math.cos(angle), world.hero.y - away * math.sin(angle)
            world.put(x, y, float(angle + aside))
            if rng.random() < _AWAY:
                world.hide_hero()
            yield world.render(), world.mask()
