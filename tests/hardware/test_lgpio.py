"""The motor drivers through gpiozero's own lgpio factory, on lines of our own."""

import importlib
import os
import sys
from pathlib import Path

import pytest
from gpiozero import Device

from autcar.errors import MotorError
from autcar.motors import open_motors
from autcar.testing import check_motors

CHIPS = Path(__file__).parent / "chips"
REVISIONS = {"Pi 4": 0xC03111, "Pi 5": 0xD04171}
PINS = {
    "stepper": (17, 18, 27, 22, 23, 24, 25, 4),
    "bridge": (12, 16, 20, 13, 19, 26),
}


@pytest.fixture(params=REVISIONS)
def chip(request, monkeypatch):
    """The lines of a Pi; nothing chooses another pin factory."""
    monkeypatch.syspath_prepend(CHIPS)
    for name in ("lgpio", "gpiozero.pins.lgpio"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.delenv("LG_WD", raising=False)
    monkeypatch.setattr(Device, "pin_factory", None)
    factory = importlib.import_module("gpiozero.pins.lgpio").LGPIOFactory
    monkeypatch.setattr(factory, "_get_revision", lambda self: REVISIONS[request.param])
    yield sys.modules["lgpio"].CHIP
    sys.modules.pop("lgpio", None)
    sys.modules.pop("gpiozero.pins.lgpio", None)


def wheels_of(chip, driver):
    """What the wheels of a bridge do, from the levels and duties of its pins."""

    def wheel(enable, forwards, backwards):
        line = chip.lines[enable]
        duty = line.pulses[1] / 100 if line.pulses else float(line.level or 0)
        return duty * (chip.lines[forwards].level - chip.lines[backwards].level)

    return wheel(12, 16, 20), wheel(13, 19, 26)


def test_a_bridge_keeps_the_contract(chip):
    check_motors(
        lambda: open_motors({"driver": "bridge", "ramp_s": 0.02}),
        lambda: wheels_of(chip, "bridge"),
    )
    assert chip.lines[12].most == 100
    assert os.environ["LG_WD"], "lgpio needs a folder to write to"


@pytest.mark.parametrize("driver", PINS)
@pytest.mark.parametrize("level", [True, False])
def test_at_rest_and_closed_each_line_is_driven_low(chip, driver, level):
    """Whatever level a pulse has when it ends, and without a moment in which a line floats."""
    chip.pulsing_high = level
    motors = open_motors({"driver": driver, "ramp_s": 0.0})
    motors.drive(0.7, -0.35)
    while not any(chip.lines[pin].level for pin in PINS[driver]):
        if not level and driver == "bridge" and chip.lines[12].pulses:
            break
    motors.stop()
    assert [chip.lines[pin].level for pin in PINS[driver]] == [0] * len(PINS[driver])
    assert not any(chip.lines[pin].pulses for pin in PINS[driver])
    motors.drive(0.7, 0.7)
    motors.close()
    assert [chip.lines[pin].level for pin in PINS[driver]] == [0] * len(PINS[driver])
    assert all(chip.lines[pin].output for pin in PINS[driver])
    assert not chip.open
    assert not chip.owned


def test_a_line_that_another_program_has(chip):
    chip.elsewhere.add(16)
    with pytest.raises(MotorError, match="GPIO16 is in use by another program"):
        open_motors({"driver": "bridge"})
    assert not chip.owned
    chip.elsewhere.clear()
    open_motors({"driver": "bridge"}).close()


def test_a_chip_that_is_not_ours(chip, monkeypatch):
    def refused(number):
        raise sys.modules["lgpio"].error("'can not open gpiochip'")

    monkeypatch.setattr(sys.modules["lgpio"], "gpiochip_open", refused)
    monkeypatch.setattr("autcar.motors.gpio.os.path.exists", lambda path: True)
    monkeypatch.setattr("autcar.motors.gpio.os.access", lambda path, mode: False)
    with pytest.raises(MotorError, match=r"cannot be reached.*sudo usermod -aG gpio \$USER"):
        open_motors({"driver": "stepper"})
