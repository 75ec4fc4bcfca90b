"""A bundle behind the wheel of the simulated car: what figures on single frames cannot tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autcar.bundle import Bundle, add_proof
from autcar.cameras.base import Frame
from autcar.commands import LABELS
from autcar.config import Config
from autcar.errors import BundleError
from autcar.interpreter import Interpreter
from autcar.progress import Progress
from autcar.simulator.unseen import Measure, UnseenDrive, drive_unseen

TRACKS, SECONDS, DIFFICULTY = 16, 30.0, 1.0
"""What a bundle's card tells of driving: on the hardest tracks, since easy ones prove little."""


def prove_driving(
    bundle: Bundle,
    tracks: int = TRACKS,
    seconds: float = SECONDS,
    progress: Progress | None = None,
) -> Bundle:
    """Drive unseen tracks and write how far it went between failures into card and manifest.

    A car that always goes straight drives the same tracks.
    """
    drives = drive_bundle(
        bundle, tracks=tracks, seconds=seconds, difficulty=DIFFICULTY, progress=progress
    )
    ahead = [float(label == "move_medium_forward") for label in LABELS]
    config = _config(bundle, DIFFICULTY)
    straight = Measure.of(drive_unseen(config, lambda _: ahead, tracks=tracks, seconds=seconds))
    found = Measure.of(drives)
    text = (
        f"Through the gate, {seconds:g} s at most on each of {tracks} simulated tracks that it "
        f"never saw, of difficulty {DIFFICULTY:g}: {found.failures} failures in "
        f"{found.metres:.0f} m (left the track on {found.left_track}, stood on {found.stood}, "
        f"stopped by the gate on {found.stopped}), **{_between(found)} between failures**. "
        f"A car that always goes straight: {_between(straight)}."
    )
    figures = {
        "tracks": tracks,
        "seconds": seconds,
        "difficulty": DIFFICULTY,
        "failures": found.failures,
        "metres": round(found.metres, 1),
        "metres_between": round(found.metres_between, 1),
        "straight_metres_between": round(straight.metres_between, 1),
        "drives": [{"metres": round(one.metres, 2), "failure": one.failure} for one in drives],
    }
    return add_proof(bundle, "Behind the wheel", text, {"closed_loop": figures})


def _between(found: Measure) -> str:
    return f"{'over ' * (not found.failures)}{found.metres_between:.1f} m"


def drive_bundle(
    bundle: Bundle,
    variant: str | None = None,
    *,
    tracks: int = 8,
    seconds: float = 30.0,
    difficulty: float = 0.5,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[UnseenDrive]:
    """Let a bundle's variant (the first by default) drive unseen tracks, through the gate.

    The simulated camera takes the bundle's size. Raises
    :class:`~autcar.errors.BundleError` for a bundle that was not trained to drive.
    """
    manifest = bundle.manifest
    if manifest.task != "drive":
        raise BundleError(
            f"bundle {bundle.folder} was trained to {manifest.task}, not to drive; "
            f"leave --tracks out"
        )
    bundle.check_fits(manifest.width, manifest.height)
    chosen = bundle.variant(variant) if variant else manifest.variants[0]
    interpreter = Interpreter(bundle.path(chosen))
    columns = np.array([manifest.labels.index(label) for label in LABELS])

    def answer(frame: Frame) -> Sequence[float]:
        scores: list[float] = interpreter.run(frame.image)[columns].tolist()
        return scores

    config = _config(bundle, difficulty)
    return drive_unseen(
        config, answer, tracks=tracks, seconds=seconds, seed=seed, progress=progress
    )


def _config(bundle: Bundle, difficulty: float) -> Config:
    """The simulated car of a bundle: its camera gives what the bundle takes."""
    config, manifest = Config(), bundle.manifest
    return replace(
        config,
        camera=replace(config.camera, width=manifest.width, height=manifest.height),
        simulator=replace(config.simulator, difficulty=difficulty),
    )
