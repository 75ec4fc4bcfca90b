"""Pictures whose label is a tuple: the colour of a shape, its size in per cent, and its form.

    python examples/two_heads/make_pictures.py FOLDER [--forms] [--each 100] [--seed 0]

Three folders come out, training/, validation/ and test/, each with a folder for every
tuple: blue_21 is a blue shape as wide as 21 % of the picture; with --forms, blue_21_ellipse
names its form too. Backgrounds, light, place and noise are drawn at random.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import cv2
import numpy as np

SIZE = 64
COLORS = {
    "blue": (30, 60, 220),
    "green": (30, 170, 60),
    "red": (215, 40, 40),
    "yellow": (235, 205, 40),
}
PERCENTAGES = tuple(range(7, 100, 7))
FORMS = ("ellipse", "rectangle", "triangle")
SHARES = {"training": 1.0, "validation": 0.25, "test": 0.25}


def picture(color: str, percentage: int, form: str, rng: np.random.Generator) -> np.ndarray:
    """One 64×64×3 RGB picture. Drawn four times as large, so that one per cent can be seen."""
    large = 4 * SIZE
    canvas = cv2.resize(_background(SIZE, rng), (large, large))
    extent = percentage / 100 * large
    room = (large - extent) / 2
    center = large / 2 + rng.uniform(-room, room, 2)
    tint = np.clip(np.array(COLORS[color]) + rng.integers(-15, 16, 3), 0, 255).tolist()
    if form == "ellipse":
        box = (center.tolist(), (extent, extent), 0.0)
        cv2.ellipse(canvas, box, tint, cv2.FILLED, cv2.LINE_AA)
    else:
        half = extent / 2
        corners = np.array([(-half, half), (half, half), (half, -half), (-half, -half)])
        if form == "triangle":
            corners = np.array([(-half, half), (half, half), (0, -half)])
        points = np.round((corners + center) * 16).astype(np.int32)
        cv2.fillPoly(canvas, [points], tint, cv2.LINE_AA, shift=4)
    small = cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32)
    small = small * rng.uniform(0.85, 1.1) + rng.normal(0, 3, small.shape)
    return np.asarray(small.clip(0, 255), np.uint8)


def _background(size: int, rng: np.random.Generator) -> np.ndarray:
    """A grey slope from one level to another in any direction, uint8 size×size×3."""
    start, end = rng.uniform(90, 235, 2)
    right, down = rng.normal(size=2)
    rows, columns = np.mgrid[0:size, 0:size] / (size - 1)
    slope = right * columns + down * rows
    slope = (slope - slope.min()) / max(np.ptp(slope), 1e-9)
    grey = start + (end - start) * slope
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def make(folder: Path, *, forms: bool, each: int, seed: int) -> int:
    """Write the three folders; returns how many pictures there are."""
    rng = np.random.default_rng(seed)
    written = 0
    for part, share in SHARES.items():
        for color, percentage in itertools.product(COLORS, PERCENTAGES):
            for form in FORMS if forms else FORMS[1:2]:
                name = f"{color}_{percentage}" + (f"_{form}" if forms else "")
                place = folder / part / name
                place.mkdir(parents=True, exist_ok=True)
                for number in range(max(1, round(each * share))):
                    image = picture(color, percentage, form, rng)
                    cv2.imwrite(str(place / f"{number:03d}.png"), image[..., ::-1])
                    written += 1
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="where the three folders go")
    parser.add_argument("--forms", action="store_true", help="three heads: name the form, too")
    parser.add_argument("--each", type=int, default=100, help="training pictures of a tuple (100)")
    parser.add_argument("--seed", type=int, default=0, help="the same gives the same pictures (0)")
    arguments = parser.parse_args()
    if arguments.folder.exists() and any(arguments.folder.iterdir()):
        sys.exit(f"{arguments.folder} is not empty; name a new folder")
    count = make(arguments.folder, forms=arguments.forms, each=arguments.each, seed=arguments.seed)
    print(f"{count:,} pictures in {arguments.folder}")


if __name__ == "__main__":
    main()
