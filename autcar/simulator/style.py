"""How a track and the room around it look: drawn at random, from demo-easy to hard."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]
"""Red, green, blue, 0…255."""

FLOORS = ("speckle", "concrete", "planks", "tiles")


@dataclass(frozen=True, slots=True)
class Style:
    """Everything about the picture that is not geometry.

    Grain, light and furniture grow from ``seed``. Lengths are metres, colours RGB
    0…255. ``light`` is the overall brightness, relative to 1, and ``warmth`` the
    tilt from blue (−) to red (+). ``gradient`` and ``shadows`` (a count) darken
    parts of the floor, ``vignette`` the corners of the image. ``noise`` is the
    sensor noise in grey levels, ``blur`` the lens blur in pixels, ``clutter`` how
    crowded the room is, 0…1.
    """

    seed: int = 0
    floor: str = "speckle"
    floor_colour: Colour = (150, 148, 144)
    contrast: float = 0.05
    left_colour: Colour = (245, 180, 20)
    right_colour: Colour = (20, 80, 220)
    bar_colour: Colour = (215, 20, 110)
    line_width: float = 0.03
    left_dash: float = 0.0
    right_dash: float = 0.0
    light: float = 1.0
    warmth: float = 0.0
    gradient: float = 0.1
    shadows: int = 0
    vignette: float = 0.1
    noise: float = 2.5
    blur: float = 0.0
    wall_colour: Colour = (200, 200, 195)
    clutter: float = 0.4

    @classmethod
    def random(cls, rng: np.random.Generator, difficulty: float = 0.0) -> Style:
        """Draw a style: ``difficulty`` 0 stays near a tidy living room, 1 goes far from it.

        Whatever the difficulty, the lines and the stop bar differ clearly in colour
        from the floor and from each other.
        """
        d = float(np.clip(difficulty, 0.0, 1.0))

        def between(easy: float, hard: float) -> float:
            """Draw evenly from ``easy`` ± a little at difficulty 0, towards ``hard`` at 1."""
            return float(easy + (hard - easy) * d * rng.random())

        def around(centre: float, easy: float, hard: float) -> float:
            return float(centre + rng.uniform(-1, 1) * (easy + (hard - easy) * d))

        floor = FLOORS[int(rng.integers(len(FLOORS))) if rng.random() < d else 0]
        while True:
            tint = rng.uniform(0, 0.08 + 0.4 * d)
            floor_colour = _hsv(rng.random(), tint, around(0.52, 0.16, 0.36))
            left_hue, right_hue = around(0.11, 0.015, 0.5), around(0.6, 0.02, 0.5)
            left_colour = _hsv(left_hue, around(0.85, 0.1, 0.2), around(0.9, 0.08, 0.3))
            right_colour = _hsv(right_hue, around(0.85, 0.1, 0.2), around(0.8, 0.1, 0.3))
            bar_colour = _hsv(around(0.92, 0.015, 0.03), 0.9, around(0.8, 0.08, 0.12))
            if _all_distinct(floor_colour, left_colour, right_colour, bar_colour):
                break
        return cls(
            seed=int(rng.integers(1 << 32)),
            floor=floor,
            floor_colour=floor_colour,
            contrast=between(0.04, 0.14),
            left_colour=left_colour,
            right_colour=right_colour,
            bar_colour=bar_colour,
            line_width=around(0.03, 0.004, 0.01),
            left_dash=float(rng.uniform(0.1, 0.25)) if rng.random() < 0.4 * d else 0.0,
            right_dash=float(rng.uniform(0.1, 0.25)) if rng.random() < 0.4 * d else 0.0,
            light=around(1.0, 0.06, 0.35),
            warmth=around(0.0, 0.02, 0.15),
            gradient=between(0.08, 0.5),
            shadows=int(rng.integers(0, 1 + round(5 * d))),
            vignette=between(0.08, 0.35),
            noise=between(2.0, 9.0),
            blur=max(0.0, between(0.0, 1.4) - 0.2),
            wall_colour=_hsv(rng.random(), rng.uniform(0, 0.1 + 0.4 * d), around(0.72, 0.1, 0.25)),
            clutter=between(0.3, 1.0),
        )


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(saturation, 1.0), min(value, 1.0))
    return (round(255 * red), round(255 * green), round(255 * blue))


def _all_distinct(*colours: Colour, least: float = 105.0) -> bool:
    """Whether each two colours are far apart, as RGB distance."""
    table = np.array(colours, np.float64)
    apart = np.linalg.norm(table[:, None] - table[None], axis=2)
    return bool((apart + 1e3 * np.eye(len(table)) >= least).all())
