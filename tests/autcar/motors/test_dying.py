"""Each driver in the real guardian process, which dies in every way; its pins are watched.

The pins stand in a file, as a Raspberry Pi's stand in its chip: killing their owner
leaves them as they are.
"""

import os
import signal
import time
from pathlib import Path

import pytest

from autcar.config import load_config
from autcar.errors import MotorError
from autcar.vehicle import open_vehicle
from autcar.wheels import GuardedWheels
from tests.autcar.motors import fake_pwm
from tests.hardware.wired_pins import wired_pins

MS = 1_000_000
FOLDER = Path(wired_pins.__file__).parent
STEPPER = (17, 18, 27, 22, 23, 24, 25, 4)
DRIVERS = {
    "stepper": ({"driver": "stepper"}, STEPPER),
    "L298N": ({"driver": "bridge"}, (12, 16, 20, 13, 19, 26)),
    "DRV8833": (
        {
            "driver": "bridge",
            "bridge": "DRV8833",
            "left_pins": "GPIO12 GPIO16",
            "right_pins": "GPIO13 GPIO19",
            "standby_pin": "GPIO21",
        },
        (12, 16, 13, 19, 21),
    ),
    "servo": ({"driver": "servo"}, ()),
}


class Vehicle:
    """A guardian with a driver, and eyes on its pins."""

    def __init__(self, name, tmp_path):
        settings, self.pins = DRIVERS[name]
        self.path = tmp_path / "pins"
        self.folder = tmp_path / "class"
        self.wheels = GuardedWheels(settings)

    def at_rest(self):
        """Every pin is driven low, or the ESC has its neutral pulse or none."""
        if not self.pins:
            return fake_pwm.pulse_us(self.folder, "pwmchip0", 1) in (0, 1500)
        return all(wired_pins.level(self.path, pin) == 0 for pin in self.pins)

    def drive(self, lease_ms=900):
        self.wheels.arm()
        now = time.monotonic_ns()
        self.wheels.drive(0.7, 0.35, now, now + lease_ms * MS)
        self.wait(moving=True, within_s=0.5)

    def drive_on(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = time.monotonic_ns()
            self.wheels.drive(0.7, 0.35, now, now + 900 * MS)
            time.sleep(0.01)

    def wait(self, *, moving=False, within_s=2.0):
        began = time.monotonic()
        while self.at_rest() is moving:
            assert time.monotonic() - began < within_s
            time.sleep(0.001)
        return time.monotonic() - began

    def stays_at_rest(self):
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            assert self.at_rest()


@pytest.fixture
def wired(tmp_path, monkeypatch):
    """A Pi whose pins are in a file, for this process's children."""
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "wired")
    monkeypatch.setenv("AUTCAR_PINS", str(tmp_path / "pins"))
    monkeypatch.setenv("AUTCAR_PWM", str(fake_pwm.make(tmp_path, "Pi 4")))
    monkeypatch.setenv("PYTHONPATH", str(FOLDER), prepend=os.pathsep)
    wired_pins.make(tmp_path / "pins")
    return tmp_path / "pins"


@pytest.fixture(params=DRIVERS)
def vehicle(request, tmp_path, wired):
    vehicle = Vehicle(request.param, tmp_path)
    assert vehicle.at_rest(), "an opened driver is at rest"
    yield vehicle
    vehicle.wheels.close()
    vehicle.stays_at_rest()


def test_stop_expiry_and_sigterm(vehicle):
    vehicle.drive()
    vehicle.wheels.stop()
    assert vehicle.wait() < 0.1
    vehicle.stays_at_rest()
    vehicle.drive(lease_ms=200)
    assert vehicle.wait() < 0.3
    vehicle.stays_at_rest()
    vehicle.drive()
    os.kill(vehicle.wheels.pid, signal.SIGTERM)
    assert vehicle.wait() < 0.1
    vehicle.stays_at_rest()


def test_end_of_file(vehicle):
    vehicle.drive()
    vehicle.wheels._link.close()
    assert vehicle.wait() < 0.1
    vehicle.stays_at_rest()


def test_killed_and_revived(vehicle):
    """Nothing helps the pins of a killed guardian but the next one, which opens them at rest."""
    vehicle.drive()
    os.kill(vehicle.wheels.pid, signal.SIGKILL)
    time.sleep(0.05)
    assert not vehicle.at_rest(), "the pins keep their level, as on a Raspberry Pi"
    with pytest.raises(MotorError, match="another one has brought the wheels to rest"):
        vehicle.drive_on(2.0)
    assert vehicle.at_rest()


def test_a_whole_car_as_car_toml_says(wired, make_session, tmp_path):
    path = tmp_path / "car.toml"
    path.write_text(
        f"""
[camera]
driver = "replay"
session = "{make_session()}"
width = 64
height = 48
[motors]
driver = "bridge"
left_pins = "GPIO5 BOARD31 GPIO13"
right_pins = "GPIO16 GPIO20 GPIO21"
invert_left = true
ramp_s = 0.0
"""
    )
    with open_vehicle(load_config(path)) as car:
        frame = car.camera.read()
        car.wheels.arm()
        car.wheels.drive(0.7, 0.35, frame.time_ns, car.clock() + 900 * MS)
        end = time.monotonic() + 1
        while wired_pins.level(wired, 16) == 0 and time.monotonic() < end:
            time.sleep(0.005)
        levels = [wired_pins.level(wired, pin) for pin in (5, 6, 13, 16, 20, 21)]
        assert levels == pytest.approx([0.7, 0, 1, 0.35, 1, 0])
    assert [wired_pins.level(wired, pin) for pin in (5, 6, 13, 16, 20, 21)] == [0] * 6
