"""The demo's report: one page with pictures, readable without a network."""

from __future__ import annotations

import html
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autcar.cameras.base import Image
from autcar.commands import LABELS
from autcar.images import write_png
from autcar.simulator.draw import track_map
from trainer.pipeline import Result
from trainer.report.page import page, picture, table
from trainer.report.plots import BLUE, GREY, new_figure, save_figure

if TYPE_CHECKING:
    from autcar.simulator.score import Score
    from autcar.simulator.track import Track

# Okabe and Ito's green and purple: borders are often blue, yellow or orange.
PILOT_RGB = (0, 158, 115)
STRAIGHT_RGB = (204, 121, 167)

LEAST_SPEED = 0.15
"""Metres a second, a quarter of full speed: a car that stands still leaves no track either."""


@dataclass(frozen=True)
class Thought:
    """A frame and the 12 scores that the pilot gave it."""

    image: Image
    scores: list[float]


@dataclass(frozen=True)
class Drive:
    """How the bundle, and beside it a car that goes straight, drove one unseen track."""

    seed: int
    difficulty: float
    track: Track
    pilot: Score
    straight: Score
    thoughts: Sequence[Thought]
    stopped: str | None

    @property
    def well(self) -> bool:
        """Whether the bundle kept every wheel on the track, to the end, and did not dawdle."""
        on_track = self.pilot.failures == 0 and self.stopped is None
        return on_track and self.pilot.mean_speed >= LEAST_SPEED


def write_report(folder: Path, result: Result, drives: Sequence[Drive], seconds: float) -> Path:
    """Write ``report.html`` and its pictures into ``folder`` and return the page's path."""
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    for path in result.plots.values():
        shutil.copyfile(path, pictures / path.name)
    for drive in drives:
        lines = [(drive.straight.line, STRAIGHT_RGB), (drive.pilot.line, PILOT_RGB)]
        write_png(pictures / f"track_{drive.seed}.png", track_map(drive.track, lines))
        if drive.thoughts:
            plot_thoughts(drive.thoughts, pictures / f"thoughts_{drive.seed}.png")
    path = folder / "report.html"
    path.write_text(_page(result, drives, seconds), encoding="utf-8")
    return path


def plot_thoughts(thoughts: Sequence[Thought], path: str | Path) -> Path:
    """Draw frames, each with how sure the pilot was of each of the 12 commands."""
    figure, axes = new_figure(4.0 * len(thoughts), 4.9, 2, len(thoughts), squeeze=False)
    for column, thought in enumerate(thoughts):
        picture, bars = axes[0][column], axes[1][column]
        picture.imshow(thought.image)
        picture.set_axis_off()
        scores = np.asarray(thought.scores)
        chosen = int(scores.argmax())
        picture.set_title(f"{LABELS[chosen]}  {scores[chosen]:.0%}", fontsize=10)
        colors = [BLUE if index == chosen else GREY for index in range(len(LABELS))]
        bars.barh(range(len(LABELS)), scores, color=colors)
        bars.set_yticks(range(len(LABELS)), LABELS if column == 0 else [""] * len(LABELS))
        bars.tick_params(labelsize=8)
        bars.invert_yaxis()
        bars.set_xlim(0, 1)
    return save_figure(figure, path)


_STYLE = f"""
.key::before {{ content: ""; display: inline-block; width: 1.6em; height: .3em;
  margin-right: .4em; vertical-align: middle; background: var(--line); }}
.pilot {{ --line: rgb{PILOT_RGB}; }} .straight {{ --line: rgb{STRAIGHT_RGB}; }}
"""


def _page(result: Result, drives: Sequence[Drive], seconds: float) -> str:
    on_track = sum(drive.well for drive in drives)
    straight = sum(drive.straight.failures == 0 for drive in drives)
    evaluation = result.evaluation
    hard = result.bundle.manifest.metrics["closed_loop"]
    sections = [
        f"<h1>A car learned to drive</h1><p class=lead>It recorded "
        f"{sum(result.recorded.values()):,} frames, trained for "
        f"{result.seconds['training']:.0f} s, and then drove <b>{on_track} of {len(drives)}</b> "
        f"tracks that it had never seen, from easy to hard, with no wheel off the track. A car "
        f"that always goes straight managed {straight}. On {hard['tracks']} more tracks, all of "
        f"them hard, it failed {hard['failures']} times in {hard['metres']:.0f} m. All of it took "
        f"{seconds / 60:.1f} minutes.</p>",
        "<h2>Driving unseen tracks</h2><p>The ways of "
        "<b class='key pilot'>the bundle</b> and of a car that "
        "<b class='key straight'>always goes straight</b>. A red ring: off the track.</p>",
        f"<div class=tracks>{''.join(map(_track, drives))}</div>",
        _drive_table(drives),
        "<h2>What it saw, and what it thought</h2>",
        *(_picture(f"thoughts_{drive.seed}.png", f"track {drive.seed}") for drive in drives),
        "<h2>What was recorded</h2>",
        _picture("frames.png", "frames of each command, from the training part"),
        _picture("classes.png", "frames of each command: as recorded, and as trained on"),
        "<h2>How it learned</h2>",
        _picture("history.png", "loss and accuracy by epoch"),
        f"<p>On {evaluation.frames:,} held-out frames the int8 model is right in "
        f"{evaluation.accuracy:.1%} (mean over classes {evaluation.balanced_accuracy:.1%}; always "
        f"answering {html.escape(evaluation.baseline_label)} would be right in "
        f"{evaluation.baseline_accuracy:.1%}). A neighbouring command is often no mistake: the "
        f"car corrects itself at the next frame, which is why driving is the better test.</p>",
        _picture("confusion.png", "which command it took for which"),
        "<h2>What ships</h2>",
        _variant_table(result),
    ]
    return page("autcar demo", sections, _STYLE)


def _picture(name: str, caption: str) -> str:
    return picture(f"pictures/{name}", caption)


def _track(drive: Drive) -> str:
    verdict = "no wheel off the track" if drive.pilot.failures == 0 else "left the track"
    if drive.stopped:
        verdict += f"; stopped: {drive.stopped}"
    return _picture(
        f"track_{drive.seed}.png",
        f"track {drive.seed}, difficulty {drive.difficulty:g}: "
        f"{drive.pilot.laps:.1f} laps, {verdict}",
    )


def _drive_table(drives: Sequence[Drive]) -> str:
    head = [
        "track",
        "difficulty",
        "driver",
        "seconds",
        "metres",
        "laps",
        "off the track",
        "worst cm from centre",
    ]
    rows = [
        [
            f"{drive.seed}",
            f"{drive.difficulty:g}",
            name,
            f"{score.seconds:.1f}",
            f"{score.distance:.1f}",
            f"{score.laps:.1f}",
            f"{score.failures}",
            "–" if score.failures else f"{score.max_lateral * 100:.1f}",
        ]
        for drive in drives
        for name, score in (("the bundle", drive.pilot), ("always straight", drive.straight))
    ]
    return table(head, rows)


def _variant_table(result: Result) -> str:
    head = ["variant", "kB", "ms a frame here", "agrees with Keras", "accuracy", "Keras' accuracy"]
    rows: list[list[Any]] = []
    for variant in result.bundle.manifest.variants:
        proof = result.parity[variant.name]
        rows.append(
            [
                variant.name,
                f"{variant.size / 1000:.0f}",
                f"{result.latency_ms[variant.name]:.2f}",
                f"{proof.agreement:.1%}",
                f"{proof.accuracy:.3f}",
                f"{proof.keras_accuracy:.3f}",
            ]
        )
    return table(head, rows)
