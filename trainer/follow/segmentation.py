"""How well masks are found, as Udacity's Follow Me project scores it.

From its ``scoring_utils.score_run_iou``: a pixel is of a class where that class has
more than half of the probability; an image's intersection over union is 0 where truth
and answer are both empty; a class's is the mean over the images of a subset. The hero
is in an image, or found in it, where more than :data:`FOUND_PIXELS` pixels are theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]

FOUND_PIXELS = 3
SURE = 0.5

CLOSE_SHARE = 0.01
"""From this share of an image's pixels on, the hero is close: in the project's pictures
heroes who are followed cover 1.5 % to 4 %, those seen from a patrol less than 0.7 %."""

SUBSETS = ("close", "none", "far")
"""The hero is followed, is not in the image, or is seen from far."""

_FOLDERS = {"following": "close", "patrol_non": "none", "patrol_with": "far"}


@dataclass(frozen=True)
class Subset:
    """The figures of one kind of images. ``iou`` is by class, 0…1."""

    images: int
    iou: dict[str, float]
    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def hero_iou(self) -> float:
        """The intersection over union of the last class."""
        return list(self.iou.values())[-1]


@dataclass(frozen=True)
class Segmentation:
    """What was found of images with masks, by subset and over all images."""

    subsets: dict[str, Subset]
    whole: Subset

    @property
    def weight(self) -> float:
        """TP / (TP + FP + FN) of images, by whether the hero is found."""
        found = self.whole
        judged = found.true_positives + found.false_positives + found.false_negatives
        return found.true_positives / judged if judged else 0.0

    @property
    def hero_iou(self) -> float:
        """The mean of the hero's IoU close and far, of those of the two that there are."""
        seen = [self.subsets[name].hero_iou for name in ("close", "far") if name in self.subsets]
        return sum(seen) / len(seen) if seen else 0.0

    @property
    def score(self) -> float:
        """The project's final score: :attr:`hero_iou` times :attr:`weight`."""
        return self.hero_iou * self.weight

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {
            "score": self.score,
            "weight": self.weight,
            "hero_iou": self.hero_iou,
            "subsets": {name: asdict(subset) for name, subset in self.subsets.items()},
            "whole": asdict(self.whole),
        }


class Tally:
    """Takes one image after the other: its truth and what was answered."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = tuple(classes)
        self._rows: list[tuple[str, npt.NDArray[np.float64], bool, bool]] = []

    def add(self, truth: Mask, scores: npt.NDArray[np.float32], subset: str | None = None) -> None:
        """One image: H×W classes, and H×W×classes probabilities.

        ``subset`` is one of :data:`SUBSETS`; None: by the hero's size.
        """
        hero = len(self._classes) - 1
        ious = np.array(
            [_iou(truth == index, scores[..., index] > SURE) for index in range(hero + 1)]
        )
        there = bool(np.count_nonzero(truth == hero) > FOUND_PIXELS)
        found = bool(np.count_nonzero(scores[..., hero] > SURE) > FOUND_PIXELS)
        self._rows.append((subset or subset_of(truth, hero), ious, there, found))

    def result(self) -> Segmentation:
        """The figures of all images so far, at least one."""
        names = [row[0] for row in self._rows]
        ious = np.stack([row[1] for row in self._rows])
        there = np.array([row[2] for row in self._rows])
        found = np.array([row[3] for row in self._rows])

        def figures(rows: npt.NDArray[np.bool_]) -> Subset:
            means = ious[rows].mean(axis=0).tolist()
            return Subset(
                images=int(rows.sum()),
                iou=dict(zip(self._classes, means, strict=True)),
                true_positives=int((there & found & rows).sum()),
                false_positives=int((~there & found & rows).sum()),
                false_negatives=int((there & ~found & rows).sum()),
            )

        each = {name: np.array([name == other for other in names]) for name in SUBSETS}
        return Segmentation(
            subsets={name: figures(rows) for name, rows in each.items() if rows.any()},
            whole=figures(np.ones(len(names), bool)),
        )


def subset_of(truth: Mask, hero: int) -> str:
    """Whether the hero is close, far or not in the image."""
    pixels = np.count_nonzero(truth == hero)
    if pixels <= FOUND_PIXELS:
        return "none"
    return "close" if pixels >= CLOSE_SHARE * truth.size else "far"


def subset_of_folder(name: str) -> str | None:
    """The subset that one of the project's folders holds, None for any other folder's name."""
    return next((kind for start, kind in _FOLDERS.items() if name.startswith(start)), None)


def _iou(truth: npt.NDArray[np.bool_], found: npt.NDArray[np.bool_]) -> float:
    union = np.count_nonzero(truth | found)
    return np.count_nonzero(truth & found) / union if union else 0.0


def table(found: Segmentation) -> str:
    """The figures as lines for a terminal."""
    classes = list(found.whole.iou)
    head = f"{'hero':>6} {'images':>7}  " + " ".join(f"{'IoU ' + name:>15}" for name in classes)
    lines = [f"{head}  {'TP':>5} {'FP':>5} {'FN':>5}"]
    for name, row in (*found.subsets.items(), ("all", found.whole)):
        ious = " ".join(f"{value:>15.3f}" for value in row.iou.values())
        counts = (row.true_positives, row.false_positives, row.false_negatives)
        lines.append(
            f"{name:>6} {row.images:>7,}  {ious}  " + " ".join(f"{count:>5,}" for count in counts)
        )
    lines.append(
        f"hero IoU, mean of close and far: {found.hero_iou:.3f}; "
        f"hero found, TP/(TP+FP+FN): {found.weight:.3f}; score {found.score:.3f}"
    )
    return "\n".join(lines)
