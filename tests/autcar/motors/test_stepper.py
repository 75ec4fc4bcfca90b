"""The steppers as AutCar's Model One wires them, over simulated time, as a Pi 4 and a Pi 5."""

import random
from itertools import pairwise

import pytest

from autcar.commands import CLASSES
from autcar.errors import ConfigError, MotorError
from autcar.motors import open_motors
from autcar.motors.stepper import SEQUENCE, StepperMotors, StepperSettings
from autcar.testing import check_motors

LEFT = "GPIO17 GPIO18 GPIO27 GPIO22"
RIGHT = "GPIO23 GPIO24 GPIO25 GPIO4"
OFF = (0, 0, 0, 0)

# AutCar's delay between half steps, ms, of the left and the right wheel.
DELAYS_MS = {
    "left_light_backwards": (-2.0, -1.0),
    "left_light_forward": (2.0, 1.0),
    "left_medium_backwards": (-5.0, -1.0),
    "left_medium_forward": (5.0, 1.0),
    "move_fast_forward": (0.7, 0.7),
    "move_medium_backwards": (-1.0, -1.0),
    "move_medium_forward": (1.0, 1.0),
    "right_light_backwards": (-1.0, -2.0),
    "right_light_forward": (1.0, 2.0),
    "right_medium_backwards": (-1.0, -5.0),
    "right_medium_forward": (1.0, 5.0),
}


class Watch:
    """Follows the coils of a car that is driven over simulated time."""

    def __init__(self, board, virtual, **settings):
        self.motors = StepperMotors(StepperSettings(**settings), pacer=virtual)
        self.pacer = virtual.pacer
        self.board = board
        self.last = [OFF, OFF]
        self.steps = [[], []]
        self.pacer.seen = self._look

    def _look(self, now_ns):
        for side, names in enumerate((LEFT, RIGHT)):
            coils = self.board.levels(names)
            if coils != self.last[side]:
                self.steps[side].append((now_ns, coils))
                self.last[side] = coils

    def rates(self, since_s):
        """Milliseconds a half step, signed forwards, of each wheel from ``since_s`` on."""
        found = []
        for steps, forwards in zip(self.steps, (1, -1), strict=True):
            late = [(now, SEQUENCE.index(coils)) for now, coils in steps if now >= since_s * 1e9]
            turns = {(b - a) % 8 for (_, a), (_, b) in pairwise(late)}
            assert turns in ({1}, {7}), "one half step at a time, all in one direction"
            sign = forwards if turns == {1} else -forwards
            found.append(sign * (late[-1][0] - late[0][0]) / (len(late) - 1) / 1e6)
        return tuple(found)


@pytest.mark.parametrize("command", CLASSES, ids=lambda command: command.label)
def test_each_command_steps_at_autcars_delays(board, virtual, command):
    watch = Watch(board, virtual)
    watch.motors.drive(*command.wheels)
    watch.pacer.advance(1)
    if command.label == "stop":
        assert watch.steps == [[], []]
        assert board.levels(LEFT) == board.levels(RIGHT) == OFF
    else:
        assert watch.rates(since_s=0.4) == pytest.approx(DELAYS_MS[command.label], rel=0.001)
    watch.motors.stop()
    assert board.levels(LEFT) == board.levels(RIGHT) == OFF
    watch.motors.close()


def test_the_pins_are_autcars(board, virtual):
    watch = Watch(board, virtual)
    boards = "BOARD11 BOARD12 BOARD13 BOARD15", "BOARD16 BOARD18 BOARD22 BOARD7"
    for names, expected in zip(boards, (LEFT, RIGHT), strict=True):
        for name, gpio in zip(names.split(), expected.split(), strict=True):
            assert board.pin(name) is board.pin(gpio)
    watch.motors.close()


def test_lateness_does_not_add_up(board, virtual):
    """Woken up to 0.3 ms late each time, the wheels still turn as fast as they should."""
    watch = Watch(board, virtual)
    generator = random.Random(1)
    watch.motors.drive(0.7, 0.35)
    watch.pacer.advance(5, late_ns=lambda: generator.randrange(0, 300_000))
    assert watch.rates(since_s=1) == pytest.approx((1.0, 2.0), rel=0.002)


def test_after_a_long_pause_no_steps_are_made_up_for(board, virtual):
    """A motor that is stepped too fast loses steps: what was missed is missed."""
    watch = Watch(board, virtual)
    watch.motors.drive(1.0, 1.0)
    watch.pacer.advance(1)
    watch.pacer.now_ns += 500_000_000
    count = len(watch.steps[0])
    watch.pacer.advance(0.1)
    assert len(watch.steps[0]) - count <= 0.1 / 0.0007 / 0.8 + 1
    gaps = [b - a for (a, _), (b, _) in pairwise(watch.steps[0][count:])]
    assert min(gaps) >= 0.8 * 700_000 - 1


def test_speed_ramps_up_and_rest_is_at_once(board, virtual):
    watch = Watch(board, virtual, ramp_s=0.5)
    watch.motors.drive(1.0, 1.0)
    watch.pacer.advance(1)
    gaps = [b - a for (a, _), (b, _) in pairwise(watch.steps[0])]
    assert gaps[0] == pytest.approx(2_000_000, rel=0.01)
    assert all(later <= before + 1 for before, later in pairwise(gaps))
    reached = next(
        now for (now, _), gap in zip(watch.steps[0], gaps, strict=False) if gap <= 705_000
    )
    assert reached == pytest.approx(0.5e9 * 0.65, rel=0.1)
    watch.motors.drive(0, 0)
    assert board.levels(LEFT) == OFF
    watch.pacer.advance(1)
    assert board.levels(LEFT) == OFF


def test_turning_round_slows_down_first(board, virtual):
    watch = Watch(board, virtual, ramp_s=0.5)
    watch.motors.drive(1.0, 1.0)
    watch.pacer.advance(1)
    count = len(watch.steps[0])
    watch.motors.drive(-1.0, -1.0)
    watch.pacer.advance(1)
    phases = [SEQUENCE.index(coils) for _, coils in watch.steps[0][count:]]
    turns = [(b - a) % 8 for a, b in pairwise(phases)]
    flip = turns.index(7)
    assert set(turns[:flip]) == {1}
    assert set(turns[flip:]) == {7}
    now = [time for time, _ in watch.steps[0][count:]]
    assert now[flip] - now[flip - 1] > 1_900_000


def test_swap_inversion_and_trim(board, virtual):
    watch = Watch(board, virtual, swap=True, invert_left=True, trim=0.2)
    watch.motors.drive(0.5, 1.0)
    watch.pacer.advance(2)
    left_pins, right_pins = watch.rates(since_s=1)
    assert left_pins == pytest.approx(0.7, rel=0.01)
    assert right_pins == pytest.approx(-0.7 / (0.5 * 0.8), rel=0.01)


def test_one_wheel_at_rest_has_its_coils_off(board, virtual):
    watch = Watch(board, virtual)
    watch.motors.drive(0.5, 0.5)
    watch.pacer.advance(0.1)
    watch.motors.drive(0.5, 0)
    assert board.levels(RIGHT) == OFF
    watch.pacer.advance(0.1)
    assert board.levels(RIGHT) == OFF
    assert board.levels(LEFT) != OFF


def turning(board, names):
    """How far the phase of a motor that really runs moves on, in an instant."""
    before = board.levels(names)
    if before == OFF:
        return 0
    while (after := board.levels(names)) in (before, OFF) or sum(after) == 0:
        if board.levels(names) == OFF:
            return 0
    if before not in SEQUENCE or after not in SEQUENCE:
        return 0
    return {1: 1, 7: -1}.get((SEQUENCE.index(after) - SEQUENCE.index(before)) % 8, 0)


def test_the_contract_in_real_time(board):
    def open_driver():
        board.plug()
        return StepperMotors()

    def wheels():
        return turning(board, LEFT), -turning(board, RIGHT)

    check_motors(open_driver, wheels)


def test_a_thread_that_failed_is_reported_and_the_wheels_rest(board):
    motors = StepperMotors()
    motors.drive(0.7, 0.7)
    pin = board.pin("GPIO17")

    def broken(value):
        raise OSError("wire cut")

    pin._set_state, intact = broken, pin._set_state
    while motors._pacer.failure is None:
        pass
    pin._set_state = intact
    with pytest.raises(MotorError, match="the thread that steps the motors failed.*wire cut"):
        motors.drive(0.7, 0.7)
    assert board.levels(LEFT) == board.levels(RIGHT) == OFF
    motors.close()


def test_wrong_pins_are_refused(board):
    with pytest.raises(ConfigError, match="names 2 pins, expected 4"):
        open_motors({"driver": "stepper", "left_pins": "GPIO17 GPIO18"})
    with pytest.raises(ConfigError, match="pin GPIO17 is used twice, also as BOARD11"):
        open_motors({"driver": "stepper", "right_pins": "GPIO17 GPIO5 GPIO6 GPIO7"})
    board.plug()
    opened = board.pin("GPIO17")
    with pytest.raises(MotorError, match=r"pin GPIO99 cannot be driven.*check \[motors\]"):
        open_motors({"driver": "stepper", "right_pins": "GPIO99 GPIO5 GPIO6 GPIO7"})
    # What was opened before the wrong pin is low again.
    assert (opened.function, opened.state) == ("output", 0)
