"""A steering servo and an ESC: pulses of each command, on the Pi's own PWM and a PCA9685."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from autcar.appliance.service import ServiceError, car_drop_in
from autcar.commands import CLASSES
from autcar.config import Config, MotorsSection
from autcar.errors import ConfigError, MotorError
from autcar.motors import open_motors, servo
from autcar.motors.servo import Pca9685, ServoMotors, ServoSettings
from autcar.testing import check_motors
from tests.autcar.motors import fake_pwm

CHIP = {"Pi 4": "pwmchip0", "Pi 5": "pwmchip2"}


@pytest.fixture(params=CHIP)
def kernel(request, tmp_path, monkeypatch):
    folder = fake_pwm.make(tmp_path, request.param)
    monkeypatch.setenv("AUTCAR_PWM", str(folder))
    return lambda channel: fake_pwm.pulse_us(folder, CHIP[request.param], channel)


def wheels(steering_us, throttle_us):
    """Which way each wheel drives, from the pulses: the sides of a car differ as it is steered."""
    if not throttle_us:
        return (0, 0)
    speed = round((throttle_us - 1500) / 200, 3)
    return (speed, speed)


STEER = {"light": 0.5, "medium": 1.0}


@pytest.mark.parametrize("command", CLASSES, ids=lambda command: command.label)
def test_each_command_makes_its_pulses(kernel, virtual, command):
    motors = ServoMotors(ServoSettings(), pacer=virtual)
    assert kernel(1) == 1500
    motors.drive(*command.wheels)
    virtual.pacer.advance(1)
    angle = {"left": 1, "right": -1}.get(command.type, 0) * STEER.get(command.manner, 0)
    assert kernel(0) == pytest.approx(1500 - 400 * angle, abs=1)
    assert kernel(1) == pytest.approx(1500 + 200 * sum(command.wheels) / 2, abs=1)
    motors.stop()
    assert kernel(1) == 1500
    motors.close()
    assert kernel(0) == kernel(1) == 0


def test_fast_is_faster_and_turns_are_not_slower_than_their_wheels(kernel, virtual):
    motors = ServoMotors(ServoSettings(), pacer=virtual)
    pulses = {}
    for command in CLASSES:
        motors.drive(*command.wheels)
        virtual.pacer.advance(2)
        pulses[command.label] = kernel(1)
    assert pulses["move_fast_forward"] > pulses["move_medium_forward"] > 1500
    assert pulses["move_medium_backwards"] < pulses["left_light_backwards"] < 1500
    motors.close()


def test_the_contract(kernel, monkeypatch):
    check_motors(
        lambda: ServoMotors(ServoSettings(ramp_s=0.05)), lambda: wheels(kernel(0), kernel(1))
    )


def test_calibrated(kernel, virtual):
    settings = ServoSettings(
        centre_us=1450, invert_steering=True, invert_throttle=True, dead_band=0.5, neutral_us=1510
    )
    motors = ServoMotors(settings, pacer=virtual)
    motors.drive(0.35, 0.7)
    virtual.pacer.advance(1)
    assert kernel(0) == pytest.approx(1450 + 200, abs=1)
    assert kernel(1) == pytest.approx(1510 - 200 * (0.5 + 0.5 * 0.525), abs=1)
    motors.close()


def test_pins_without_pwm_and_machines_without(kernel, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="GPIO4 has no hardware PWM; use two of GPIO12"):
        open_motors({"driver": "servo", "steering_pin": "GPIO4"})
    with pytest.raises(ConfigError, match="output 'pwm' is not known"):
        open_motors({"driver": "servo", "output": "pwm"})
    monkeypatch.setenv("AUTCAR_PWM", str(tmp_path / "none"))
    with pytest.raises(MotorError, match=r"dtoverlay=pwm-2chan.*config.txt"):
        open_motors({"driver": "servo"})
    with pytest.raises(MotorError, match="raspi-config nonint do_i2c 0"):
        open_motors({"driver": "servo", "output": "pca9685", "i2c_bus": 29})


def test_pins_that_share_a_channel_before_the_pi_5(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTCAR_PWM", str(fake_pwm.make(tmp_path, "Pi 4")))
    with pytest.raises(ConfigError, match="share one PWM channel"):
        open_motors({"driver": "servo", "steering_pin": "GPIO18", "throttle_pin": "GPIO12"})


class Chip:
    """A PCA9685's registers, behind a pipe in place of the bus."""

    def __init__(self, path, monkeypatch):
        self.registers = {}
        self.addressed = None
        real = os.write
        monkeypatch.setattr(fcntl, "ioctl", self._ioctl)

        def write(file, data):
            if os.path.realpath(f"/proc/self/fd/{file}") != str(path):
                return real(file, data)
            for offset, value in enumerate(data[1:]):
                self.registers[data[0] + offset] = value
            return len(data)

        monkeypatch.setattr(os, "write", write)

    def _ioctl(self, file, request, address):
        assert request == 0x0703
        self.addressed = address

    def pulse_us(self, channel):
        if self.registers.get(0xFD) == 0x10 and self.registers.get(0x00) != 0x20:
            return 0.0
        low, high = (self.registers.get(0x06 + 4 * channel + n, 0) for n in (2, 3))
        # 25 MHz / (prescale + 1) is what one of the 4096 steps of a period takes.
        step_us = (self.registers[0xFE] + 1) / 25
        return (low | high << 8) * step_us


def test_a_pca9685(tmp_path, monkeypatch, virtual):
    path = tmp_path / "i2c-1"
    path.write_bytes(b"")
    chip = Chip(path, monkeypatch)
    motors = ServoMotors(
        ServoSettings(), pacer=virtual, output=Pca9685(str(path), 0x40, steering=1, throttle=0)
    )
    assert chip.addressed == 0x40
    assert chip.pulse_us(0) == pytest.approx(1500, rel=0.01)
    motors.drive(0.7, 0.35)
    virtual.pacer.advance(1)
    assert chip.pulse_us(1) == pytest.approx(1700, rel=0.01)
    assert chip.pulse_us(0) == pytest.approx(1605, rel=0.01)
    motors.stop()
    assert chip.pulse_us(0) == pytest.approx(1500, rel=0.01)
    motors.close()
    assert chip.registers[0xFD] == 0x10, "all channels off"


def test_the_service_may_reach_what_makes_the_pulses_and_ends_them_without_python(monkeypatch):
    """Pulses of hardware go on when their program is killed: the unit must end them."""
    monkeypatch.setattr("shutil.which", lambda tool: f"/usr/bin/{tool}")
    lines = car_drop_in(Config(motors=MotorsSection("servo"))).splitlines()
    assert "ExecStopPost=+/usr/bin/pinctrl set 12,13 op dl" in lines
    assert "ProtectKernelTunables=no" in lines
    options = {"output": "pca9685", "i2c_bus": 1, "address": 65}
    lines = car_drop_in(Config(motors=MotorsSection("servo", options))).splitlines()
    assert "ExecStopPost=+/usr/bin/i2cset -y 1 65 0xfd 0x10" in lines
    assert "DeviceAllow=/dev/i2c-1 rw" in lines
    monkeypatch.setattr("shutil.which", lambda tool: None)
    with pytest.raises(ServiceError, match="sudo apt install i2c-tools"):
        car_drop_in(Config(motors=MotorsSection("servo", options)))
    assert "ProtectKernelTunables" not in car_drop_in(Config())


def test_a_bus_that_fails_at_the_start_is_named_and_let_go(tmp_path, monkeypatch, virtual):
    path = tmp_path / "i2c-1"
    path.write_bytes(b"")
    Chip(path, monkeypatch)
    write, files = os.write, []

    def fail(file, data):
        if os.path.realpath(f"/proc/self/fd/{file}") == str(path):
            files.append(file)
            raise OSError(121, "Remote I/O error")
        return write(file, data)

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(MotorError, match="PCA9685 at 0x40 of .* does not answer: .*i2cdetect"):
        Pca9685(str(path), 0x40, steering=1, throttle=0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(files[0])


@pytest.mark.parametrize("end", ["stop", "close"])
def test_a_steering_that_is_gone_does_not_keep_the_throttle_on(kernel, virtual, end):
    """As when another program takes the channel back with /sys/class/pwm/pwmchip0/unexport."""
    motors = ServoMotors(ServoSettings(), pacer=virtual)
    motors.drive(0.35, 0.7)
    virtual.pacer.advance(1)
    assert kernel(1) > 1500
    steering = next(Path(os.environ["AUTCAR_PWM"]).glob("*/pwm0"))
    shutil.rmtree(steering)
    with pytest.raises(MotorError, match="pwm0/.* refused"):
        getattr(motors, end)()
    assert kernel(1) == (1500 if end == "stop" else 0)


def test_a_throttle_left_on_is_ended_even_if_the_steering_cannot_be_opened(kernel):
    chip = next(Path(os.environ["AUTCAR_PWM"]).glob("*/pwm0")).parent
    (chip / "pwm1" / "enable").write_text("1")
    (chip / "pwm0" / "period").unlink()
    (chip / "pwm0" / "period").mkdir()
    with pytest.raises(MotorError, match="pwm0/period refused"):
        ServoMotors(ServoSettings())
    assert kernel(1) == 0


def test_a_steering_that_a_pca9685_does_not_take_leaves_no_throttle_on(
    tmp_path, monkeypatch, virtual
):
    path = tmp_path / "i2c-1"
    path.write_bytes(b"")
    chip = Chip(path, monkeypatch)
    motors = ServoMotors(
        ServoSettings(), pacer=virtual, output=Pca9685(str(path), 0x40, steering=1, throttle=0)
    )
    motors.drive(0.35, 0.7)
    virtual.pacer.advance(1)
    assert chip.pulse_us(0) > 1500
    write = os.write

    def fail(file, data):
        if data[0] == 0x06 + 4:
            raise OSError(121, "Remote I/O error")
        return write(file, data)

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(MotorError, match="does not answer"):
        motors.stop()
    assert chip.pulse_us(0) == pytest.approx(1500, rel=0.01)
    monkeypatch.undo()
    motors._closed = True


def test_an_output_that_fails_at_the_first_pulse_is_closed(virtual):
    class Output:
        closed = False

        def pulse(self, steering_us, throttle_us):
            raise MotorError("no answer")

        def close(self):
            self.closed = True

    output = Output()
    with pytest.raises(MotorError, match="no answer"):
        ServoMotors(ServoSettings(), pacer=virtual, output=output)
    assert output.closed


def test_files_of_another_owner_say_which_group(tmp_path, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", forbidden)
    with pytest.raises(MotorError, match="sudo usermod -aG i2c"):
        Pca9685("/dev/i2c-1", 0x40, steering=1, throttle=0)
    monkeypatch.setattr("builtins.open", forbidden)
    with pytest.raises(MotorError, match="sudo usermod -aG gpio"):
        servo._write("/sys/class/pwm/pwmchip0/export", 0)
    monkeypatch.undo()
    with pytest.raises(MotorError, match=r"refused 7: .*; check \[motors\]"):
        servo._write(str(tmp_path), 7)
    servo._write(str(tmp_path), 7, quiet=True)


def test_a_ramp_that_fails_stops_the_esc_and_says_so(kernel, virtual):
    motors = ServoMotors(ServoSettings(), pacer=virtual)
    motors.drive(0.5, 0.5)
    virtual.pacer.advance(0.1)
    assert kernel(1) > 1500
    virtual.pacer.failure = OSError("gone")
    with pytest.raises(MotorError, match="ramps the ESC failed: gone"):
        motors.drive(0.7, 0.7)
    assert kernel(1) == 1500
    motors.close()
