"""The networks, chosen by name.

Each is one small file with ``build(height, width, classes) -> keras.Model``: raw
RGB frames in (0…255, N×H×W×3), one probability per class out, normalisation
inside. ``module:function`` names anyone's own function of that form.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from pathlib import Path
from typing import Any

from autcar.errors import ConfigError
from trainer.networks.adapt import adapt, spread

__all__ = ["DEFAULT", "NETWORKS", "adapt", "build_network", "spread"]

NETWORKS = {
    "compact": "four strided convolutions; small, fast, the default",
    "autcar": "the network of AutCar's tutorial, stated as height × width × 3",
    "pilotnet": "NVIDIA's five convolutions, with batch normalisation",
}
"""The built-in networks and what each is, in one line."""

DEFAULT = "compact"


def build_network(name: str, height: int, width: int, classes: int) -> Any:
    """The untrained ``keras.Model`` called ``name``, or made by ``module:function``.

    It takes N×``height``×``width``×3 RGB, 0…255, and gives N×``classes``
    probabilities. Raises :class:`ConfigError` for a name that is not known, a
    function that is not there, or a model that does not fit.
    """
    if ":" in name:
        return adapt(_own_builder(name)(height, width, classes), height, width, classes)
    if name not in NETWORKS:
        near = difflib.get_close_matches(name, NETWORKS, 1)
        hint = f"did you mean --network {near[0]}?" if near else "or give your own module:function"
        raise ConfigError(f"network {name!r} is not one of {', '.join(NETWORKS)}; {hint}")
    return importlib.import_module(f"trainer.networks.{name}").build(height, width, classes)


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
