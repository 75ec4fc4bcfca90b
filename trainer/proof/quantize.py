"""From a Keras model to the ``.tflite`` files that the car runs, with proof.

Every file takes raw ``uint8`` RGB, 1×H×W×3, and gives ``float32`` probabilities.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from autcar.errors import ConfigError, DataError
from autcar.interpreter import Interpreter
from trainer.data.heads import Heads
from trainer.proof.evaluation import head_shares
from trainer.quiet import quiet

KINDS = {
    "int8": "weights and activations int8; fastest with LiteRT",
    "float32": "as trained; fastest with tflite-runtime",
    "float16": "weights float16, half the size of float32, computed as floats",
    "dynamic": "weights int8, activations float; needs no example frames",
}
"""What can be made, and what it is."""

SHIPPED = ("int8", "float32")
"""What a bundle carries unless told otherwise: each runtime finds the kind it runs fastest."""

MIN_AGREEMENT = 0.98
MAX_ACCURACY_LOSS = 0.01

Images = npt.NDArray[np.uint8]
Scores = npt.NDArray[np.float32]


def to_tflite(model: Any, kind: str, representative: Images) -> bytes:
    """Convert a Keras model that takes N×H×W×3 RGB, 0…255.

    ``kind`` is one of :data:`KINDS`; only int8 looks at ``representative``, ``uint8``
    N×H×W×3 training images, balanced by class. The batch is fixed at 1: with any other
    the runtimes lose XNNPACK. A model of several outputs keeps their names
    (:meth:`autcar.interpreter.Interpreter.run_heads`).

    Raises :class:`ConfigError` for an unknown kind, :class:`DataError` when int8 does not
    come out taking pixels as they are.
    """
    check_kinds([kind])
    with quiet():
        content = bytes(_converter(model, kind, representative).convert())
    if kind == "int8" and (found := _load(content).input_quantization) != (1.0, 0):
        raise DataError(
            f"the int8 model reads pixels with scale and zero point {found}, not (1.0, 0); "
            f"its first layer must take raw RGB 0…255: check the network"
        )
    return content


def check_kinds(kinds: Sequence[str]) -> None:
    """Raise :class:`ConfigError` unless ``kinds`` are some of :data:`KINDS`, each once."""
    for kind in kinds:
        if kind not in KINDS:
            near = difflib.get_close_matches(kind, KINDS, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"variant {kind!r} is none of {', '.join(KINDS)}{hint}")
    if not kinds or len(set(kinds)) < len(kinds):
        raise ConfigError(
            f"variants {','.join(kinds)!r} must be one or more, each once; say for example "
            f"--variants {','.join(SHIPPED)}"
        )


def _converter(model: Any, kind: str, representative: Images) -> Any:
    import tensorflow as tf
    from keras import Input, Model, ops

    shape = (1, *model.input_shape[1:])
    frame = Input(batch_shape=shape, dtype="float32" if kind == "int8" else "uint8", name="frame")
    values = frame if kind == "int8" else ops.cast(frame, "float32")
    outputs = model(values, training=False)
    if isinstance(outputs, list | tuple):
        outputs = dict(zip(model.output_names, outputs, strict=True))
    converter = tf.lite.TFLiteConverter.from_keras_model(Model(frame, outputs, name="car"))
    if kind == "float32":
        return converter
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    # tflite-runtime 2.14 does not load dense layers quantized per channel.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif kind == "int8":
        converter.representative_dataset = lambda: _calibration(representative)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
    return converter


def _load(content: bytes) -> Interpreter:
    with quiet():
        return Interpreter(content)


def run_file(content: bytes, batches: Iterable[tuple[Images, Any]]) -> Scores:
    """N×classes probabilities of a ``.tflite`` file for the images of ``batches``, one by one."""
    interpreter = _load(content)
    return np.array([interpreter.run(image) for images, _ in batches for image in images])


def latency_ms(content: bytes, runs: int = 60) -> float:
    """The median time of one inference on one thread of this machine, in ms."""
    interpreter = _load(content)
    image = np.full(interpreter.shape[1:], 127, np.uint8)
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        interpreter.run(image)
        times.append(time.perf_counter() - started)
    return float(np.median(times) * 1e3)


@dataclass(frozen=True)
class Parity:
    """How far a converted file follows the Keras model it came from, on held-out frames.

    ``agreement`` is the share of frames with the same answer, ``accuracy_loss`` what
    was lost (negative: won) of ``keras_accuracy``, and ``recall_by_class`` pairs
    Keras' and the file's recall for each class number that has frames.
    ``agreement_by_head`` is the agreement on each part of a class that is a tuple.
    """

    frames: int
    agreement: float
    keras_accuracy: float
    accuracy: float
    recall_by_class: dict[int, tuple[float, float]]
    agreement_by_head: dict[str, float] = field(default_factory=dict)

    @property
    def accuracy_loss(self) -> float:
        """Accuracy of Keras less accuracy of the file, 0…1."""
        return self.keras_accuracy - self.accuracy

    @property
    def holds(self) -> bool:
        """Whether the file drives as the model did: 98 % agree, at most 1 point lost."""
        return self.agreement >= MIN_AGREEMENT and self.accuracy_loss <= MAX_ACCURACY_LOSS + 1e-9

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {**asdict(self), "accuracy_loss": self.accuracy_loss, "holds": self.holds}


def parity(
    truth: npt.NDArray[Any], keras_scores: Scores, file_scores: Scores, heads: Heads | None = None
) -> Parity:
    """Hold a file's N×classes scores against the Keras model's, and both against N classes."""
    keras, file = keras_scores.argmax(1), file_scores.argmax(1)
    recall = {}
    for label in np.unique(truth).tolist():
        rows = truth == label
        recall[label] = (float((keras[rows] == label).mean()), float((file[rows] == label).mean()))
    return Parity(
        frames=len(truth),
        agreement=float((keras == file).mean()),
        keras_accuracy=float((keras == truth).mean()),
        accuracy=float((file == truth).mean()),
        recall_by_class=recall,
        agreement_by_head=head_shares(heads, keras, file) if heads else {},
    )


def _calibration(images: Images) -> Iterator[list[npt.NDArray[np.float32]]]:
    # The all-black and all-white frames pin the input's range to 0…255 on any data.
    ends = np.zeros((2, *images.shape[1:]), np.uint8)
    ends[1] = 255
    for image in (*ends, *images):
        yield [image[np.newaxis].astype(np.float32)]
