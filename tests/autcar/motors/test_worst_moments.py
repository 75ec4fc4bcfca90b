"""Closing at the worst moment: a lock left held, a pin that fails, a thread that died."""

import time

import pytest

from autcar.errors import MotorError
from autcar.motors.bridge import BridgeMotors
from autcar.motors.gpio import Pins
from autcar.motors.pacer import Pacer
from autcar.motors.stepper import StepperMotors

PINS = {StepperMotors: "GPIO17 GPIO23", BridgeMotors: "GPIO12 GPIO16 GPIO13 GPIO19"}


@pytest.mark.parametrize("driver", PINS)
def test_a_lock_that_was_left_held_does_not_keep_the_wheels_turning(board, driver):
    """As when a signal unwinds the guardian between taking a lock and using it."""
    motors = driver()
    watched = [board.pin(name) for name in PINS[driver].split()]
    motors.drive(0.7, 0.7)
    time.sleep(0.05)
    motors._lock.acquire()
    began = time.monotonic()
    motors.close()
    assert time.monotonic() - began < 1
    assert not any(pin.state for pin in watched)


def test_one_pin_that_fails_does_not_keep_the_others_high(board):
    pins = Pins(["GPIO17", "GPIO18"], ["GPIO12"], 100.0)
    watched = [board.pin(name) for name in ("GPIO17", "GPIO18", "GPIO12")]
    pins.set("GPIO17", 1)
    pins.set("GPIO18", 1)
    pins.set("GPIO12", 0.5)

    def broken(value):
        raise OSError("wire cut")

    watched[0]._set_state = broken
    with pytest.raises(MotorError, match="GPIO17 cannot be driven: wire cut"):
        pins.close()
    assert [pin.state for pin in watched] == [1, 0, 0]
    pins.close()


def test_a_ramp_that_failed_is_reported_and_the_wheels_rest(board):
    motors = BridgeMotors()
    pins = [board.pin(name) for name in ("GPIO12", "GPIO16", "GPIO20")]

    def broken(value):
        raise OSError("wire cut")

    pins[1]._set_state, intact = broken, pins[1]._set_state
    motors.drive(0.7, 0.7)
    while motors._pacer.failure is None:
        time.sleep(0.001)
    pins[1]._set_state = intact
    with pytest.raises(MotorError, match="ramps the motors failed.*wire cut"):
        motors.drive(0.7, 0.7)
    assert not any(pin.state for pin in pins)
    motors.close()


def test_the_pacer_keeps_time_and_ends():
    """Each tick is due on a grid, however late the one before was."""
    due = []

    def tick(now_ns):
        due.append(now_ns)
        return start_ns + len(due) * 5_000_000 if len(due) < 40 else None

    start_ns = time.monotonic_ns()
    pacer = Pacer(tick)
    pacer.poke()
    while len(due) < 40:
        time.sleep(0.01)
    took_s = (due[-1] - start_ns) / 1e9
    assert 0.19 < took_s < 0.4
    pacer.close()
    pacer.close()
    assert not pacer._thread.is_alive()
