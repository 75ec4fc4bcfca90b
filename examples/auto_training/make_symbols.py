"""Hand-like symbols: a palm with five fingers, each stretched or bent, pointing up or aside.

    python examples/auto_training/make_symbols.py FOLDER [--each 20] [--seed 0]

FOLDER/CLASS/WRITER/NUMBER.png, 64×64: 2⁵ hands in two directions make 64 classes, named
as up_01100 (thumb first, 1 is stretched). Every writer has an ink, a pen, a paper and
proportions of his own; slant, size and place are drawn for each symbol. Neighbouring
classes differ by one finger.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

SIZE = 64
DIRECTIONS = {"up": 0.0, "side": 90.0}
ANGLES = (-68.0, -27.0, -6.0, 15.0, 38.0)
"""Where each finger points, in degrees from the hand's own direction, thumb first."""
LENGTHS = (0.80, 0.98, 1.08, 1.00, 0.84)
_SCALE = 4


@dataclass(frozen=True)
class Writer:
    """How one writer draws. Levels are grey, lengths shares of the hand's."""

    ink: float
    paper: float
    pen: float
    palm: float
    filled: bool
    spread: float
    bent: float
    blots: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Writer:
        """Someone new."""
        ink, paper = rng.uniform(10, 80), rng.uniform(160, 245)
        if rng.random() < 0.3:
            ink, paper = paper, ink
        return cls(
            ink=float(ink),
            paper=float(paper),
            pen=float(rng.uniform(2.2, 4.2)),
            palm=float(rng.uniform(0.40, 0.50)),
            filled=bool(rng.random() < 0.6),
            spread=float(rng.uniform(0.9, 1.15)),
            bent=float(rng.uniform(0.55, 0.64)),
            blots=int(rng.integers(0, 5)),
        )


def symbol(
    writer: Writer, fingers: tuple[int, ...], direction: float, rng: np.random.Generator
) -> np.ndarray:
    """One 64×64×3 RGB picture. Drawn four times as large, for smooth lines."""
    large = _SCALE * SIZE
    canvas = np.full((large, large), writer.paper, np.uint8)
    for _ in range(writer.blots):
        spot = rng.integers(0, large, 2).tolist()
        level = writer.paper + rng.uniform(-35, 35)
        cv2.circle(canvas, spot, int(rng.integers(8, 60)), level, cv2.FILLED, cv2.LINE_AA)
    hand = rng.uniform(0.34, 0.44) * large
    center = large / 2 + rng.uniform(-0.07, 0.07, 2) * large
    slant = direction + rng.normal(0, 9)
    pen = max(2, round(writer.pen * _SCALE))
    palm = writer.palm * hand
    for angle, length, stretched in zip(ANGLES, LENGTHS, fingers, strict=True):
        turn = math.radians(slant + angle * writer.spread + rng.normal(0, 2.5))
        along = np.array([math.sin(turn), -math.cos(turn)])
        reach = hand * length * rng.uniform(0.95, 1.05) * (1.0 if stretched else writer.bent)
        start, end = center + along * palm * 0.9, center + along * reach
        line = [tuple(np.round(point).astype(int).tolist()) for point in (start, end)]
        cv2.line(canvas, *line, writer.ink, pen, cv2.LINE_AA)
    axes = (2 * palm, 1.8 * palm)
    thickness = cv2.FILLED if writer.filled else pen
    cv2.ellipse(canvas, (center.tolist(), axes, slant), writer.ink, thickness, cv2.LINE_AA)
    grey = cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32)
    grey += rng.normal(0, 8, grey.shape)
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def make(folder: Path, *, writers: int, each: int, seed: int) -> int:
    """Write ``each`` symbols of every class by every writer; returns how many there are."""
    rng = np.random.default_rng(seed)
    written = 0
    for number in range(writers):
        writer = Writer.draw(rng)
        for (name, direction), fingers in itertools.product(
            DIRECTIONS.items(), itertools.product((0, 1), repeat=5)
        ):
            label = f"{name}_{''.join(map(str, fingers))}"
            place = folder / label / f"writer{number:02d}"
            place.mkdir(parents=True, exist_ok=True)
            for index in range(each):
                image = symbol(writer, fingers, direction, rng)
                cv2.imwrite(str(place / f"{index}.png"), image)
                written += 1
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="where the class folders go")
    parser.add_argument("--writers", type=int, default=20, help="(20)")
    parser.add_argument("--each", type=int, default=1, help="of each class a writer (1)")
    parser.add_argument("--seed", type=int, default=0, help="the same gives the same (0)")
    arguments = parser.parse_args()
    if arguments.folder.exists() and any(arguments.folder.iterdir()):
        sys.exit(f"{arguments.folder} is not empty; name a new folder")
    count = make(
        arguments.folder, writers=arguments.writers, each=arguments.each, seed=arguments.seed
    )
    print(f"{count:,} symbols of 64 classes by {arguments.writers} writers")


if __name__ == "__main__":
    main()
