"""A Raspberry Pi car that learns to drive from its driver.

The names of AutCar's scripts are here, each loaded when it is first used, so
that ``import autcar`` stays light on the car.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_LAZY = {
    "Camera": "capture.autcar_api",
    "Capture": "capture.autcar_api",
    "Car": "capture.autcar_api",
    "Driver": "edge.autcar_api",
    "Model": "edge.autcar_api",
    "RemoteController": "capture.autcar_api",
    "Trainer": "trainer.autcar_api",
}

__all__ = [
    "Camera",
    "Capture",
    "Car",
    "Driver",
    "Model",
    "RemoteController",
    "Trainer",
    "__version__",
]

if TYPE_CHECKING:
    from capture.autcar_api import Camera, Capture, Car, RemoteController
    from edge.autcar_api import Driver, Model
    from trainer.autcar_api import Trainer


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'autcar' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
