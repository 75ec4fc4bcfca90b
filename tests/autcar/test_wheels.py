"""The guardian as a real process: the wheels are watched from outside, on the wires."""

import itertools
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from autcar.errors import ConfigError, MotorError
from autcar.motors import open_motors
from autcar.simulator.wires import Wires
from autcar.wheels import DirectWheels, GuardedWheels

MS = 1_000_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "wires"


@pytest.fixture
def wires(path):
    with Wires(path) as wires:
        yield wires


@pytest.fixture
def wheels(path, wires):
    wheels = GuardedWheels({"driver": "simulator", "wires": str(path)})
    yield wheels
    wheels.close()


def speeds(wires):
    signal_on_wires = wires.read()
    return (signal_on_wires.left, signal_on_wires.right)


def wait_for(wires, wanted, within_s=2.0):
    """Wait until the wheels do as wanted; returns how long it took."""
    began = time.monotonic()
    while speeds(wires) != wanted:
        assert time.monotonic() - began < within_s, f"wheels still at {speeds(wires)}"
        time.sleep(0.0005)
    return time.monotonic() - began


def drive(wheels, wires, lease_ms=250):
    wheels.arm()
    now = time.monotonic_ns()
    wheels.drive(0.5, 0.25, now, now + lease_ms * MS)
    wait_for(wires, (0.5, 0.25))


def drive_on(wheels, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        now = time.monotonic_ns()
        wheels.drive(0.5, 0.25, now, now + 900 * MS)
        time.sleep(0.01)


def test_a_command_reaches_the_wheels_and_expires(wheels, wires):
    drive(wheels, wires, lease_ms=200)
    took = wait_for(wires, (0, 0))
    assert 0.1 < took < 0.3
    # It is latched, and the parent hears of it at its next command.
    time.sleep(0.1)
    now = time.monotonic_ns()
    wheels.drive(0.5, 0.5, now, now + 250 * MS)
    assert wheels.at_rest_because == "expired"
    time.sleep(0.05)
    assert speeds(wires) == (0, 0)
    drive(wheels, wires)
    assert wheels.at_rest_because is None


def test_stop(wheels, wires):
    drive(wheels, wires, lease_ms=900)
    wheels.stop()
    assert wait_for(wires, (0, 0)) < 0.1


def test_closing_brings_the_wheels_to_rest(wheels, wires):
    drive(wheels, wires, lease_ms=900)
    wheels.close()
    assert speeds(wires) == (0, 0)
    wheels.close()


def test_closed_wheels_start_no_guardian_and_say_why(wheels, wires):
    drive(wheels, wires, lease_ms=900)
    wheels.close()
    guardian = wheels.pid
    wheels.stop()
    for order in (wheels.arm, lambda: drive_on(wheels, 0.01)):
        with pytest.raises(MotorError, match="the motors are closed; end whatever drives"):
            order()
    assert wheels.pid == guardian
    assert wheels.at_rest_because == "closed"


def test_several_threads_may_tell_the_wheels_at_once(wheels):
    """None reads the answer to another's order, which would then pass for a hung guardian."""
    guardian, ended, failed = wheels.pid, threading.Event(), []

    def drive_about():
        try:
            for turn in itertools.count():
                if ended.is_set():
                    return
                now = time.monotonic_ns()
                wheels.drive(turn % 2, 0.5, now, now + 900 * MS)
                time.sleep(0.001)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=drive_about) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(500):
        wheels.arm()
        wheels.stop()
    ended.set()
    for thread in threads:
        thread.join()
    assert (wheels.pid, failed) == (guardian, [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_stop(wheels, wires, number):
    drive(wheels, wires, lease_ms=900)
    os.kill(wheels.pid, number)
    assert wait_for(wires, (0, 0)) < 0.1


def test_a_killed_guardian_is_replaced_and_the_wheels_rest(wheels, wires):
    drive(wheels, wires, lease_ms=900)
    first = wheels.pid
    os.kill(first, signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(MotorError, match="another one has brought the wheels to rest"):
        drive_on(wheels, 2)
    assert speeds(wires) == (0, 0)
    assert time.monotonic() - began < 1
    assert wheels.pid != first
    assert wheels.at_rest_because == "guardian lost"
    drive(wheels, wires)


def test_a_hung_guardian_is_ended_and_replaced(wheels, wires):
    drive(wheels, wires, lease_ms=900)
    os.kill(wheels.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(MotorError, match="died or hung"):
        drive_on(wheels, 3)
    assert speeds(wires) == (0, 0)
    assert time.monotonic() - began < 1.5
    drive(wheels, wires)


def test_an_unchanged_command_is_sent_again_in_time_and_not_at_every_frame(wheels, wires):
    wheels.arm()
    first, sent = wheels._sequence, []
    now = time.monotonic_ns()
    for ms in range(0, 250, 10):
        wheels.drive(0.5, 0.25, now + ms * MS, now + (240 + ms) * MS)
        if wheels._sequence > first:
            first = wheels._sequence
            sent.append(ms)
    assert sent == [0, 40, 80, 120, 160, 200, 240]
    wait_for(wires, (0.5, 0.25))


def test_whatever_changes_is_sent_at_once(wheels, wires):
    drive(wheels, wires, lease_ms=900)
    now = time.monotonic_ns()
    wheels.drive(0.5, 0.3, now, now + 900 * MS)
    assert wait_for(wires, (0.5, pytest.approx(0.3))) < 0.1
    wheels.drive(0.5, 0.3, now, now + 100 * MS)  # the same for less long
    assert wait_for(wires, (0, 0)) < 0.3
    drive(wheels, wires, lease_ms=900)
    wheels.stop()
    wait_for(wires, (0, 0))
    drive(wheels, wires, lease_ms=900)


def test_a_long_lease_is_renewed_before_the_guardian_ends_it(wheels, wires):
    wheels.arm()
    until = time.monotonic() + 1.3
    while time.monotonic() < until:
        now = time.monotonic_ns()
        wheels.drive(0.5, 0.25, now, now + 30_000 * MS)
        time.sleep(0.01)
    assert wheels.at_rest_because is None
    assert speeds(wires) == (0.5, 0.25)


def test_slow_commands_are_no_hang(wheels, wires):
    """A loop that is slow for its own reasons must not have its guardian ended."""
    first = wheels.pid
    drive(wheels, wires)
    for _ in range(3):
        time.sleep(0.5)
        wheels.arm()
        now = time.monotonic_ns()
        wheels.drive(0.5, 0.25, now, now + 250 * MS)
    assert wheels.pid == first


def test_motors_that_cannot_be_opened(tmp_path, capfd):
    with pytest.raises(MotorError, match="could not open the motors"):
        GuardedWheels({"driver": "simulator", "wires": str(tmp_path / "no" / "such" / "folder")})
    assert "cannot be opened" in capfd.readouterr().err


def test_a_driver_that_is_not_known():
    with pytest.raises(ConfigError, match="did you mean 'simulator'"):
        open_motors({"driver": "simulatr"})
    with pytest.raises(ConfigError, match="unexpected keyword"):
        open_motors({"driver": "simulator", "pin": 3})


@pytest.fixture
def unmeasured(monkeypatch):
    """Programs that start now are not measured by coverage, which takes memory."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


def test_the_guardian_is_small(unmeasured, wheels):
    status = Path(f"/proc/{wheels.pid}/status")
    if not status.exists():
        pytest.skip("no /proc to read the guardian's memory from")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    assert int(line.split()[1]) < 20_000
    maps = Path(f"/proc/{wheels.pid}/maps").read_text()
    assert "numpy" not in maps
    assert "cv2" not in maps


def test_arming_a_dead_guardian_revives_it_at_rest(wheels, wires):
    drive(wheels, wires, lease_ms=900)
    os.kill(wheels.pid, signal.SIGSTOP)  # so that what is sent is not noticed at once
    send = wheels._send

    def die_meanwhile(*given):
        sequence = send(*given)
        os.kill(wheels.pid, signal.SIGKILL)
        return sequence

    wheels._send = die_meanwhile
    with pytest.raises(MotorError, match="arm again to go on"):
        wheels.arm()
    wheels._send = send
    assert speeds(wires) == (0, 0)
    assert wheels.at_rest_because == "guardian lost"
    drive(wheels, wires)


@pytest.mark.parametrize("order", ["stop", "arm"])
def test_a_hang_is_noticed_by_whatever_is_told(wheels, wires, order):
    drive(wheels, wires, lease_ms=900)
    first = wheels.pid
    os.kill(first, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(MotorError, match="died or hung"):
        getattr(wheels, order)()
    assert speeds(wires) == (0, 0)
    assert time.monotonic() - began < 1.5
    assert wheels.pid != first
    drive(wheels, wires)


def test_a_guardian_that_never_gets_ready_is_given_up(path, monkeypatch):
    wheels = GuardedWheels({"driver": "simulator", "wires": str(path)}, wait=False)
    os.kill(wheels.pid, signal.SIGSTOP)
    monkeypatch.setattr(GuardedWheels, "START_TIMEOUT_S", 0.1)
    with pytest.raises(MotorError, match="did not answer within 0 s; restart autcar"):
        wheels.ready()
    assert wheels._process.wait(2) == -signal.SIGKILL
    wheels.close()


def test_a_stop_before_the_guardian_is_ready_does_not_wait_for_it(path):
    wheels = GuardedWheels({"driver": "simulator", "wires": str(path)}, wait=False)
    os.kill(wheels.pid, signal.SIGSTOP)
    wheels.stop()
    os.kill(wheels.pid, signal.SIGCONT)
    with Wires(path) as wires:
        drive(wheels, wires)
    wheels.close()


def test_closing_ends_a_guardian_that_hangs_and_the_wheels_rest(wheels, wires, monkeypatch):
    drive(wheels, wires, lease_ms=900)
    hung = wheels._process
    os.kill(hung.pid, signal.SIGSTOP)
    monkeypatch.setattr(GuardedWheels, "CLOSE_TIMEOUT_S", 1.0)
    wheels.close()
    assert hung.returncode == -signal.SIGKILL
    assert speeds(wires) == (0, 0)
    assert wheels._process.wait(2) == 0


def test_a_lock_step_car_drives_only_when_armed(path):
    motors = open_motors({"driver": "simulator", "wires": str(path)})
    wheels = DirectWheels(motors)
    with Wires(path) as wires:
        for arm, expected in ((False, (0, 0)), (True, (0.5, 0.25))):
            if arm:
                wheels.arm()
            wheels.drive(0.5, 0.25, 0, 0)
            assert speeds(wires) == expected
        wheels.stop()
        wheels.drive(0.5, 0.25, 0, 0)
        assert speeds(wires) == (0, 0)
        assert wheels.at_rest_because == "stop"
        wheels.close()


def test_windows_has_no_motors(monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(MotorError, match="on Windows autcar drives the simulated car alone"):
        GuardedWheels({"driver": "stepper"})
