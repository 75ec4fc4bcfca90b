"""What a network costs: parameters, multiplications, and time on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Cost:
    """``parameters``, ``macs`` (multiply-adds a frame), and ms a frame by kind of file."""

    parameters: int
    macs: int
    latency_ms: dict[str, float]


def cost(model: Any, kinds: tuple[str, ...] = ("int8", "float32")) -> Cost:
    """The cost of a Keras model; each kind is converted and timed on one thread here."""
    from trainer.proof.quantize import latency_ms, to_tflite

    height, width = model.input_shape[1:3]
    examples = np.random.default_rng(0).integers(0, 256, (32, height, width, 3), np.uint8)
    times = {kind: latency_ms(to_tflite(model, kind, examples)) for kind in kinds}
    return Cost(model.count_params(), macs(model), times)


def macs(model: Any) -> int:
    """Multiply-adds of one frame: those of convolutions and dense layers, which are nearly all."""
    return sum(_layer_macs(layer) for layer in model._flatten_layers(include_self=False))


def _layer_macs(layer: Any) -> int:
    """Each value of a kernel is used once for each place it is laid on."""
    kind = type(layer).__name__
    if kind == "SeparableConv2D":
        places = prod(layer.output.shape[1:3])
        kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
        return int(places * sum(prod(kernel.shape) for kernel in kernels))
    if kind == "Conv2DTranspose":
        return int(prod(layer.input.shape[1:3]) * prod(layer.kernel.shape))
    if kind in ("Conv2D", "DepthwiseConv2D"):
        return int(prod(layer.output.shape[1:3]) * prod(layer.kernel.shape))
    if kind == "Dense":
        return int(prod(layer.output.shape[1:-1]) * prod(layer.kernel.shape))
    return 0
