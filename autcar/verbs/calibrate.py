"""``autcar calibrate``: find out how this car is wired and how the camera is mounted.

It turns one wheel at a time and asks what happened. The guardian owns the motors and
every movement is a lease of a moment, so leaving at any point, in any way, leaves the
wheels at rest. ``car.toml`` is written at the end, whole, and only if wished.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autcar.errors import AutcarError, ConfigError

if TYPE_CHECKING:
    from autcar.config import Config
    from autcar.wheels import Wheels

Ask = Callable[[str, str], str]
"""A question and the letters that may answer it ("" for any text) → the answer."""

LEASE_S = 0.3
PICTURE = Path("calibrate.jpg")

_TWO_SIDED = {"swap": False, "invert_left": False, "invert_right": False}
_TURNS = {"t": 0, "l": 90, "b": 180, "r": 270}


class LeftError(AutcarError):
    """The person left before the end."""


def add_verbs(verbs: Any) -> None:
    """Add ``calibrate``."""
    parser = verbs.add_parser(
        "calibrate",
        help="find swapped or reversed wheels, dead band, trim and the picture's rotation",
        description="Find swapped or reversed wheels, dead band, trim and the picture's rotation, "
        "by questions, and write them to car.toml. Answer q at any point to leave.",
        epilog="examples:\n  autcar config --camera picamera2 --motors stepper > car.toml\n"
        "  autcar calibrate\n  autcar calibrate --only camera",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE", default="car.toml", help="default: car.toml")
    parser.add_argument("--only", choices=["motors", "camera"], help="the other stays as it is")
    parser.set_defaults(run=calibrate)


def calibrate(arguments: argparse.Namespace) -> int:
    """Run the verb; returns the exit code."""
    from autcar.config import load_config, template
    from autcar.files import write_atomic

    path = Path(arguments.config)
    config = before = load_config(path)
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(
            f"{path} is not yours to write; type `sudo autcar calibrate --config {path}`"
        )
    try:
        if arguments.only != "camera":
            config = _motors(config, Calibration(config, ask_person))
        if arguments.only != "motors":
            config = _camera(config)
        if config == before:
            print(f"nothing to change; {path} stays as it is")
            return 0
        for section in ("motors", "camera"):
            _tell_changes(section, getattr(before, section), getattr(config, section))
        if ask_person(f"write this to {path}? (y/n)", "yn") == "n":
            raise LeftError(f"{path} stays as it is")
    except LeftError as left:
        print(f"left, with the wheels at rest; {left}")
        return 1
    kept = path.with_name(f"{path.name}.bak")
    kept.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    write_atomic(path, template(config))
    print(f"written to {path}; what it was before is in {kept}\nnext: autcar record")
    return 0


def ask_person(question: str, letters: str) -> str:
    """Ask at the terminal until the answer is one of the letters; ``q`` or no input leaves."""
    while True:
        try:
            answer = input(f"{question} ").strip().lower()
        except EOFError:
            raise LeftError("there is nobody to answer; nothing was written") from None
        if answer == "q":
            raise LeftError("nothing was written")
        if not letters or (answer and answer[0] in letters):
            return answer if not letters else answer[0]
        print(f"answer with one of {', '.join(letters)}, or q to leave")


class Calibration:
    """Asks about the motors. ``settings`` are those of the driver, as found so far.

    ``open_wheels`` opens the motors with settings; ``pause`` waits that many seconds.
    """

    def __init__(
        self,
        config: Config,
        ask: Ask,
        open_wheels: Callable[[dict[str, Any]], Wheels] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ask = ask
        self._pause = pause
        self._driver = config.motors.driver
        self._open_wheels = open_wheels or self._guarded
        self.settings = dict(config.motors.options)

    def two_sides(self, *, exact: bool) -> None:
        """Swap and direction of both wheels; unless steps are ``exact``, dead band and trim."""
        self.settings |= _TWO_SIDED
        while True:
            self._ask("lift the car: no wheel may touch anything. Enter when it is so", "")
            left, left_turns = self._one_wheel("left", 0.5, 0.0)
            right, right_turns = self._one_wheel("right", 0.0, 0.5)
            if left == right:
                print(f"both times the {left} wheel? that cannot be; once more")
                continue
            turns = {left: left_turns, right: right_turns}
            self.settings |= {
                "swap": left == "right",
                "invert_left": turns["left"] == "backwards",
                "invert_right": turns["right"] == "backwards",
            }
            if (
                self._see("do both wheels turn forwards now? (y/n, a: again)", "yn", 0.5, 0.5)
                == "y"
            ):
                break
            self.settings |= _TWO_SIDED
        if not exact:
            self.settings["trim"] = 0.0  # else only what it leaves of the pull is measured
            self._dead_band()
            self._trim()

    def steering_and_throttle(self) -> None:
        """Direction and centre of the steering, direction and dead band of the throttle."""
        self.settings |= {"invert_steering": False, "invert_throttle": False, "dead_band": 0.0}
        self._ask("lift the car: no wheel may touch anything. Enter when it is so", "")
        self._steering_direction()
        centre = float(self.settings.get("centre_us", 1500.0))
        too_short = "r" if self.settings["invert_steering"] else "l"  # where such a pulse points
        while True:
            self.settings["centre_us"] = centre
            straight = self._see(
                "do the front wheels point straight (y), to the left (l) or right (r)?",
                "ylr",
                0,
                0,
            )
            if straight == "y":
                break
            side = 1 if straight == too_short else -1
            centre = min(max(centre + 20.0 * side, 800.0), 2200.0)
        question = "do the driven wheels turn forwards (f) or backwards (b)? (a: again)"
        turned = self._see(question, "fb", 0.5, 0.5)
        self.settings["invert_throttle"] = turned == "b"
        self._dead_band()

    def _steering_direction(self) -> None:
        """Steer right, then left: off centre, only the two together tell which is which."""
        question = (
            "the front wheels took two positions: was the second further left (l) or further "
            "right (r) than the first? (a: again)"
        )
        way = "a"
        while way == "a":
            # So little throttle that the car does not move.
            self._move(0.03, 0.01, 1.0)
            self._move(0.01, 0.03, 1.0)
            way = self._ask(question, "lra")
        self.settings["invert_steering"] = way == "r"

    def _one_wheel(self, pins: str, left: float, right: float) -> tuple[str, str]:
        """Which wheel turns that hangs on these pins, and which way."""
        while True:
            question = "which wheel turned: left (l), right (r), none (n)? (a: again)"
            which = self._see(question, "lrn", left, right)
            if which != "n":
                break
            print(
                f"nothing turned: are the motors powered, and is {pins}_pins right in car.toml? "
                f"(`autcar doctor` looks at the pins)"
            )
        way = self._see(
            "forwards (f) or backwards (b)? (a: again)", "fb", left, right, first=False
        )
        wheel = "left" if which == "l" else "right"
        return wheel, "forwards" if way == "f" else "backwards"

    def _dead_band(self) -> None:
        self.settings["dead_band"] = 0.0
        for hundredths in range(5, 95, 5):
            drive = hundredths / 100
            question = f"drive {drive:.0%}: do all driven wheels turn? (y/n, a: again)"
            if self._see(question, "yn", drive, drive) == "y":
                # Steps of 5 %: the wheels may have begun to turn anywhere within the last.
                self.settings["dead_band"] = drive if hundredths > 5 else 0.0
                return
        raise ConfigError("the wheels never turned; check the motors' supply and [motors] pins")

    def _trim(self) -> None:
        print("now count the turns of each wheel, for 10 s; a strip of tape on each helps")
        self._ask("ready? Enter when you are", "")
        self._move(0.7, 0.7, 10.0)
        left = self._count("how many turns did the left wheel make?")
        right = self._count("and the right one?")
        trim = 1 - right / left if left > right else left / right - 1
        self.settings["trim"] = round(min(max(trim, -0.5), 0.5), 3)

    def _count(self, question: str) -> float:
        while True:
            try:
                count = float(self._ask(question, "").replace(",", "."))
            except ValueError:
                count = 0.0
            if 0 < count < 1000:
                return count
            print("a number such as 12.5, please")

    def _see(
        self,
        question: str,
        letters: str,
        left: float,
        right: float,
        *,
        first: bool = True,
    ) -> str:
        """Move, then ask; as often as it is wished. Not ``first``: what was seen may do."""
        while True:
            if first:
                self._move(left, right, 1.0)
            first = True
            answer = self._ask(question, letters + "a")
            if answer != "a":
                return answer

    def _move(self, left: float, right: float, seconds: float) -> None:
        with self._opened() as wheels:
            wheels.arm()
            for _ in range(round(seconds / 0.05)):
                now_ns = time.monotonic_ns()
                wheels.drive(left, right, now_ns, now_ns + int(LEASE_S * 1e9))
                self._pause(0.05)
            wheels.stop()

    @contextmanager
    def _opened(self) -> Iterator[Wheels]:
        wheels = self._open_wheels(self.settings)
        try:
            yield wheels
        finally:
            wheels.close()

    def _guarded(self, settings: dict[str, Any]) -> Wheels:
        from autcar.wheels import GuardedWheels

        return GuardedWheels({"driver": self._driver, **settings})


def _motors(config: Config, calibration: Calibration) -> Config:
    from autcar.motors import DRIVERS

    known = DRIVERS.settings(config.motors.driver)
    if known.keys() >= _TWO_SIDED.keys():
        calibration.two_sides(exact="step_ms" in known)
    elif "invert_steering" in known:
        calibration.steering_and_throttle()
    else:
        print(f"[motors] driver {config.motors.driver!r} has nothing to calibrate")
        return config
    return replace(config, motors=replace(config.motors, options=calibration.settings))


def _camera(config: Config, ask: Ask = ask_person) -> Config:
    if config.camera.driver == "simulator":
        print("the simulated camera has nothing to calibrate")
        return config
    from autcar.cameras import open_camera
    from autcar.images import encode_jpeg

    section = replace(config.camera, rotation=0, flip="", crop="")
    with open_camera(section) as camera:
        for _ in range(10):  # the first are dark, until the exposure is found
            frame = camera.read(3.0)
    PICTURE.write_bytes(encode_jpeg(frame.image))
    print(f"look at the picture in {PICTURE.resolve()}")
    edge = ask(
        "where is the sky, or the ceiling: top (t), right (r), bottom (b) or left (l)?",
        "trbl",
    )
    mirrored = ask("is it mirrored: does writing read backwards? (y/n)", "yn") == "y"
    PICTURE.unlink(missing_ok=True)
    section = replace(config.camera, rotation=_TURNS[edge], flip="horizontal" if mirrored else "")
    return replace(config, camera=section)


def _tell_changes(section: str, before: Any, after: Any) -> None:
    old = {**vars(before), **before.options}
    for key, value in {**vars(after), **after.options}.items():
        if key != "options" and old.get(key) != value:
            print(f"[{section}] {key} = {value!r}", file=sys.stdout)
