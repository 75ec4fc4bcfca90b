"""Motors: one file per driver, chosen by name in ``car.toml``. Imports nothing heavy."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

from autcar.errors import ConfigError, MotorError
from autcar.motors.base import Motors

DRIVERS: Mapping[str, str] = {
    "simulator": "autcar.motors.simulator:SimulatedMotors",
}
"""Driver name → ``module:class``. A driver's module is imported when it is opened."""


def open_motors(settings: Mapping[str, Any]) -> Motors:
    """Open the driver named by ``settings["driver"]`` with the other settings as arguments.

    The wheels are at rest when it returns. Raises :class:`ConfigError` for a name or
    setting that is not known, :class:`MotorError` when the hardware cannot be opened.
    """
    options = dict(settings)
    name = str(options.pop("driver", ""))
    if name not in DRIVERS:
        near = difflib.get_close_matches(name, DRIVERS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(DRIVERS)}"
        raise ConfigError(f"[motors] driver {name!r} is not known; {hint}")
    module, _, attribute = DRIVERS[name].partition(":")
    driver = getattr(importlib.import_module(module), attribute)
    try:
        motors: Motors = driver(**options)
    except TypeError as error:
        raise ConfigError(f"[motors] driver {name!r}: {error}") from error
    except OSError as error:
        raise MotorError(f"the motors ({name}) cannot be opened: {error}") from error
    return motors
