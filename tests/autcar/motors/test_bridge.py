"""DC motors on every bridge, as a Pi 4 and a Pi 5: pins and duty of each command."""

import pytest
from gpiozero import Device

from autcar.commands import CLASSES
from autcar.errors import ConfigError, MotorError
from autcar.motors import open_motors
from autcar.motors.bridge import BridgeMotors, BridgeSettings
from autcar.testing import check_motors

THREE = {"left_pins": "GPIO12 GPIO16 GPIO20", "right_pins": "GPIO13 GPIO19 GPIO26"}
TWO = {"left_pins": "GPIO12 GPIO16", "right_pins": "GPIO13 GPIO19"}
BRIDGES = {
    "L298N": THREE,
    "TB6612": THREE | {"standby_pin": "GPIO21"},
    "DRV8833": TWO | {"standby_pin": "GPIO21"},
    "phase-enable": TWO,
}


def expected(bridge, speed):
    """What each pin of a motor is to do at a speed."""
    forwards, backwards, duty = float(speed > 0), float(speed < 0), abs(speed)
    if bridge == "DRV8833":
        return (duty * forwards, duty * backwards)
    if bridge == "phase-enable":
        return (backwards, duty)
    return (duty, forwards, backwards)


def turning(bridge, levels):
    """Which way a motor turns that sees these levels."""
    if bridge == "DRV8833":
        return levels[0] - levels[1]
    if bridge == "phase-enable":
        return -levels[1] if levels[0] else levels[1]
    return levels[0] * (levels[1] - levels[2])


def names_of(settings):
    return " ".join(settings[key] for key in settings)


@pytest.mark.parametrize("bridge", BRIDGES)
def test_each_command_sets_its_pins(board, virtual, bridge):
    settings = BRIDGES[bridge]
    motors = BridgeMotors(BridgeSettings(bridge=bridge, **settings), pacer=virtual)
    for command in CLASSES:
        motors.drive(*command.wheels)
        virtual.pacer.advance(0.5)
        left, right = command.wheels
        assert board.levels(settings["left_pins"]) == pytest.approx(expected(bridge, left))
        assert board.levels(settings["right_pins"]) == pytest.approx(expected(bridge, right))
        if "standby_pin" in settings:
            assert board.level(settings["standby_pin"]) == (command.label != "stop")
        motors.stop()
        assert not any(board.levels(names_of(settings)))
        pulsed = [board.pin(name) for name in names_of(settings).split()]
        assert all(pin.frequency is None for pin in pulsed), "at rest there are no pulses"
    motors.close()


def test_the_ramp_and_the_pulses(board, virtual):
    settings = BridgeSettings(ramp_s=0.4, hertz=250.0)
    motors = BridgeMotors(settings, pacer=virtual)
    duties = []
    virtual.pacer.seen = lambda now_ns: duties.append(board.level("GPIO12"))
    motors.drive(1.0, 1.0)
    virtual.pacer.advance(1)
    assert board.pin("GPIO12").frequency == 250.0
    assert duties[0] == pytest.approx(0.05)
    assert duties[:20] == sorted(duties[:20])
    assert len([duty for duty in duties if duty < 1]) == 19
    assert virtual.pacer.due_ns is None, "nothing is left to do at speed"
    motors.drive(-1.0, -1.0)
    virtual.pacer.advance(0.3)
    assert board.levels("GPIO16 GPIO20") == (1, 0), "it slows down before it turns round"
    virtual.pacer.advance(1)
    assert board.levels("GPIO12 GPIO16 GPIO20") == (1, 0, 1)
    motors.drive(0, 0)
    assert not any(board.levels("GPIO12 GPIO16 GPIO20"))
    motors.close()


def test_dead_band_trim_swap_and_inversion(board, virtual):
    settings = BridgeSettings(dead_band=0.3, trim=-0.1, swap=True, invert_right=True)
    motors = BridgeMotors(settings, pacer=virtual)
    motors.drive(0.5, 1.0)
    virtual.pacer.advance(1)
    # The right wheel hangs on the left pins, turned round, and is slowed by the trim.
    assert board.levels("GPIO12 GPIO16 GPIO20") == pytest.approx((0.3 + 0.7 * 0.9, 0, 1))
    assert board.levels("GPIO13 GPIO19 GPIO26") == pytest.approx((0.3 + 0.7 * 0.5, 1, 0))
    motors.close()


@pytest.mark.parametrize("bridge", BRIDGES)
def test_the_contract(board, bridge):
    settings = BRIDGES[bridge]

    def open_driver():
        board.plug()
        return BridgeMotors(BridgeSettings(bridge=bridge, ramp_s=0.02, **settings))

    def wheels():
        return tuple(
            turning(bridge, board.levels(settings[key])) for key in ("left_pins", "right_pins")
        )

    check_motors(open_driver, wheels)


def test_what_does_not_fit_is_refused(board):
    with pytest.raises(ConfigError, match="bridge 'L289N' is not known; there are L298N"):
        open_motors({"driver": "bridge", "bridge": "L289N"})
    with pytest.raises(ConfigError, match="names 3 pins, expected 2; write them as in left_pins"):
        open_motors({"driver": "bridge", "bridge": "DRV8833"})
    with pytest.raises(ConfigError, match="unexpected keyword"):
        open_motors({"driver": "bridge", "pins": 3})


def test_a_pin_that_another_program_has(board):
    def busy(value):
        raise OSError("'GPIO busy'")

    board.pin("GPIO16")._set_function = busy
    with pytest.raises(MotorError, match=r"GPIO16 is in use by another program.*gpioinfo"):
        BridgeMotors()


def test_without_gpiozero_or_lgpio(monkeypatch):
    Device.pin_factory = None
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.setitem(__import__("sys").modules, "lgpio", None)
    monkeypatch.delitem(__import__("sys").modules, "gpiozero.pins.lgpio", raising=False)
    with pytest.raises(MotorError, match="sudo apt install python3-lgpio"):
        BridgeMotors()
