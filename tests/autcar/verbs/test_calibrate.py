"""Calibrating cars that are wired in every wrong way, by a person who looks and answers."""

import io
import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from autcar import cli
from autcar.config import Config, MotorsSection, load_config, template
from autcar.motors.bridge import BridgeSettings
from autcar.motors.servo import ServoSettings
from autcar.motors.shape import Shape
from autcar.verbs import calibrate
from autcar.verbs.calibrate import Calibration, LeftError
from tests.hardware.wired_pins import wired_pins


class Car:
    """A car with its own faults; what its wheels did last is there to be seen."""

    def __init__(self, *, crossed=False, reversed_left=False, reversed_right=False, stiff=0.0,
                 lame=1.0):  # fmt: skip
        self.crossed = crossed
        self.reversed = reversed_left, reversed_right
        self.stiff = stiff
        self.lame = lame
        self.seen = (0.0, 0.0)
        self.open = 0
        self.moving = False

    def open_wheels(self, settings):
        self.shape = Shape(**{key: settings[key] for key in vars(Shape()) if key in settings})
        self.open += 1
        return self

    def arm(self):
        pass

    def drive(self, left, right, frame_ns, expires_ns):
        pins = self.shape.apply(left, right)
        wheels = pins[::-1] if self.crossed else pins
        turned = [0.0 if abs(speed) < self.stiff else speed for speed in wheels]
        turned = [-s if r else s for s, r in zip(turned, self.reversed, strict=True)]
        self.seen = turned[0], turned[1] * self.lame
        self.moving = any(self.seen)

    def stop(self):
        self.moving = False

    def close(self):
        self.moving = False
        self.open -= 1


class Person:
    """Looks at the car and answers truly."""

    def __init__(self, car, leave_at=None):
        self.car = car
        self.asked = 0
        self.leave_at = leave_at

    def __call__(self, question, letters):
        assert not self.car.moving, "nothing turns while a question stands"
        self.asked += 1
        if self.asked == self.leave_at:
            raise LeftError("nothing was written")
        left, right = self.car.seen
        if "which wheel" in question:
            return "l" if left else "r" if right else "n"
        if "forwards (f)" in question:
            return "f" if (left or right) > 0 else "b"
        if "both wheels turn forwards" in question:
            return "y" if left > 0 and right > 0 else "n"
        if "all driven wheels" in question:
            return "y" if left and right else "n"
        if "left wheel make" in question:
            return str(20 * abs(left))
        if "right one" in question:
            return str(20 * abs(right))
        return ""


@pytest.mark.parametrize("faults", [*itertools.product([False, True], repeat=3)])
def test_every_way_to_wire_two_wheels(faults):
    car = Car(crossed=faults[0], reversed_left=faults[1], reversed_right=faults[2])
    found = Calibration(Config(), Person(car), car.open_wheels, pause=lambda s: None)
    found.two_sides(exact=True)
    car.open_wheels(found.settings)
    for command in ((0.5, 0.25), (-0.5, 0.7), (0.0, 1.0)):
        car.drive(*command, 0, 0)
        assert car.seen == pytest.approx(command)


def test_dead_band_and_trim():
    car = Car(reversed_left=True, stiff=0.22, lame=0.9)
    found = Calibration(Config(), Person(car), car.open_wheels, pause=lambda s: None)
    found.two_sides(exact=False)
    assert found.settings["dead_band"] == 0.25
    assert found.settings["trim"] == pytest.approx(0.1, abs=0.01)
    car.open_wheels(found.settings)
    car.drive(0.05, 0.05, 0, 0)
    assert all(car.seen), "the least speed turns both wheels"
    BridgeSettings(**found.settings)


def test_calibrating_once_more_finds_the_same():
    car = Car(stiff=0.24, lame=0.9)
    found = Calibration(Config(), Person(car), car.open_wheels, pause=lambda s: None)
    found.two_sides(exact=False)
    before = dict(found.settings)
    assert before["trim"] == pytest.approx(0.1, abs=0.01)
    found.two_sides(exact=False)
    assert found.settings == before


@pytest.mark.parametrize("leave_at", range(1, 12))
def test_leaving_at_any_question_leaves_the_wheels_at_rest(leave_at):
    car = Car(crossed=True, stiff=0.3)
    calibration = Calibration(
        Config(), Person(car, leave_at), car.open_wheels, pause=lambda s: None
    )
    with pytest.raises(LeftError):
        calibration.two_sides(exact=False)
    assert not car.moving
    assert car.open == 0


def test_ctrl_c_while_a_wheel_turns():
    car = Car()

    def interrupted(seconds):
        assert car.moving
        raise KeyboardInterrupt

    calibration = Calibration(Config(), Person(car), car.open_wheels, pause=interrupted)
    with pytest.raises(KeyboardInterrupt):
        calibration.two_sides(exact=True)
    assert not car.moving
    assert car.open == 0


class Steered:
    """A car with a servo far off centre and an ESC that is wired the wrong way round.

    ``more_is_left``: how the servo is mounted, that is where longer pulses turn it.
    """

    straight_us = 1720

    def __init__(self, more_is_left):
        self.side = -1 if more_is_left else 1
        self.fronts = []

    def open_wheels(self, settings):
        self.settings = ServoSettings(**settings)
        self.fronts.append(None)
        return self

    def arm(self):
        pass

    def drive(self, left, right, frame_ns, expires_ns):
        s = self.settings
        angle = (right > left) - (right < left)
        pulse_us = s.centre_us + 100 * (angle if s.invert_steering else -angle)
        self.fronts[-1] = self.side * (pulse_us - self.straight_us)  # above 0: to the right
        speed = (left + right) / 2
        self.back = speed if s.invert_throttle else -speed

    def stop(self):
        pass

    close = stop

    def answer(self, question, letters):
        assert len(self.fronts) < 60, "it never gets straight"
        if "straight (y)" in question:
            return "y" if abs(self.fronts[-1]) < 15 else "r" if self.fronts[-1] > 0 else "l"
        if "two positions" in question:
            return "r" if self.fronts[-1] > self.fronts[-2] else "l"
        if "forwards (f)" in question:
            return "f" if self.back > 0 else "b"
        if "driven wheels" in question:
            return "y" if abs(self.back) >= 0.1 else "n"
        return ""


@pytest.mark.parametrize("more_is_left", [False, True])
@pytest.mark.parametrize("inverted_before", [False, True])
def test_a_servo_and_an_esc(more_is_left, inverted_before):
    car = Steered(more_is_left)
    found = Calibration(Config(), car.answer, car.open_wheels, pause=lambda s: None)
    found.settings["invert_steering"] = inverted_before
    found.steering_and_throttle()
    assert found.settings["invert_steering"] is more_is_left
    assert found.settings["centre_us"] == pytest.approx(car.straight_us, abs=20)
    car.open_wheels(found.settings).drive(0.2, 0.4, 0, 0)
    assert car.fronts[-1] < 0, "a quicker right wheel steers left"
    assert found.settings["invert_throttle"] is True
    assert found.settings["dead_band"] == 0.1


def answers(monkeypatch, *lines):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))


@pytest.fixture
def stepper_car(tmp_path, monkeypatch):
    """A Pi with steppers, on wired pins, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "wired")
    monkeypatch.setenv("AUTCAR_PINS", str(tmp_path / "pins"))
    monkeypatch.setenv("PYTHONPATH", str(Path(wired_pins.__file__).parent), prepend=os.pathsep)
    wired_pins.make(tmp_path / "pins")
    path = tmp_path / "car.toml"
    path.write_text(template(Config(motors=MotorsSection("stepper"))))
    return path


def at_rest(path):
    return all(
        wired_pins.level(path.with_name("pins"), pin) == 0
        for pin in (17, 18, 27, 22, 23, 24, 25, 4)
    )


def test_the_verb_behind_the_real_guardian(stepper_car, monkeypatch, capsys):
    monkeypatch.setattr(calibrate.Calibration, "_move", quick(calibrate.Calibration._move))
    answers(monkeypatch, "", "r", "f", "l", "x", "b", "y", "y")
    assert cli.main(["calibrate", "--only", "motors"]) == 0
    options = load_config(stepper_car).motors.options
    assert options["swap"] is True
    assert (options["invert_left"], options["invert_right"]) == (True, False)
    assert "answer with one of f, b" in capsys.readouterr().out
    assert Path("car.toml.bak").is_file()
    assert at_rest(stepper_car)


@pytest.mark.parametrize("lines", [["", "q"], [""], ["", "l", "f", "r", "f", "y", "n"]])
def test_leaving_the_verb(stepper_car, monkeypatch, capsys, lines):
    monkeypatch.setattr(calibrate.Calibration, "_move", quick(calibrate.Calibration._move))
    before = stepper_car.read_text()
    stepper_car.write_text(before.replace("swap = false", "swap = true"))
    before = stepper_car.read_text()
    answers(monkeypatch, *lines)
    assert cli.main(["calibrate", "--only", "motors"]) == 1
    assert "left, with the wheels at rest" in capsys.readouterr().out
    assert stepper_car.read_text() == before
    assert at_rest(stepper_car)


def quick(move):
    return lambda self, left, right, seconds: move(self, left, right, 0.1)


@pytest.mark.parametrize(("edge", "rotation"), [("t", 0), ("r", 270), ("b", 180), ("l", 90)])
def test_the_picture_is_turned_upright(make_session, monkeypatch, tmp_path, edge, rotation):
    """Whichever edge the top of the scene is at, the rotation that is found puts it on top."""
    monkeypatch.chdir(tmp_path)
    options = {"session": str(make_session(frames=20)), "loop": True}
    config = Config()
    camera = calibrate.replace(
        config.camera, driver="replay", width=64, height=48, fps=100.0, options=options
    )
    config = calibrate.replace(config, camera=camera)
    found = calibrate._camera(config, lambda question, letters: edge if letters[0] == "t" else "y")
    assert (found.camera.rotation, found.camera.flip) == (rotation, "horizontal")
    assert not Path("calibrate.jpg").exists()
    scene = np.zeros((4, 4, 3), np.uint8)
    scene[0] = 255
    turned = {"t": 0, "r": 3, "b": 2, "l": 1}[edge]
    seen = np.rot90(scene, turned)
    from autcar.cameras.picture import Picture

    square = calibrate.replace(found.camera, width=4, height=4, flip="")
    assert (Picture(square).make(np.ascontiguousarray(seen)) == scene).all()


def test_a_simulated_car_needs_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("car.toml").write_text(template(Config()))
    assert cli.main(["calibrate"]) == 0
    assert "nothing to change" in capsys.readouterr().out


def test_a_car_toml_of_roots_is_refused_before_any_question(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # root may write all
    path = tmp_path / "car.toml"
    path.write_text(template(Config()))
    assert cli.main(["calibrate", "--config", str(path)]) == 2
    assert f"type `sudo autcar calibrate --config {path}`" in capsys.readouterr().err
