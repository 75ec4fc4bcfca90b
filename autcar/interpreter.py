"""Runs a ``.tflite`` file with whichever runtime is installed.

LiteRT first (it alone accelerates int8), then tflite-runtime, then the one
inside TensorFlow. tflite-runtime is never imported in a process that has
TensorFlow loaded: the two do not live together.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autcar.cameras.base import Image
from autcar.errors import BundleError, RuntimeMissingError

_RUNTIMES = (
    ("LiteRT", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
    ("TensorFlow", "tensorflow.lite"),
)


def find_runtime() -> tuple[str, Any]:
    """The name and the ``Interpreter`` class of the best runtime that is installed.

    Raises :class:`RuntimeMissingError` when there is none.
    """
    for name, module in _RUNTIMES:
        if name == "tflite-runtime" and "tensorflow" in sys.modules:
            continue
        try:
            return name, importlib.import_module(module).Interpreter
        except ImportError:
            continue
    raise RuntimeMissingError(
        "no TensorFlow Lite runtime is installed; install one with `pip install ai-edge-litert`"
    )


@contextmanager
def _muted() -> Iterator[None]:
    """Keep native code from writing to the process's error output: it greets at each model."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class Interpreter:
    """A loaded model: ``uint8`` frames in, ``float32`` scores out.

    Input and output tensors are looked up once; a quantized output is brought
    back to floats. Raises :class:`BundleError` when the file is no model or its
    input is not 1 × height × width × 3 ``uint8``.
    """

    def __init__(self, model: str | Path | bytes, threads: int = 1) -> None:
        self.runtime, runtime_class = find_runtime()
        name = "model" if isinstance(model, bytes) else str(model)
        content = model if isinstance(model, bytes) else Path(model).read_bytes()
        try:
            with _muted():
                self._interpreter = runtime_class(model_content=content, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise BundleError(f"{name} does not load in {self.runtime}: {error}") from error
        entry, *more = self._interpreter.get_input_details()
        if more:
            raise BundleError(
                f"{name} takes {1 + len(more)} inputs, the car feeds one frame; convert a network "
                f"with one input with `autcar train`"
            )
        self._input = int(entry["index"])
        self.shape: tuple[int, ...] = tuple(int(size) for size in entry["shape"])
        self.input_quantization: tuple[float, int] = entry["quantization"]
        if entry["dtype"] is not np.uint8 or len(self.shape) != 4 or self.shape[3] != 3:
            raise BundleError(
                f"{name} takes {entry['dtype'].__name__} {self.shape}, the car feeds "
                f"uint8 (1, height, width, 3); convert it with `autcar train`"
            )
        outputs = self._interpreter.get_output_details()
        self._outputs = [(int(out["index"]), *out["quantization"]) for out in outputs]
        self.output_shapes = [tuple(int(size) for size in out["shape"]) for out in outputs]

    def run(self, image: Image) -> npt.NDArray[np.float32]:
        """The model's first output for one ``uint8`` H×W×3 RGB image, as flat ``float32``.

        Raises ``ValueError`` when the image has not the model's shape.
        """
        self._invoke(image)
        return self._read(*self._outputs[0])

    def run_heads(self, image: Image) -> dict[str, npt.NDArray[np.float32]]:
        """Every output for one image, as :meth:`run` gives the first, by its head's name.

        Raises :class:`BundleError` when the file does not name its outputs.
        """
        self._invoke(image)
        return {name: self._read(*where) for name, where in self._heads.items()}

    @cached_property
    def _heads(self) -> dict[str, tuple[int, float, int]]:
        # A file's outputs stand in no promised order; only its signature names them.
        try:
            named = self._interpreter.get_signature_runner().get_output_details()
        except ValueError as error:
            raise BundleError(
                f"the model does not name its outputs ({error}); convert it with `autcar train`"
            ) from error
        return {name: (int(out["index"]), *out["quantization"]) for name, out in named.items()}

    def _invoke(self, image: Image) -> None:
        self._interpreter.set_tensor(self._input, image[np.newaxis])
        self._interpreter.invoke()

    def _read(self, index: int, scale: float, zero: int) -> npt.NDArray[np.float32]:
        output = self._interpreter.get_tensor(index)[0]
        if scale:
            return np.asarray((output.astype(np.float32) - zero) * scale, np.float32)
        return np.asarray(output, np.float32)
