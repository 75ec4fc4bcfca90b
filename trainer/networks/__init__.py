"""The networks, chosen by name.

Each is one small file with ``build(height, width, classes) -> keras.Model``: raw
RGB frames in (0…255, N×H×W×3), one probability per class out, normalisation
inside. ``module:function`` names anyone's own function of that form, and a path that
ends in ``.keras`` a model that was saved. A network with heads gives a dictionary of
probabilities by head in their place.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autcar.errors import ConfigError
from trainer.data.heads import Heads
from trainer.networks.adapt import adapt, spread
from trainer.networks.heads import joined, with_heads

__all__ = [
    "DEFAULT",
    "NETWORKS",
    "PIXEL_NETWORKS",
    "adapt",
    "build_heads",
    "build_network",
    "build_pixel_network",
    "check_name",
    "has_heads",
    "joined",
    "precision",
    "spread",
]

NETWORKS = {
    "compact": "five strided convolutions; small, fast, the default",
    "autcar": "the network of AutCar's tutorial, stated as height × width × 3",
    "pilotnet": "NVIDIA's five convolutions, with batch normalisation",
    "star": "three convolutions with max-pooling and batch normalisation, He, L2",
    "attention": "12-head attention over a grid of places, for classes that differ in small parts",
    "factored": "the compact one with heads for turn, strength and direction",
}
"""The built-in networks and what each is, in one line."""

PIXEL_NETWORKS = {
    "follow": "finds what is a few pixels large; the default for images with masks",
    "fcn": "as the author of Udacity's Follow Me describes it",
}
"""The built-in networks that give each pixel's class, and what each is."""

DEFAULT = "compact"


def build_network(name: str, height: int, width: int, classes: int) -> Any:
    """The untrained ``keras.Model`` called ``name``, or made by ``module:function``.

    It takes N×``height``×``width``×3 RGB, 0…255, and gives N×``classes``
    probabilities. Raises :class:`ConfigError` for a name that is not known, a
    function that is not there, or a model that does not fit.
    """
    if name.endswith(".keras"):
        return adapt(_saved(Path(name)), height, width, classes)
    if ":" in name:
        return adapt(_own_builder(name)(height, width, classes), height, width, classes)
    return _module(name).build(height, width, classes)


def build_heads(name: str, height: int, width: int, heads: Heads) -> Any:
    """The same network with one output for each head: a dictionary of N×classes by head.

    One's own function may return such a dictionary itself; any network that ends in a
    dense layer gets its heads in that layer's place.
    """
    if name.endswith(".keras"):
        model = _saved(Path(name))
    elif ":" in name:
        model = _own_builder(name)(height, width, len(heads.classes))
    elif has_heads(name):
        return _module(name).build_heads(height, width, heads)
    else:
        model = _module(name).build(height, width, len(heads.classes))
    shapes = model.compute_output_shape(model.input_shape)
    return model if isinstance(shapes, dict) else with_heads(model, heads)


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Networks built here compute in ``name``, such as ``bfloat16``; weights are ``float32``."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name if name == "float32" else f"mixed_{name}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def build_pixel_network(name: str, height: int, width: int, classes: int) -> Any:
    """As :func:`build_network`, but it gives N×``height``×``width``×``classes``.

    A model of one's own is taken as it is. Raises :class:`ConfigError` for a name that
    is not known, and for a size that the network does not take.
    """
    if name.endswith(".keras"):
        raise ConfigError(
            f"{name} has one size, and a network for masks is made in two, for crops and for "
            f"whole images; give the function that makes it as module:function"
        )
    if ":" in name:
        return _own_builder(name)(height, width, classes)
    return _module(name, PIXEL_NETWORKS).build(height, width, classes)


def has_heads(name: str) -> bool:
    """Whether the network has heads for the commands by itself."""
    return name == "factored"


def check_name(name: str, known: Mapping[str, str] = NETWORKS) -> None:
    """Raise :class:`ConfigError` for a name that is neither ``known`` nor one's own."""
    if name not in known and ":" not in name and not name.endswith(".keras"):
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean --network {near[0]}?" if near else "or give your own module:function"
        raise ConfigError(f"network {name!r} is not one of {', '.join(known)}; {hint}")


def _module(name: str, known: Mapping[str, str] = NETWORKS) -> Any:
    check_name(name, known)
    return importlib.import_module(f"trainer.networks.{name}")


def _saved(path: Path) -> Any:
    import keras

    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"network {path} cannot be loaded ({error}); save one with model.save('{path.name}')"
        ) from error


def _own_builder(name: str) -> Any:
    module_name, _, function = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return getattr(importlib.import_module(module_name), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"network {name!r} cannot be loaded ({error}); write "
            f"`def {function or 'build'}(height, width, classes)` that returns a Keras model "
            f"into {module_name}.py in this folder"
        ) from error
