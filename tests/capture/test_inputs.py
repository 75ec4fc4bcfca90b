"""Terminal, script, gamepad and AutCar's remote at the helm of a car without an engine."""

import errno
import json
import os
import pty
import socket
import sys
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest

from autcar.cockpit.feed import Shot
from autcar.commands import STOP, Command
from autcar.config import RecordSection
from autcar.errors import ConfigError, DataError, DataNotFoundError, RuntimeMissingError
from autcar.helm import Helm
from autcar.safety import Reason
from autcar.wheels import DirectWheels
from capture import gamepad
from capture.gamepad import (
    ABS_BRAKE,
    ABS_GAS,
    ABS_X,
    BTN_EAST,
    BTN_SOUTH,
    BTN_START,
    EV_ABS,
    EV_KEY,
    Gamepad,
    Sticks,
)
from capture.hand import Hand
from capture.keyboard import COMMANDS, Keyboard, _keys
from capture.recorder import Recorder
from capture.remote import Framing, RemoteServer, steer
from capture.script import Step, read_script, run_script
from tests.conftest import until

FORWARD = Command("move", "medium", "forward")
FAST = Command("move", "fast", "forward")


class Motors:
    speeds = (0.0, 0.0)

    def drive(self, left, right):
        self.speeds = (left, right)

    def stop(self):
        self.speeds = (0.0, 0.0)


@pytest.fixture
def motors():
    return Motors()


@pytest.fixture
def helm(motors):
    return Helm(DirectWheels(motors), blind=True)


@pytest.fixture
def recorder(tmp_path):
    settings = RecordSection(free_mb=0)
    with Recorder(tmp_path / "recordings", size=(8, 8), fps=20, settings=settings) as recorder:
        yield recorder


def seconds_to_rest(motors):
    started = time.monotonic()
    until(lambda: motors.speeds == (0, 0))
    return time.monotonic() - started


# A hand


def test_a_hand_keeps_a_command_alive_and_lets_go(helm, motors):
    with Hand(helm, "test", None) as hand:
        assert not hand.say(FORWARD)
        hand.take()
        assert hand.say(FORWARD)
        time.sleep(0.7)
        assert motors.speeds == FORWARD.wheels
        assert hand.drives
    assert motors.speeds == (0, 0)
    assert helm.state.driver is None


def test_a_command_that_is_not_repeated_is_forgotten_but_the_helm_is_kept(helm, motors):
    with Hand(helm, "test", 0.3) as hand:
        hand.take()
        hand.say(FORWARD)
        assert seconds_to_rest(motors) < 0.5
        assert hand.drives
        assert hand.say(FORWARD)


def test_a_hand_that_was_stopped_knows(helm, motors):
    with Hand(helm, "test", None) as hand:
        hand.take()
        helm.stop()
        assert not hand.drives
        assert not hand.say(FORWARD)
        assert motors.speeds == (0, 0)


# The terminal


@pytest.fixture
def terminal(helm, recorder):
    ours, theirs = pty.openpty()
    said = []
    keyboard = Keyboard(helm, recorder, said.append, theirs)
    yield ours, said
    keyboard.close()
    os.close(theirs)
    os.close(ours)


def test_keys_drive_and_rest_when_no_repeat_comes(terminal, helm, motors):
    ours, said = terminal
    os.write(ours, b"w")
    until(lambda: said)
    assert "Enter" in said[0]
    os.write(ours, b"\n")
    until(lambda: helm.state.driver == "terminal")
    for key, label in COMMANDS.items():
        os.write(ours, key.encode())
        until(lambda label=label: motors.speeds == Command.from_label(label).wheels)
    assert seconds_to_rest(motors) < 0.5
    os.write(ours, b"W")
    until(lambda: motors.speeds == FAST.wheels)
    os.write(ours, b" ")
    assert seconds_to_rest(motors) < 0.1
    assert helm.state.reason == Reason.STOP_PRESSED.value
    os.write(ours, b"w")
    time.sleep(0.05)
    assert motors.speeds == (0, 0)


def test_keys_record(terminal, helm, recorder):
    ours, said = terminal
    os.write(ours, b"r")
    until(lambda: recorder.status().state == "recording")
    recorder.offer(Shot(b"x", 0, 0, FORWARD, "human"))
    recorder.settle()
    os.write(ours, b"r\x7fug")
    until(lambda: len(said) >= 5)
    assert said[1:] == ["paused", "1 frames discarded", "1 frames taken back", "0 frames saved"]
    os.write(ours, b"f")
    until(lambda: recorder.status().state == "off")


def test_a_terminal_that_goes_away_takes_its_driver_along(helm, motors, recorder):
    ours, theirs = pty.openpty()
    keyboard = Keyboard(helm, recorder, lambda _: None, theirs)
    os.write(ours, b"\n")
    until(lambda: helm.state.driver == "terminal")
    os.write(ours, b"w")
    until(lambda: motors.speeds != (0, 0))
    os.close(ours)
    assert seconds_to_rest(motors) < 0.5
    keyboard.close()
    os.close(theirs)


def test_no_terminal_is_said(helm, recorder, tmp_path):
    with open(tmp_path / "x", "w") as file, pytest.raises(ConfigError, match="ssh -t"):
        Keyboard(helm, recorder, print, file.fileno())


def test_escape_sequences_are_one_key():
    assert _keys("w\x1b[AW\n") == (["w", "\x1b[A", "W", "\n"], "")
    assert _keys("\x1bOC") == (["\x1b[C"], "")
    assert _keys("\x1b[1;2Cw") == (["\x1b[1;2C", "w"], ""), "Shift and an arrow: no C"
    for cut in ("\x1b", "\x1b[", "\x1b[1;", "\x1bO"):
        assert _keys("w" + cut) == (["w"], cut)


# A script


def test_a_script_is_read_and_driven(helm, motors, tmp_path):
    path = tmp_path / "lap.txt"
    path.write_text("# a lap\nmove_medium_forward 2\n\nmove_slow_forward 0.5  # gently\n")
    steps = read_script(path)
    assert steps == [Step(FORWARD, 2.0), Step(Command("move", "slow", "forward"), 0.5)]
    driven = []
    assert run_script(helm, steps, lambda seconds: driven.append((motors.speeds, seconds)))
    assert driven == [((0.7, 0.7), 2.0), ((0.14, 0.14), 0.5)]
    assert motors.speeds == (0, 0)


def test_a_script_that_is_stopped_ends(helm, motors):
    steps = [Step(FORWARD, 1), Step(FAST, 1)]
    assert not run_script(helm, steps, lambda _: helm.stop())
    assert motors.speeds == (0, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no command"),
        ("move_medium_forward", "its seconds"),
        ("move_medium_forwards 1", "use 'forward' or 'backwards'"),
        ("stop 1\nstop nan", ":2: nan is no time"),
        ("stop -1", "no time"),
        ("stop 1 2", "its seconds"),
    ],
)
def test_a_wrong_script_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "x").write_text(text)
    with pytest.raises(DataError, match=message):
        read_script(tmp_path / "x")
    with pytest.raises(DataNotFoundError):
        read_script(tmp_path / "y")


# The gamepad


def test_sticks_say_all_commands_but_the_tightest_backwards_are_as_tight_as_forwards():
    def command(side, ahead, back):
        sticks = Sticks({ABS_X: (-100, 100), ABS_GAS: (0, 100), ABS_BRAKE: (0, 100)})
        sticks.move(ABS_X, side)
        sticks.move(ABS_GAS, ahead)
        sticks.move(ABS_BRAKE, back)
        return sticks.command.label

    assert command(0, 0, 0) == "stop"
    assert command(-100, 5, 0) == "stop"
    assert command(10, 50, 0) == "move_medium_forward"
    assert command(0, 100, 0) == "move_fast_forward"
    assert command(0, 0, 50) == "move_medium_backwards"
    assert command(-40, 100, 0) == "left_light_forward"
    assert command(80, 100, 0) == "right_medium_forward"
    assert command(40, 0, 100) == "right_light_backwards"
    assert command(-80, 0, 100) == "left_medium_backwards"


class Info:
    min, max = 0, 100


class Event:
    def __init__(self, kind, code, value):
        self.type, self.code, self.value = kind, code, value


class Device:
    """A gamepad at the end of a pipe."""

    name = "test pad"

    def __init__(self):
        self.fd, self.other = os.pipe()
        self.gone = False

    def capabilities(self):
        return {EV_ABS: [(ABS_X, Info), (ABS_GAS, Info), (ABS_BRAKE, Info)], EV_KEY: [BTN_SOUTH]}

    def push(self, *events):
        os.write(self.other, json.dumps(events).encode() + b"\n")

    def read(self):
        if self.gone:
            raise OSError("no such device")
        lines = os.read(self.fd, 4096).splitlines()
        return [Event(*event) for line in lines for event in json.loads(line)]

    def close(self):
        os.close(self.fd)


@pytest.fixture
def pad(helm, recorder, monkeypatch):
    device = Device()
    monkeypatch.setattr("capture.gamepad._open", lambda _: device)
    said = []
    with Gamepad(helm, recorder, "auto", said.append):
        yield device, said
    os.close(device.other)


def test_a_gamepad_drives_until_it_is_gone(pad, helm, motors, recorder):
    device, said = pad
    device.push((EV_ABS, ABS_X, 50), (EV_KEY, BTN_SOUTH, 1))
    until(lambda: helm.state.driver == "gamepad")
    device.push((EV_ABS, ABS_GAS, 100))
    until(lambda: motors.speeds == FAST.wheels)
    device.push((EV_KEY, BTN_EAST, 1))
    until(lambda: motors.speeds == (0, 0))
    device.push((EV_KEY, BTN_START, 1))
    until(lambda: recorder.status().state == "recording")
    device.push((EV_ABS, ABS_GAS, 0), (EV_KEY, BTN_SOUTH, 1), (EV_ABS, ABS_GAS, 90))
    until(lambda: motors.speeds == FAST.wheels)
    device.gone = True
    device.push()
    assert seconds_to_rest(motors) < 0.3
    until(lambda: "gone" in said[-1])


# AutCar's remote


@pytest.fixture
def remote(helm, recorder):
    said = []
    with (
        RemoteServer(helm, recorder, "127.0.0.1", 0, said.append) as server,
        socket.create_connection(("127.0.0.1", server.port)) as link,
    ):
        link.settimeout(3)
        yield link, said


def ask(link, name):
    link.sendall(json.dumps({"cmd": name}).encode())
    assert link.recv(8) == b"received"


def goes_on_only_after_stop(link, motors):
    ask(link, "fast")
    time.sleep(0.1)
    assert motors.speeds == (0, 0)
    ask(link, "stop")
    ask(link, "fast")
    until(lambda: motors.speeds != (0, 0))


def test_autcars_commands_drive(remote, helm, motors, recorder):
    link, _ = remote
    for name, label in {
        "fast": "move_medium_forward",
        "faster": "move_fast_forward",
        "leftlight": "left_light_forward",
        "righthard": "right_medium_forward",
        "backwards": "move_medium_backwards",
        "lefthard": "left_medium_backwards",
        "rightlight": "right_light_backwards",
        "stop": "stop",
    }.items():
        ask(link, name)
        until(lambda label=label: motors.speeds == Command.from_label(label).wheels)
    ask(link, "startrecording")
    until(lambda: recorder.status().state == "recording")
    ask(link, "stoprecording")
    until(lambda: recorder.status().state == "off")


def test_a_remote_that_is_silent_is_stopped_and_must_say_stop_first(remote, helm, motors):
    link, _ = remote
    ask(link, "fast")
    until(lambda: motors.speeds != (0, 0))
    assert seconds_to_rest(motors) < 0.5
    assert helm.state.reason == Reason.LINK_LOST.value
    goes_on_only_after_stop(link, motors)
    helm.stop()
    ask(link, "fast")
    time.sleep(0.1)
    assert motors.speeds == (0, 0)


def test_a_new_link_undoes_no_stop(remote, helm, motors):
    link, _ = remote
    ask(link, "fast")
    until(lambda: motors.speeds != (0, 0))
    helm.stop()
    address = link.getpeername()
    link.close()
    with socket.create_connection(address) as again:
        again.settimeout(3)
        goes_on_only_after_stop(again, motors)


def test_a_link_that_waited_undoes_no_stop(remote, helm, motors):
    link, _ = remote
    ask(link, "startrecording")
    helm.take("page")
    helm.stop()
    goes_on_only_after_stop(link, motors)
    ask(link, "stop")
    until(lambda: motors.speeds == (0, 0))
    helm.stop()
    goes_on_only_after_stop(link, motors)


def test_a_remote_that_leaves_is_stopped_and_says_stop_when_it_is_back(remote, motors):
    link, _ = remote
    ask(link, "fast")
    until(lambda: motors.speeds != (0, 0))
    address = link.getpeername()
    link.close()
    assert seconds_to_rest(motors) < 0.3
    with socket.create_connection(address) as again:
        again.settimeout(3)
        goes_on_only_after_stop(again, motors)


def test_a_remote_that_leaves_at_rest_may_come_back_and_drive(remote, motors):
    link, _ = remote
    ask(link, "fast")
    ask(link, "stop")
    address = link.getpeername()
    link.close()
    with socket.create_connection(address) as again:
        again.settimeout(3)
        ask(again, "fast")
        until(lambda: motors.speeds != (0, 0))


@pytest.mark.parametrize(
    "data", [b"x", b"[]", b'{"cmd": 1}', b'{"cmd": "fly"}', b'{"a' * 2000, b"\xff", b"1" * 5000]
)
def test_nonsense_costs_the_remote_its_link(remote, motors, data):
    link, said = remote
    link.sendall(data)
    with suppress(ConnectionResetError):
        assert link.recv(8) == b""
    until(lambda: said)
    assert "link is closed" in said[0]
    assert motors.speeds == (0, 0)


def test_messages_stand_one_after_the_other_and_may_arrive_in_pieces():
    framing = Framing()
    assert list(framing.feed(b'{"cmd": "fast"}{"cmd": "st')) == ["fast"]
    assert list(framing.feed(b'op"}\r\n')) == ["stop"]


def test_turns_keep_the_direction():
    assert steer("leftlight", "backwards") == Command("left", "light", "backwards")
    assert steer("stop", "forward") == STOP
    assert steer("startrecording", "forward") is None


class Plugged:
    """evdev with these devices plugged in: their keys by path."""

    def __init__(self, monkeypatch, **pads):
        self.pads, self.closed = {f"/dev/input/{name}": keys for name, keys in pads.items()}, []
        monkeypatch.setitem(sys.modules, "evdev", self)

    def list_devices(self):
        return list(self.pads)

    def InputDevice(self, path):  # noqa: N802 evdev's name
        if path not in self.pads:
            raise OSError(errno.ENOENT, "No such file or directory")
        return SimpleNamespace(
            path=path,
            capabilities=lambda: {EV_KEY: self.pads[path]},
            close=lambda: self.closed.append(path),
        )


def test_the_gamepad_is_found_among_what_is_plugged_in(monkeypatch):
    plugged = Plugged(monkeypatch, event0=[30, 31], event1=[BTN_SOUTH], event2=[BTN_SOUTH])
    assert gamepad._open("auto").path == "/dev/input/event1"
    assert plugged.closed == ["/dev/input/event0"]
    assert gamepad._open("/dev/input/event2").path == "/dev/input/event2"
    with pytest.raises(ConfigError, match="event9 cannot be opened: No such .*--gamepad auto"):
        gamepad._open("/dev/input/event9")


def test_no_gamepad_and_no_evdev_say_what_to_do(monkeypatch):
    Plugged(monkeypatch, event0=[30])
    with pytest.raises(ConfigError, match="plug one in, or pair it with bluetoothctl"):
        gamepad._open("auto")
    monkeypatch.setitem(sys.modules, "evdev", None)
    with pytest.raises(RuntimeMissingError, match="`pip install evdev`"):
        gamepad._open("auto")


# A card that takes its time


@pytest.fixture
def slow_card(recorder, monkeypatch):
    ready = threading.Event()
    monkeypatch.setattr(recorder, "record", ready.wait)
    yield
    ready.set()


def test_the_terminal_hears_stop_while_the_recorder_waits(slow_card, terminal, helm):
    ours, _ = terminal
    os.write(ours, b"\nr ")
    until(lambda: helm.state.reason == Reason.STOP_PRESSED.value)


def test_a_gamepad_hears_stop_while_the_recorder_waits(slow_card, pad, helm, motors):
    device, _ = pad
    device.push((EV_KEY, BTN_SOUTH, 1), (EV_ABS, ABS_GAS, 100))
    until(lambda: motors.speeds == FAST.wheels)
    device.push((EV_KEY, BTN_START, 1), (EV_KEY, BTN_EAST, 1))
    assert seconds_to_rest(motors) < 0.2


def test_a_remote_is_heard_while_the_recorder_waits(slow_card, remote, motors):
    link, _ = remote
    ask(link, "fast")
    until(lambda: motors.speeds != (0, 0))
    ask(link, "startrecording")
    ask(link, "faster")
    until(lambda: motors.speeds == FAST.wheels)
