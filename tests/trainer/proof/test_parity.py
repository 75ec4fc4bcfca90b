import numpy as np
import pytest

from autcar.errors import ParityError
from trainer.proof.evaluation import evaluate
from trainer.proof.parity import Proof, refuse_unproven
from trainer.proof.quantize import parity

LABELS = ("stop", "go")
TRUTH = np.arange(100) % 2


def answers(turned):
    """Right answers, but for the first ``turned`` stops."""
    scores = np.eye(2, dtype=np.float32)[TRUTH]
    scores[: 2 * turned : 2] = scores[: 2 * turned : 2, ::-1]
    return scores


def proof(**turned):
    """A proof of files that turn so many answers each."""
    return Proof(
        files=dict.fromkeys(turned, b""),
        evaluation=evaluate(TRUTH, answers(0), LABELS),
        steering=None,
        parity={kind: parity(TRUTH, answers(0), answers(n)) for kind, n in turned.items()},
        latency_ms=dict.fromkeys(turned, 0.1),
        hurts=["conv2d_2: 9.0% of noise added, 9.0% in all"] if turned.get("int8") else [],
    )


def test_files_that_answer_as_the_model_does_are_shipped():
    refuse_unproven(proof(int8=1, float32=0), LABELS, None)


def test_a_file_that_does_not_is_refused_with_what_to_try(tmp_path):
    with pytest.raises(ParityError) as refused:
        refuse_unproven(proof(int8=4, float32=0), LABELS, tmp_path)
    said = str(refused.value)
    for words in (
        "no bundle was written: int8 would not drive",
        "int8 agrees with Keras on 96.0% of 100 test frames, accuracy 0.960 (Keras 1.000)",
        "stop: recall 1.00 → 0.92",
        "layer that hurts: conv2d_2",
        "--variants float32",
        "--force",
        f"autcar train --resume {tmp_path} --force",
    ):
        assert words in said
    assert "go: recall" not in said


def test_when_nothing_holds_other_variants_are_named():
    with pytest.raises(ParityError, match=r"(?s)int8 and float16 .*--variants float32"):
        refuse_unproven(proof(int8=4, float16=3), LABELS, None)
