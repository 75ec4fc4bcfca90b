"""Which layers of a network lose most when it becomes int8.

Both files run on the same frames with every intermediate result kept. What differs
at a layer is noise; a layer hurts by what it adds to the noise of those before it.
Noise is told over signal, both root mean squares, as a quantizer's quality is.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from autcar.interpreter import find_runtime
from trainer.quiet import quiet

FRAMES = 24

Values = npt.NDArray[np.float32]
Key = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class LayerNoise:
    """One layer: its ``noise`` as a share of its signal, and what it ``adds`` of that."""

    layer: str
    noise: float
    adds: float

    def __str__(self) -> str:
        return f"{self.layer}: {self.adds:.1%} of noise added, {self.noise:.1%} in all"


def layer_noise(model: Any, exact: bytes, rounded: bytes, images: Any) -> list[LayerNoise]:
    """The layers of a Keras ``model``, those that add most noise first.

    ``exact`` and ``rounded`` are its float32 and int8 files, ``images`` ``uint8``
    N×H×W×3; :data:`FRAMES` of them are looked at.
    """
    some = images[:: max(1, len(images) // FRAMES)][:FRAMES]
    expected, found = _activations(exact, some), _activations(rounded, some)
    rows = []
    before = 0.0
    # In the order of the file, which is that of computation.
    for key, values in expected.items():
        if key not in found or (values == values[0]).all():  # Weights are no layers.
            continue
        noise = _rms(found[key] - values) / max(_rms(values), 1e-9)
        rows.append(LayerNoise(_layer_name(model, *key), noise, noise - before))
        before = noise
    return sorted(rows, key=lambda row: row.adds, reverse=True)


def _activations(content: bytes, images: Any) -> dict[Key, Values]:
    """What each operation gave for each image as floats, by the tensor's name and shape."""
    _, runtime = find_runtime()
    # XNNPACK, the default delegate, would fuse operations and keep nothing between them.
    plain = importlib.import_module(runtime.__module__).OpResolverType
    with quiet():
        interpreter = runtime(
            model_content=content,
            num_threads=1,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=plain.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    results = {
        (tensor["name"], tuple(tensor["shape"].tolist())): tensor
        for tensor in interpreter.get_tensor_details()
        if tensor["name"] and tensor["index"] != entry["index"] and len(tensor["shape"]) > 1
    }
    kept: dict[Key, list[Values]] = {key: [] for key in results}
    for image in images:
        interpreter.set_tensor(entry["index"], image[np.newaxis])
        interpreter.invoke()
        for key, tensor in results.items():
            scale, zero = tensor["quantization"]
            values = interpreter.get_tensor(tensor["index"]).astype(np.float32)
            kept[key].append((values - zero) * scale if scale else values)
    return {key: np.stack(values) for key, values in kept.items()}


def _layer_name(model: Any, tensor: str, shape: tuple[int, ...]) -> str:
    """The Keras layer that made a tensor: the only one of its shape, or as the file says."""
    named = [
        layer.name
        for layer in model.layers
        if hasattr(layer, "kernel") and tuple(layer.output.shape[1:]) == shape[1:]
    ]
    if len(named) == 1:
        return str(named[0])
    size = "×".join(map(str, shape[1:]))
    return f"{'/'.join(tensor.split(';')[0].split('/')[-2:])} ({size})"


def _rms(values: Values) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
