"""Whether the files that a bundle would carry answer as the trained model does; if not, why.

A file that does not is not shipped unless it is forced: the car would drive by
something that nobody trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autcar.commands import LABELS
from autcar.errors import ParityError
from autcar.progress import Progress
from trainer.data.batches import Batches
from trainer.data.heads import Heads
from trainer.learning.training import predict
from trainer.proof.evaluation import Evaluation, Steering, evaluate, evaluate_steering
from trainer.proof.layer_noise import layer_noise
from trainer.proof.quantize import (
    MAX_ACCURACY_LOSS,
    MIN_AGREEMENT,
    Parity,
    latency_ms,
    parity,
    run_file,
    to_tflite,
)

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Proof:
    """The converted ``files`` by kind, and what they do on the test part.

    ``evaluation`` and ``steering`` are of the first kind. ``hurts`` names the layers that
    lose most, where the int8 file falls short.
    """

    files: dict[str, bytes]
    evaluation: Evaluation
    steering: Steering | None
    parity: dict[str, Parity]
    latency_ms: dict[str, float]
    hurts: list[str]

    @property
    def failed(self) -> list[str]:
        """The kinds that do not answer as the trained model does."""
        return [kind for kind, found in self.parity.items() if not found.holds]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON, without the files."""
        steering = self.steering and self.steering.as_dict()
        return {
            "test": {**self.evaluation.figures(), "steering": steering},
            "parity": {kind: found.as_dict() for kind, found in self.parity.items()},
            "latency_ms": self.latency_ms,
            "hurts": self.hurts,
        }


def prove(
    model: Any,
    kinds: Sequence[str],
    examples: Images,
    test: Batches,
    labels: tuple[str, ...],
    progress: Progress,
    heads: Heads | None = None,
) -> Proof:
    """Convert a Keras model to each of ``kinds`` and hold them against it on ``test``.

    ``examples`` are training images, ``uint8`` N×H×W×3, balanced by class, whose
    activations set the ranges of int8; ``heads`` are what ``labels`` are tuples of.
    """
    progress.say(f"converting to {', '.join(kinds)}")
    files = {kind: to_tflite(model, kind, examples) for kind in kinds}
    expected, truth = predict(model, test, progress, "testing")
    scores = {kind: run_file(content, test.epoch(0)) for kind, content in files.items()}
    found = {kind: parity(truth, expected, answers, heads) for kind, answers in scores.items()}
    hurts = []
    if "int8" in found and not found["int8"].holds:
        exact = files.get("float32") or to_tflite(model, "float32", examples)
        hurts = [str(row) for row in layer_noise(model, exact, files["int8"], examples)[:3]]
    proof = Proof(
        files=files,
        evaluation=evaluate(truth, scores[kinds[0]], labels, heads=heads),
        steering=evaluate_steering(truth, scores[kinds[0]]) if labels == LABELS else None,
        parity=found,
        latency_ms={kind: latency_ms(content) for kind, content in files.items()},
        hurts=hurts,
    )
    for kind, row in found.items():
        size, ms = len(files[kind]), proof.latency_ms[kind]
        progress.say(
            f"{kind}: {size / 1000:,.0f} kB, {ms:.2f} ms a frame here; {describe_parity(row)}"
        )
    return proof


def describe_parity(found: Parity) -> str:
    """One line: agreement and both accuracies."""
    parts = "".join(f", {name} {share:.1%}" for name, share in found.agreement_by_head.items())
    return (
        f"agrees with Keras on {found.agreement:.1%} of {found.frames:,} test frames{parts}, "
        f"accuracy {found.accuracy:.3f} (Keras {found.keras_accuracy:.3f})"
    )


def refuse_unproven(proof: Proof, labels: Sequence[str], run: Path | None) -> None:
    """Raise :class:`ParityError`, saying what to try, where a file of ``proof`` falls short.

    ``run`` is the folder of the training, from which other files can be shipped.
    """
    if not proof.failed:
        return
    failed = " and ".join(proof.failed)
    lines = [
        f"no bundle was written: {failed} would not drive as the trained model does "
        f"({MIN_AGREEMENT:.0%} agreement and at most {MAX_ACCURACY_LOSS * 100:g} point of "
        f"accuracy lost are asked for)"
    ]
    for kind in proof.failed:
        lines.append(f"  {kind} {describe_parity(proof.parity[kind])}")
        lines += [f"  {text}" for text in _worst_classes(proof.parity[kind], labels)]
    lines += [f"  layer that hurts: {text}" for text in proof.hurts]
    lines.append(f"  try: {_advice(proof)}")
    if run is not None:
        lines.append(f"  without training anew: autcar train --resume {run} --force")
    raise ParityError("\n".join(lines))


def _advice(proof: Proof) -> str:
    """What to do about files that fall short."""
    ways = ["train for more epochs or on more data (answers near a tie are what int8 turns)"]
    good = [kind for kind in proof.files if kind not in proof.failed] or ["float32"]
    ways.append(f"ship what holds: --variants {','.join(good)}")
    ways.append("ship all the same: --force (the card says so)")
    return "; or ".join(ways)


def _worst_classes(found: Parity, labels: Sequence[str]) -> list[str]:
    """The classes that lost recall, the worst three first."""
    lost = {label: keras - file for label, (keras, file) in found.recall_by_class.items()}
    worst = sorted(lost, key=lost.__getitem__, reverse=True)[:3]
    return [
        f"{labels[label]}: recall {found.recall_by_class[label][0]:.2f} → "
        f"{found.recall_by_class[label][1]:.2f}"
        for label in worst
        if lost[label] > 0.01
    ]
