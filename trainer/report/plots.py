"""Pictures of data and training, as PNG files.

One hue from light to dark, or blue and orange: legible to the colour-blind and
in grey. Drawn without a display.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from autcar.cameras.base import Image
from trainer.learning.history import History
from trainer.proof.calibration import Calibration

MANY = 20
"""More classes than this are drawn without numbers in the confusion matrix."""

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#6b6b6b"


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure as PNG, making its folder, and return where."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight", facecolor="white")
    return path


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **how: Any) -> Any:
    """A figure of ``width`` × ``height`` inches, and its axes; ``how`` as ``subplots`` has it."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, **how)
    for one in np.atleast_1d(axes).flat:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def plot_confusion(
    confusion: Sequence[Sequence[int]], labels: Sequence[str], path: str | Path, title: str
) -> Path:
    """Draw ``confusion[truth][prediction]``, counts; the shade is the share of the row.

    Classes that neither occur nor were predicted are left out and named below.
    """
    counts = np.asarray(confusion)
    seen = np.flatnonzero(counts.sum(0) + counts.sum(1)).tolist()
    absent = [label for index, label in enumerate(labels) if index not in seen]
    counts = counts[np.ix_(seen, seen)]
    names = [labels[index] for index in seen]
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    # Many classes leave no room for numbers: then the shade alone tells.
    many = len(seen) > MANY
    size = 2.6 + (0.15 if many else 0.62) * len(seen)
    figure, axes = new_figure(size + 1.0, size)
    # A square root darkens small shares, so that single mistakes show.
    axes.imshow(np.sqrt(share) if many else share, cmap="Blues", vmin=0, vmax=1)
    turn = {"rotation": 90} if many else {"rotation": 40, "rotation_mode": "anchor", "ha": "right"}
    small = {"fontsize": 6.5} if many else {}
    axes.set_xticks(range(len(seen)), names, **turn, **small)
    axes.set_yticks(range(len(seen)), names, **small)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    note = " (the shade is the root of the share of the row)" if many else ""
    axes.set_title(title + note, fontsize=22 if many else None)
    axes.spines[:].set_visible(False)
    for row, column in () if many else zip(*np.nonzero(counts), strict=True):
        axes.text(
            column,
            row,
            f"{counts[row, column]:,}\n{share[row, column]:.0%}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if share[row, column] > 0.55 else "black",
        )
    if absent:
        some = absent[:12] + [f"and {len(absent) - 12} more"] * (len(absent) > 12)
        figure.supxlabel("neither here nor predicted: " + _lines(some, 4), fontsize=8, color=GREY)
    return save_figure(figure, path)


def plot_mix_ups(
    confusion: Sequence[Sequence[int]], labels: Sequence[str], path: str | Path, most: int = 20
) -> Path:
    """Draw the commonest mistakes as bars, "truth → prediction", with their count and share."""
    counts = np.asarray(confusion)
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(wrong, axis=None)[::-1][:most]
    pairs = [divmod(int(at), len(labels)) for at in order if wrong.flat[at]]
    figure, axes = new_figure(8.5, 1.0 + 0.3 * max(1, len(pairs)))
    values = [int(wrong[pair]) for pair in pairs]
    bars = axes.barh(range(len(pairs)), values, color=BLUE)
    texts = [
        f"{value:,} ({value / counts[truth].sum():.0%} of its frames)"
        for value, (truth, _) in zip(values, pairs, strict=True)
    ]
    axes.bar_label(bars, texts, padding=3, fontsize=8)
    axes.set_yticks(range(len(pairs)), [f"{labels[t]} → {labels[p]}" for t, p in pairs])
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.set_xlabel("frames")
    axes.set_title("commonest mix-ups, truth → answer" if pairs else "no mistake")
    return save_figure(figure, path)


def plot_calibration(found: Calibration, path: str | Path) -> Path:
    """Draw the reliability diagram: accuracy over confidence, and how many frames have which."""
    figure, (upper, lower) = new_figure(
        5.2, 5.6, 2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1)}
    )
    sure = [one.confidence for one in found.bins]
    right = [one.accuracy for one in found.bins]
    upper.plot((0, 1), (0, 1), color=GREY, linestyle=":", label="as often right as it says")
    upper.vlines(sure, sure, right, color=ORANGE, linewidth=2, label="the gap")
    upper.plot(sure, right, "o-", color=BLUE, label="this network")
    upper.set_ylim(0, 1)
    upper.set_ylabel("accuracy")
    upper.set_title(f"expected calibration error {found.error:.3f}")
    upper.legend(frameon=False, loc="upper left")
    upper.grid(alpha=0.25)
    lower.bar(sure, [one.frames for one in found.bins], 0.04, color=BLUE)
    lower.set_xlim(0, 1)
    lower.set_xlabel("confidence: probability of the answer")
    lower.set_ylabel("frames")
    return save_figure(figure, path)


def plot_pictures(
    pictures: Sequence[tuple[Image, str]], path: str | Path, columns: int = 4, title: str = ""
) -> Path:
    """Draw a contact sheet: pictures (``uint8`` RGB, of one size), each with lines of text."""
    rows = -(-len(pictures) // columns)
    height, width = pictures[0][0].shape[:2]
    lines = max(text.count("\n") + 1 for _, text in pictures)
    wide = 2.9
    figure, axes = new_figure(
        wide * columns, (wide * height / width + 0.19 * lines) * rows, rows, columns, squeeze=False
    )
    for one in axes.flat:
        one.set_axis_off()
    for one, (image, text) in zip(axes.flat, pictures, strict=False):
        one.imshow(image)
        one.set_title(text, fontsize=8.5, loc="left")
    if title:
        figure.suptitle(title, fontsize=11)
    return save_figure(figure, path)


def _lines(words: Sequence[str], each: int) -> str:
    rows = [", ".join(words[start : start + each]) for start in range(0, len(words), each)]
    return ",\n".join(rows)


def plot_history(history: History, path: str | Path) -> Path:
    """Draw loss and accuracy by epoch, training and validation, with the epoch that was kept."""
    figure, (loss, accuracy) = new_figure(9.5, 3.6, 1, 2)
    numbers = [epoch.number for epoch in history.epochs]
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        for prefix, color, style, label in (
            ("", BLUE, "-o", "training"),
            ("val_", ORANGE, "-s", "validation"),
        ):
            values = [getattr(epoch, prefix + name) for epoch in history.epochs]
            axes.plot(numbers, values, style, color=color, label=label, markersize=4)
        axes.axvline(history.best, color=GREY, linestyle=":", label="kept")
        axes.set_xlabel("epoch")
        axes.set_title(name)
        axes.grid(alpha=0.25)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    accuracy.set_ylim(0, 1)
    accuracy.legend(frameon=False)
    return save_figure(figure, path)


def plot_classes(before: Mapping[str, int], after: Mapping[str, int], path: str | Path) -> Path:
    """Draw how many frames each class has, as recorded and as trained on."""
    names = list(dict.fromkeys((*before, *after)))
    figure, axes = new_figure(8.5, 1.2 + 0.42 * len(names))
    rows = np.arange(len(names))
    for counts, offset, color, label in (
        (before, -0.2, BLUE, "recorded"),
        (after, 0.2, ORANGE, "an epoch of training"),
    ):
        values = [counts.get(name, 0) for name in names]
        bars = axes.barh(rows + offset, values, 0.38, color=color, label=label)
        axes.bar_label(bars, [f"{value:,}" for value in values], padding=3, fontsize=8)
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    axes.set_xlabel("frames")
    axes.margins(x=0.1)
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return save_figure(figure, path)


def plot_frames(frames: Mapping[str, Sequence[Image]], path: str | Path, columns: int = 8) -> Path:
    """Draw a contact sheet: a row of up to ``columns`` frames (``uint8`` RGB) for each label."""
    rows = [(label, list(images)[:columns]) for label, images in frames.items()]
    height, width = next(images[0].shape[:2] for _, images in rows if images)
    figure, axes = new_figure(
        1.6 + 1.35 * columns, 1.35 * height / width * len(rows) + 0.1 * len(rows)
    )
    gap = 4
    sheet = np.full(((height + gap) * len(rows), (width + gap) * columns, 3), 255, np.uint8)
    for row, (_, images) in enumerate(rows):
        for column, image in enumerate(images):
            top, left = row * (height + gap), column * (width + gap)
            sheet[top : top + height, left : left + width] = image
    axes.imshow(sheet)
    axes.set_xticks([])
    middles: npt.NDArray[np.float64] = (np.arange(len(rows)) + 0.5) * (height + gap)
    axes.set_yticks(middles, [label for label, _ in rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return save_figure(figure, path)
