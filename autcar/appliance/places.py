"""Where the car keeps what it lives on. Tests and unusual cars move it by environment."""

from __future__ import annotations

import os
from pathlib import Path

CONFIG = "etc/autcar/car.toml"
SOFTWARE = "opt/autcar"


def state() -> Path:
    """What must survive a restart: models, recordings, the log of deployments."""
    return _place("AUTCAR_STATE", "STATE_DIRECTORY", "/var/lib/autcar")


def running() -> Path:
    """What must not survive a restart: the control socket, a model on trial."""
    return _place("AUTCAR_RUN", "RUNTIME_DIRECTORY", "/run/autcar")


def config() -> Path:
    """The car's own ``car.toml``."""
    return Path(os.environ.get("AUTCAR_CONFIG", f"/{CONFIG}"))


def _place(ours: str, systemds: str, usual: str) -> Path:
    return Path(os.environ.get(ours) or os.environ.get(systemds) or usual)
