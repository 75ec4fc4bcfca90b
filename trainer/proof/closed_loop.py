"""A bundle behind the wheel of the simulated car: what figures on single frames cannot tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autcar.bundle import Bundle
from autcar.cameras.base import Frame
from autcar.commands import LABELS
from autcar.config import Config
from autcar.errors import BundleError
from autcar.interpreter import Interpreter
from autcar.progress import Progress
from autcar.simulator.unseen import UnseenDrive, drive_unseen


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

    config = Config()
    config = replace(
        config,
        camera=replace(config.camera, width=manifest.width, height=manifest.height),
        simulator=replace(config.simulator, difficulty=difficulty),
    )
    return drive_unseen(
        config, answer, tracks=tracks, seconds=seconds, seed=seed, progress=progress
    )
