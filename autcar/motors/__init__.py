"""Motors: one file per driver, chosen by name in ``car.toml``. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autcar.drivers import Drivers
from autcar.errors import ConfigError, MotorError
from autcar.motors.base import Motors

DRIVERS = Drivers(
    "motors",
    "autcar.motors",
    {
        "simulator": "autcar.motors.simulator:SimulatedMotors",
        "stepper": "autcar.motors.stepper:StepperMotors",
        "bridge": "autcar.motors.bridge:BridgeMotors",
        "servo": "autcar.motors.servo:ServoMotors",
    },
)
"""Every motor driver by name. A driver's module is imported when it is opened."""


def open_motors(settings: Mapping[str, Any]) -> Motors:
    """Open the driver named by ``settings["driver"]`` with the other settings as arguments.

    A driver that declares ``Settings`` is given one of these. The wheels are at rest when
    it returns. Raises :class:`ConfigError` for a name or setting that is not known,
    :class:`MotorError` when the hardware cannot be opened.
    """
    options = dict(settings)
    name = str(options.pop("driver", ""))
    driver = DRIVERS.find(name)
    kind = DRIVERS.settings_type(name)
    try:
        motors: Motors = driver(kind(**options)) if kind is not None else driver(**options)
    except TypeError as error:
        raise ConfigError(f"[motors] driver {name!r}: {error}") from error
    except MotorError:
        raise
    except OSError as error:
        raise MotorError(f"the motors ({name}) cannot be opened: {error}") from error
    return motors
