"""The folder of ``autcar eval --report``: a page, its pictures, and all figures as JSON."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from autcar.cameras.base import Image
from autcar.errors import DataError
from autcar.files import write_atomic
from autcar.images import write_png
from autcar.progress import Progress
from autcar.simulator.draw import track_map
from autcar.simulator.unseen import Measure, UnseenDrive
from trainer.proof.comparison import Comparison
from trainer.proof.evaluate_bundle import Answers
from trainer.proof.saliency import occlusion, overlay
from trainer.quiet import quiet
from trainer.report.page import page, picture, table
from trainer.report.plots import plot_calibration, plot_confusion, plot_mix_ups, plot_pictures

PAGE, FIGURES = "report.html", "figures.json"

_MISTAKES, _SALIENT, _FILM_FRAMES, _FILM_FPS = 16, 12, 60, 6
_SAME_S = 2.0
_LINE_RGB = (0, 158, 115)


def write_evaluation(
    folder: Path,
    answers: Answers | None,
    *,
    against: Answers | None = None,
    comparison: Comparison | None = None,
    drives: Sequence[tuple[str, Sequence[UnseenDrive]]] = (),
    progress: Progress | None = None,
) -> Path:
    """Write the page and everything on it into ``folder``; returns the page's path.

    ``drives`` are closed loops by bundle. Raises :class:`DataError` when ``folder`` holds
    something other than an earlier report.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / FIGURES).is_file():
        raise DataError(f"{folder} is there and is no report; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    sections = ["<h1>How good is it?</h1>"]
    if answers is not None:
        sections += _figures(answers)
    if comparison is not None and against is not None and answers is not None:
        sections += _comparison(answers, against, comparison)
    if drives:
        sections += _drives(folder, drives)
    if answers is not None:
        sections += _pictures(folder, answers, progress or Progress())
    write_atomic(folder / PAGE, page("autcar eval", sections))
    figures = as_dict(answers, against=against, comparison=comparison, drives=drives)
    write_atomic(folder / FIGURES, json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    return folder / PAGE


def as_dict(
    answers: Answers | None,
    *,
    against: Answers | None = None,
    comparison: Comparison | None = None,
    drives: Sequence[tuple[str, Sequence[UnseenDrive]]] = (),
) -> dict[str, Any]:
    """All figures for JSON: the bundle's own, the other's under ``against``."""
    found = answers.as_dict() if answers else {}
    if against is not None and comparison is not None:
        found |= {"against": against.as_dict(), "comparison": comparison.as_dict()}
    if drives:
        found["closed_loop"] = {name: _measured(rows) for name, rows in drives}
    return found


def _measured(rows: Sequence[UnseenDrive]) -> dict[str, Any]:
    measure = Measure.of(rows)
    return {**asdict(measure), "metres_between": round(measure.metres_between, 2)}


def _figures(answers: Answers) -> list[str]:
    found = answers.evaluation
    rows = [
        ["accuracy", f"{found.accuracy:.3f}"],
        [f"… of always {found.baseline_label}", f"{found.baseline_accuracy:.3f}"],
        ["balanced accuracy (mean recall)", f"{found.balanced_accuracy:.3f}"],
        *(
            [f"truth among the likeliest {k}", f"{share:.3f}"]
            for k, share in enumerate(found.top[1:], 2)
        ),
        *([f"part: {name}", f"{share:.3f}"] for name, share in found.heads.items()),
        ["expected calibration error", f"{found.calibration.error:.3f}"],
    ]
    if found.last_accuracy is not None:
        rows.insert(2, ["… of the label of the frame before", f"{found.last_accuracy:.3f}"])
    if answers.steering:
        rows += [
            ["steering, 5 classes, forward frames: accuracy", f"{answers.steering.accuracy:.3f}"],
            ["… balanced accuracy", f"{answers.steering.balanced_accuracy:.3f}"],
            ["… within one class", f"{answers.steering.within_one:.3f}"],
        ]
    per_class = [
        [name, *(f"{x:.2f}" for x in (row.precision, row.recall, row.f1)), f"{row.support:,}"]
        for name, row in found.per_class.items()
        if row.support or row.precision
    ]
    sessions = [
        [one.name, f"{one.frames:,}", f"{one.accuracy:.3f}", f"{one.balanced_accuracy:.3f}"]
        for one in answers.sessions
    ]
    name = html.escape(str(answers.bundle.folder))
    return [
        f"<p class=lead><b>{name}</b> ({answers.variant}) on {found.frames:,} frames.</p>",
        table(["figure", "value"], rows),
        "<h2>By class</h2>",
        table(["class", "precision", "recall", "F1", "frames"], per_class),
        "<h2>By recording</h2>",
        table(["recording", "frames", "accuracy", "balanced"], sessions),
    ]


def _comparison(a: Answers, b: Answers, found: Comparison) -> list[str]:
    rows = [
        [
            f"{letter}: {answers.bundle.folder} ({answers.variant})",
            f"{answers.evaluation.accuracy:.3f}",
            f"{answers.evaluation.balanced_accuracy:.3f}",
            f"{answers.evaluation.calibration.error:.3f}",
        ]
        for letter, answers in (("A", a), ("B", b))
    ]
    lines = html.escape(str(found)).replace("\n", "<br>")
    return [
        "<h2>Two bundles side by side</h2>",
        table(["bundle", "accuracy", "balanced", "calibration error"], rows),
        f"<p>{lines}</p>",
    ]


def _drives(folder: Path, drives: Sequence[tuple[str, Sequence[UnseenDrive]]]) -> list[str]:
    sections = ["<h2>Driving unseen tracks in the simulator</h2>"]
    for number, (name, rows) in enumerate(drives):
        sections.append(f"<p><b>{html.escape(name)}</b>: {html.escape(str(Measure.of(rows)))}</p>")
        figures = []
        for at, row in enumerate(rows):
            path = folder / f"track_{number}_{at}.png"
            write_png(path, track_map(row.track, [(row.line, _LINE_RGB)], (480, 360)))
            end = row.failure or "no failure"
            figures.append(picture(path.name, f"{row.metres:.1f} m, {row.seconds:.0f} s: {end}"))
        sections.append(f"<div class=tracks>{''.join(figures)}</div>")
    return sections


def _pictures(folder: Path, answers: Answers, progress: Progress) -> list[str]:
    found = answers.evaluation
    labels = answers.bundle.manifest.labels
    title = f"{found.frames:,} frames, accuracy {found.accuracy:.2f}"
    plot_confusion(found.confusion, labels, folder / "confusion.png", title)
    plot_mix_ups(found.confusion, labels, folder / "mix_ups.png")
    plot_calibration(found.calibration, folder / "calibration.png")
    sections = [
        "<h2>Which it takes for which</h2>",
        picture("confusion.png", "confusion matrix: rows are the truth, columns the answers"),
        picture("mix_ups.png", "the commonest mistakes"),
        "<h2>Is it as sure as it is right?</h2>",
        picture("calibration.png", "accuracy over confidence"),
    ]
    mistakes = worst_mistakes(answers)
    if mistakes:
        shown = [(_image(answers, row), _caption(answers, row)) for row in mistakes]
        plot_pictures(shown, folder / "mistakes.png", title="worst mistakes")
        sections += [
            "<h2>Worst mistakes</h2>",
            picture("mistakes.png", "the frames whose truth it thought least likely"),
        ]
    salient = (mistakes[: _SALIENT // 2] + _surest(answers))[:_SALIENT]
    shown = [(_looked(answers, row)[0], _caption(answers, row)) for row in salient]
    plot_pictures(shown, folder / "saliency.png", title="what the answers hang on, by occlusion")
    write_film(folder / "saliency.webm", answers, progress)
    return [
        *sections,
        "<h2>Where it looks</h2><p>Bright places are those whose hiding makes the answer less "
        "likely. First mistakes, then frames it was sure and right of, one of each class.</p>",
        picture("saliency.png", "frames with what their answers hang on"),
        "<video controls loop muted src='saliency.webm'></video>",
    ]


def worst_mistakes(answers: Answers, most: int = _MISTAKES) -> list[int]:
    """The wrong answers that gave the truth least, worst first.

    Of frames of a recording within two seconds only the worst: the others are near twins.
    """
    own = answers.scores[np.arange(len(answers.truth)), answers.truth]
    wrong = answers.scores.argmax(1) != answers.truth
    data = answers.rows
    dataset = answers.dataset
    kept: list[int] = []
    for row in np.argsort(own, kind="stable").tolist():
        if len(kept) == most:
            break
        twins = (
            dataset.groups[data[row]] == dataset.groups[data[other]]
            and abs(int(dataset.times_ns[data[row]] - dataset.times_ns[data[other]]))
            < _SAME_S * 1e9
            for other in kept
        )
        if wrong[row] and not any(twins):
            kept.append(row)
    return kept


def _surest(answers: Answers) -> list[int]:
    """For each class the right answer with the highest probability."""
    predicted = answers.scores.argmax(1)
    rows = []
    for label in np.unique(answers.truth):
        mine = np.flatnonzero((answers.truth == label) & (predicted == label))
        if len(mine):
            rows.append(int(mine[answers.scores[mine, label].argmax()]))
    return rows


def _image(answers: Answers, row: int) -> Image:
    image: Image = answers.cache.images(answers.rows[row : row + 1])[0]
    return image


def _caption(answers: Answers, row: int) -> str:
    labels = answers.bundle.manifest.labels
    scores, truth = answers.scores[row], int(answers.truth[row])
    said = int(scores.argmax())
    if said == truth:
        return f"right: {labels[truth]} {scores[truth]:.0%}"
    return f"truth: {labels[truth]} {scores[truth]:.0%}\nanswer: {labels[said]} {scores[said]:.0%}"


def _looked(answers: Answers, row: int, most: float | None = None) -> tuple[Image, float]:
    """The frame with what its answer hangs on, and how much that is at most."""
    image = _image(answers, row)
    found = occlusion(answers.interpreter.run, image)
    return overlay(image, found, most), float(found.max())


def write_film(path: Path, answers: Answers, progress: Progress) -> Path:
    """Film the first frames of the longest recording: as seen, and what the answers hang on.

    WebM (VP8), which browsers play; brightness is the same scale throughout.
    """
    dataset = answers.dataset
    groups = dataset.groups[answers.rows]
    longest = np.bincount(groups).argmax()
    rows = np.flatnonzero(groups == longest)[:_FILM_FRAMES].tolist()
    height, width = _image(answers, rows[0]).shape[:2]
    zoom = -(-320 // width)
    size = (2 * width * zoom, height * zoom + 48)
    path.unlink(missing_ok=True)
    with quiet():  # OpenCV remarks on the codec's number.
        film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), _FILM_FPS, size)
    if not film.isOpened():
        raise DataError(f"this OpenCV cannot write {path}; install opencv-python-headless by pip")
    most = 0.2
    try:
        for number, row in enumerate(rows):
            looked, found = _looked(answers, row, most)
            most = max(0.2, 0.9 * most, found)
            both = np.hstack([_image(answers, row), looked])
            both = cv2.resize(both, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
            canvas = np.zeros((size[1], size[0], 3), np.uint8)
            canvas[: both.shape[0]] = both
            for line, text in enumerate(_caption(answers, row).split("\n")):
                place = (8, both.shape[0] + 20 + 20 * line)
                white = (255, 255, 255)
                cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, white, 1, 16)
            film.write(cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR))
            progress.step("filming where it looks", number + 1, len(rows))
    finally:
        film.release()
    return path
