"""Cameras: one file per driver, chosen by name in ``car.toml``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autcar.drivers import Drivers
from autcar.errors import ConfigError

if TYPE_CHECKING:
    from autcar.cameras.base import Camera
    from autcar.config import CameraSection

DRIVERS = Drivers(
    "camera",
    "autcar.cameras",
    {
        "simulator": "autcar.cameras.simulator:SimulatedCamera",
        "picamera2": "autcar.cameras.picamera2:Picamera2Camera",
        "opencv": "autcar.cameras.opencv:OpencvCamera",
        "replay": "autcar.cameras.replay:ReplayCamera",
    },
)
"""Every camera driver by name. A driver's module is imported when it is asked for."""


def open_camera(section: CameraSection) -> Camera:
    """Open the camera that ``[camera]`` describes; it comes back by itself when it fails.

    A driver is called with width, height, fps and, where it declares ``Settings``, one of
    these. Raises :class:`ConfigError` for a name or setting that is not known,
    :class:`CameraError` when the camera cannot be opened.
    """
    from autcar.cameras.picture import Picture
    from autcar.cameras.steady import SteadyCamera

    driver = DRIVERS.find(section.driver)
    kind = DRIVERS.settings_type(section.driver)
    picture = Picture(section)
    try:
        settings = (kind(**section.options),) if kind is not None else ()
    except TypeError as error:
        raise ConfigError(f"[camera] driver {section.driver!r}: {error}") from error
    return SteadyCamera(
        lambda: driver(picture.raw_width, picture.raw_height, section.fps, *settings), picture
    )
