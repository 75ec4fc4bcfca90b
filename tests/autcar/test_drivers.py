"""Drivers by name, and their settings in car.toml; those of other packages by entry point."""

import sys

import pytest

from autcar.cameras import open_camera
from autcar.config import CameraSection, load_config, template
from autcar.errors import ConfigError
from autcar.motors import DRIVERS, open_motors

THEIRS = """
from dataclasses import dataclass
from autcar.drivers import setting
from autcar.motors.base import Motors

@dataclass(frozen=True)
class Settings:
    port: str = setting("/dev/ttyACM0", "serial port of the board")
    volume: float = setting(0.5, "how loud it beeps", 0, 1)

class BoardMotors(Motors):
    Settings = Settings
    def __init__(self, settings):
        self.settings = settings
    def drive(self, left, right):
        self.speeds = left, right
    def close(self):
        self.speeds = 0, 0
"""


@pytest.fixture
def their_package(tmp_path, monkeypatch):
    """A package from elsewhere that brings a motor driver."""
    about = tmp_path / "their_board-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-board\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        "[autcar.motors]\ntheir-board = their_board:BoardMotors\ngone = no_such_module:Motors\n"
    )
    (tmp_path / "their_board.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("their_board", None)


def test_a_driver_of_another_package(their_package):
    assert "their-board" in DRIVERS.names()
    motors = open_motors({"driver": "their-board", "port": "/dev/ttyS0"})
    assert motors.settings.port == "/dev/ttyS0"
    with pytest.raises(ConfigError, match="unexpected keyword"):
        open_motors({"driver": "their-board", "prot": "/dev/ttyS0"})
    with pytest.raises(ConfigError, match="did you mean 'their-board'"):
        open_motors({"driver": "theirboard"})
    with pytest.raises(ConfigError, match="'gone' of no_such_module:Motors cannot be loaded"):
        open_motors({"driver": "gone"})


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (
            'driver = "their-board"\nprot = "x"',
            r"car.toml:3: unknown key prot in.*did you mean port",
        ),
        ('driver = "their-board"\nvolume = 2.0', r"volume = 2.0: expected 0 to 1"),
        ('driver = "stepper"\nleft_pin = "x"', r"unknown key left_pin in.*did you mean left_pins"),
        ('driver = "bridge"\nstep_ms = 1', r"unknown key step_ms in"),
        ("ramp_s = 1", r"unknown key ramp_s in \[motors\]"),
        ('driver = "steper"\nramp_s = 1', r"driver 'steper' is not known; did you mean 'stepper'"),
    ],
)
def test_a_drivers_settings_are_checked(their_package, lines, says):
    path = their_package / "car.toml"
    path.write_text(f"[motors]\n{lines}\n")
    with pytest.raises(ConfigError, match=says):
        load_config(path)


@pytest.mark.parametrize("driver", ["stepper", "bridge", "servo", "their-board"])
def test_the_template_has_the_drivers_settings(their_package, driver):
    path = their_package / "car.toml"
    path.write_text(f'[motors]\ndriver = "{driver}"\n')
    path.write_text(template(load_config(path)))
    config = load_config(path)
    assert config.motors.driver == driver
    assert set(config.motors.options) == set(DRIVERS.settings(driver))
    assert (
        DRIVERS.settings_type(driver)(**config.motors.options) == DRIVERS.settings_type(driver)()
    )


def test_a_camera_that_is_not_known():
    with pytest.raises(ConfigError, match=r"\[camera\] driver 'picamera' is not known; did you"):
        open_camera(CameraSection("picamera"))
