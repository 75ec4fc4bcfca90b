"""The verb ``autcar service``: the car as systemd services, put in, looked at and taken out."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autcar.appliance import places
from autcar.appliance.control import ask
from autcar.arguments import positive
from autcar.config import Config, load_config, template
from autcar.errors import AutcarError, ConfigError
from autcar.motors import DRIVERS

UNITS = {"drive": "autcar-edge.service", "record": "autcar-capture.service"}
USER = "autcar"
GROUPS = ("gpio", "video", "render", "input", "i2c")

_EXAMPLES = """\
examples:
  sudo autcar service install --dry-run     what it would do
  sudo autcar service install               drive after each boot, disarmed
  sudo autcar service install record        the cockpit after each boot, to drive and record
  autcar service status                     what runs, and how well
  autcar service arm                        let the bundle drive
  autcar service disarm                     bring the wheels to rest
  autcar service logs -f                    what happened, as it happens
  sudo autcar service start record          now the other service; the first one ends
  sudo autcar service remove                take it all out; recordings and models stay
"""


class ServiceError(AutcarError, RuntimeError):
    """systemd, or this machine, cannot do what was asked."""


def add_verbs(verbs: Any) -> None:
    """Add ``service``."""
    parser = verbs.add_parser(
        "service",
        help="install the car's systemd services, and look after them",
        description="Install the car's systemd services, and look after them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    install = _action(actions, "install", "install both services; one starts at boot", _install)
    _mode(install, "which starts at boot (drive)")
    install.add_argument("--config", metavar="FILE", help="copy this car.toml to /etc/autcar")
    install.add_argument("--arm", action="store_true", help="drive off after each boot by itself")
    install.add_argument("--no-start", action="store_true", help="only at the next boot")
    install.add_argument("--dry-run", action="store_true", help="show what would be done")

    remove = _action(actions, "remove", "take the services out", _remove)
    remove.add_argument("--purge", action="store_true", help="also car.toml, models, recordings")
    remove.add_argument("--dry-run", action="store_true", help="show what would be done")

    status = _action(actions, "status", "what runs, and how well", _status)
    status.add_argument("--json", action="store_true", help="one line of JSON")

    logs = _action(actions, "logs", "what the services said", _logs)
    logs.add_argument("-f", "--follow", action="store_true", help="and what they go on to say")
    logs.add_argument("-n", "--lines", type=positive, default=100, help="how many lines (100)")

    text = "start a service, also one that has given up; the other one ends"
    _mode(_action(actions, "start", text, _start), "which (drive)")
    _action(actions, "stop", "stop both services, wheels at rest", _stop)
    for name, text in (
        ("arm", "let the bundle drive"),
        ("disarm", "bring the wheels to rest; they stay so until armed"),
    ):
        _action(actions, name, text, _tell)


def _action(actions: Any, name: str, text: str, run: Any) -> Any:
    parser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    return parser


def _mode(parser: Any, text: str) -> None:
    parser.add_argument("mode", nargs="?", choices=[*UNITS], default="drive", help=text)


@dataclass(frozen=True)
class Step:
    """One thing to do: what it is, whether it is done already, and how.

    Where ``by_hand``, it is a person's to do before any other step is taken.
    """

    text: str
    done: Callable[[], bool]
    do: Callable[[], object]
    by_hand: bool = False


def carry_out(steps: Sequence[Step], *, dry_run: bool) -> int:
    """Do what is not done yet, saying so; returns how many steps were taken.

    Raises :class:`ServiceError`, before anything is done, where a person has to go first.
    """
    first = [step.text for step in steps if step.by_hand]
    if first and not dry_run:
        raise ServiceError("\n".join(first))
    for text in first:
        print(f"  first   {text}")
    taken = 0
    for step in steps:
        if step.by_hand:
            continue
        if step.done():
            print(f"  is so   {step.text}")
            continue
        taken += 1
        print(f"  {'would' if dry_run else 'do':<7} {step.text}", flush=True)
        if not dry_run:
            step.do()
    return taken


class Installer:
    """Puts the services on the machine whose files lie below ``root``.

    ``run`` runs a command, ``environment`` is where autcar is installed.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        run: Callable[..., object] | None = None,
        environment: Path | None = None,
    ) -> None:
        self.root = root
        self._run = run or _run
        self._environment = environment or Path(sys.prefix)
        self.units = root / "etc/systemd/system"

    def install(
        self, config: Config, mode: str, *, source: Path | None, arm: bool, start: bool
    ) -> list[Step]:
        """The steps that make this a car that starts ``mode`` at boot."""
        steps = [self._user(), *self._groups(), *self._software(), self._config(source)]
        try:
            drop_in = car_drop_in(config)
        except ServiceError as error:
            steps.append(_by_hand(str(error)))
            drop_in = ""
        for name, unit in UNITS.items():
            content = (unit_folder() / unit).read_text(encoding="utf-8")
            steps.append(self._file(self.units / unit, content))
            text = drop_in + (_arm_lines(content) if arm and name == "drive" else "")
            steps.append(self._file(self.units / f"{unit}.d" / "car.conf", text))
        other = next(unit for unit in UNITS.values() if unit != UNITS[mode])
        steps += [
            self._command("tell systemd", "systemctl", "daemon-reload"),
            self._command(f"not at boot: {other}", "systemctl", "disable", "--quiet", other),
            self._command(
                f"at boot: {UNITS[mode]}", "systemctl", "enable", "--quiet", UNITS[mode]
            ),
        ]
        if start:
            unit = UNITS[mode]
            steps.append(self._command(f"start {unit}", "systemctl", "restart", unit))
        return steps

    def remove(self, *, purge: bool) -> list[Step]:
        """The steps that leave nothing of :meth:`install`; with ``purge`` not even data."""
        steps = []
        for unit in UNITS.values():
            path = self.units / unit
            if path.exists():
                steps.append(
                    self._command(f"stop {unit}", "systemctl", "disable", "--now", "--quiet", unit)
                )
            steps += [self._gone(path), self._gone(self.units / f"{unit}.d")]
        steps.append(self._command("tell systemd", "systemctl", "daemon-reload"))
        steps.append(self._gone(self.root / "usr/local/bin/autcar"))
        steps.append(self._gone(self.root / "run/autcar"))
        steps.append(self._gone(self.root / places.SOFTWARE / "current"))
        if purge:
            steps += [
                self._gone(self.root / "etc/autcar"),
                self._gone(self.root / "var/lib/autcar"),
            ]
            steps.append(
                Step(
                    f"delete the user {USER}",
                    lambda: not _user_exists(USER),
                    lambda: self._run("userdel", USER),
                )
            )
            # userdel keeps a group with other members, and the owner is one.
            steps.append(
                Step(
                    f"delete the group {USER}",
                    lambda: _members(USER) is None,
                    lambda: self._run("groupdel", USER),
                )
            )
        return steps

    def _user(self) -> Step:
        def add() -> None:
            # A group that is there already is no reason for useradd to give up.
            group = ["--user-group"] if _members(USER) is None else ["--gid", USER]
            self._run(
                *("useradd", "--system", *group, "--no-create-home"),
                *("--home-dir", "/var/lib/autcar", "--shell", "/usr/sbin/nologin", USER),
            )

        return Step(
            f"a user {USER} that owns camera, motors and data", lambda: _user_exists(USER), add
        )

    def _groups(self) -> list[Step]:
        wanted = [(USER, group) for group in GROUPS if _members(group) is not None]
        if (owner := os.environ.get("SUDO_USER", "root")) != "root":
            wanted.append((owner, USER))
        return [
            Step(
                f"{user} in group {group}",
                lambda user=user, group=group: user in (_members(group) or ()),  # type: ignore[misc]
                lambda user=user, group=group: self._run("usermod", "-aG", group, user),  # type: ignore[misc]
            )
            for user, group in wanted
        ]

    def _software(self) -> list[Step]:
        current = self.root / places.SOFTWARE / "current"
        program = self.root / "usr/local/bin/autcar"
        here = self._environment
        steps = []
        if not current.exists():
            if here.parts[1:2] in (("home",), ("root",), ("tmp",)):
                text = (
                    f"autcar runs from {here}, which services must not read; install it for "
                    f"all, in a checkout:\n"
                    f"  sudo python3 -m venv --system-site-packages /opt/autcar/a\n"
                    f"  sudo /opt/autcar/a/bin/pip install '.[car]'\n"
                    f"  sudo /opt/autcar/a/bin/autcar service install"
                )
                steps.append(_by_hand(text))
                here = self.root / places.SOFTWARE / "a"
            steps.append(_link(current, here))
        steps.append(_link(program, Path("/", places.SOFTWARE, "current/bin/autcar")))
        return steps

    def _config(self, source: Path | None) -> Step:
        path = self.root / places.CONFIG
        if source is not None:
            return self._file(path, source.read_text(encoding="utf-8"))
        step = self._file(path, template())
        return Step(step.text, path.exists, step.do)

    def _file(self, path: Path, content: str) -> Step:
        def same() -> bool:
            return path.is_file() and path.read_text(encoding="utf-8") == content

        def write() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}.new")
            new.write_text(content, encoding="utf-8")
            new.chmod(0o644)
            new.replace(path)

        return Step(f"write {path}", same, write)

    def _gone(self, path: Path) -> Step:
        def delete() -> None:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

        return Step(f"delete {path}", lambda: not path.exists() and not path.is_symlink(), delete)

    def _command(self, text: str, *command: str) -> Step:
        return Step(f"{text} ({' '.join(command)})", lambda: False, lambda: self._run(*command))


def unit_folder() -> Path:
    """Where the units lie: in the installed package, or in the checkout."""
    package = Path(__file__).parent.parent
    installed = package / "units"
    return installed if installed.is_dir() else package.parent / "systemd"


def car_drop_in(config: Config) -> str:
    """What differs from car to car in both units: how its wheels come to rest without Python."""
    lines = ["# Written by `autcar service install` from car.toml; install again after a change."]
    lines += ["[Service]"]
    command = rest_command(config)
    if command is not None:
        # The plus sign: whatever the service may not do, this must be done.
        lines.append(f"ExecStopPost=+{command}")
    if config.motors.driver == "servo":
        # What the units shut off for every other car.
        if _servo_bus(config) is None:
            lines.append("ProtectKernelTunables=no")  # for /sys/class/pwm
        else:
            lines.append(f"DeviceAllow=/dev/i2c-{_servo_bus(config)} rw")
    return "\n".join(lines) + "\n"


def rest_command(config: Config) -> str | None:
    """A command without Python that brings the wheels to rest, or None where no pin turns them."""
    if config.motors.driver == "simulator":
        wires = config.simulator.wires
        zero = "/bin/dd if=/dev/zero bs=8 count=1 conv=notrunc status=none of="
        return f"{zero}{wires}" if wires else None
    if (bus := _servo_bus(config)) is not None:
        if tool := shutil.which("i2cset"):
            # The chip's register that ends the pulses of all its channels.
            return f"{tool} -y {bus} {config.motors.options.get('address', 0x40)} 0xfd 0x10"
        raise ServiceError(
            "i2cset is not here to end a PCA9685's pulses when all else fails; "
            "`sudo apt install i2c-tools`, then install again"
        )
    pins = motor_pins(config)
    if not pins:
        return None
    if tool := shutil.which("pinctrl"):
        return f"{tool} set {','.join(map(str, pins))} op dl"
    if tool := shutil.which("gpioset"):
        # libgpiod 1 takes the chip first and returns at once; 2 needs to be told to.
        version = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout
        how = "gpiochip0" if re.search(r"v1\.", version) else "-t0 -c gpiochip0"
        return f"{tool} {how} {' '.join(f'{pin}=0' for pin in pins)}"
    raise ServiceError(
        "neither pinctrl nor gpioset is here to drive the motor pins low when all else fails; "
        "`sudo apt install raspi-utils` or `sudo apt install gpiod`, then install again"
    )


def _servo_bus(config: Config) -> int | None:
    """The I²C bus of the PCA9685 that makes a servo car's pulses, None for every other car."""
    options = config.motors.options
    if config.motors.driver != "servo" or options.get("output") != "pca9685":
        return None
    return int(options.get("i2c_bus", 1))


def motor_pins(config: Config) -> list[int]:
    """The Broadcom numbers of the pins that ``[motors]`` names, such as GPIO17 or BOARD11."""
    values = {
        key: config.motors.options.get(key, field.default)
        for key, field in DRIVERS.settings(config.motors.driver).items()
    }
    pins = []
    for key, value in values.items():
        for kind, number in re.findall(r"\b(GPIO|BCM|BOARD)(\d+)\b", str(value)):
            pin = _HEADER.get(int(number)) if kind == "BOARD" else int(number)
            if pin is None:
                raise ConfigError(
                    f"[motors] {key}: BOARD{number} is no pin that can be driven; "
                    f"see https://pinout.xyz"
                )
            pins.append(pin)
    return sorted(set(pins))


# fmt: off
_HEADER = {
    3: 2, 5: 3, 7: 4, 8: 14, 10: 15, 11: 17, 12: 18, 13: 27, 15: 22, 16: 23, 18: 24, 19: 10,
    21: 9, 22: 25, 23: 11, 24: 8, 26: 7, 27: 0, 28: 1, 29: 5, 31: 6, 32: 12, 33: 13, 35: 19,
    36: 16, 37: 26, 38: 20, 40: 21,
}
# fmt: on
"""Place on the 40-pin header → Broadcom number."""


def _arm_lines(unit: str) -> str:
    start = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    return f"ExecStart=\n{start} --arm\n"


def _link(link: Path, target: Path) -> Step:
    def make() -> None:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)

    return Step(
        f"link {link} → {target}", lambda: link.is_symlink() and link.readlink() == target, make
    )


def _by_hand(text: str) -> Step:
    return Step(text, lambda: False, lambda: None, by_hand=True)


def _user_exists(name: str) -> bool:
    import pwd

    return any(user.pw_name == name for user in pwd.getpwall())


def _members(group: str) -> list[str] | None:
    import grp

    return next((found.gr_mem for found in grp.getgrall() if found.gr_name == group), None)


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise ServiceError(
            f"{command[0]} is not here; services need a Linux machine with systemd"
        ) from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip()
        raise ServiceError(
            f"`{' '.join(command)}` failed: {said}; look at `autcar service logs`"
        ) from error


def _need_linux() -> None:
    if sys.platform != "linux":
        raise ServiceError(
            "services need Linux with systemd, as a car has it; "
            "from here a car is asked by `autcar status pi@car.local`"
        )


def _need_root(what: str) -> None:
    if os.geteuid() != 0:
        raise ServiceError(f"this needs root: sudo autcar service {what}")


def _install(arguments: argparse.Namespace) -> int:
    _need_linux()
    if not arguments.dry_run:
        _need_root("install")
    source = Path(arguments.config) if arguments.config else None
    there = source or (places.config() if places.config().exists() else None)
    config = load_config(there) if there else Config()
    steps = Installer().install(
        config,
        arguments.mode,
        source=source,
        arm=arguments.arm,
        start=not arguments.no_start,
    )
    carry_out(steps, dry_run=arguments.dry_run)
    if not arguments.dry_run:
        print("next: autcar service status")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    _need_linux()
    if not arguments.dry_run:
        _need_root("remove")
    carry_out(Installer().remove(purge=arguments.purge), dry_run=arguments.dry_run)
    if not arguments.purge:
        print("kept: /etc/autcar, /var/lib/autcar (models, recordings) and the software")
    return 0


def _start(arguments: argparse.Namespace) -> int:
    systemctl("reset-failed", *UNITS.values(), check=False)
    systemctl("restart", UNITS[arguments.mode])
    print(health(UNITS[arguments.mode])["status"])
    return 0


def _stop(_arguments: argparse.Namespace) -> int:
    systemctl("stop", *UNITS.values())
    return 0


def _tell(arguments: argparse.Namespace) -> int:
    facts = ask(arguments.action)
    print("armed: it drives" if facts["armed"] else f"at rest: {facts['reason']}")
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    _need_linux()
    command = ["journalctl", "--no-pager", "-n", str(arguments.lines)]
    command += ["-f"] * arguments.follow
    for unit in UNITS.values():
        command += ["-u", unit]
    return subprocess.run(command).returncode


def _status(arguments: argparse.Namespace) -> int:
    found = [health(unit) for unit in UNITS.values()]
    if arguments.json:
        print(json.dumps(found))
    else:
        for facts in found:
            print(f"{facts['unit']:<24}{facts['says']}")
    return 0 if any(facts["active"] for facts in found) else 1


def systemctl(*command: str, check: bool = True) -> str:
    """Run systemctl, by sudo where this user is not root and something is to change."""
    _need_linux()
    prefix = [] if os.geteuid() == 0 or command[0] in ("show", "cat") else ["sudo", "-n"]
    full = [*prefix, "systemctl", *command]
    try:
        done = subprocess.run(
            full,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise ServiceError(f"{full[0]} is not here; services need Linux with systemd") from None
    if check and "not been booted with systemd" in done.stderr:
        raise ServiceError(
            "no systemd runs here, so there are no services; "
            "a car is asked by `autcar status pi@car.local`"
        )
    if check and done.returncode:
        said = done.stderr.strip()
        todo = "look at `autcar service logs`"
        if said.rpartition("\n")[2].startswith("sudo: "):
            todo = "let this user run sudo without a password, or type sudo before autcar"
        raise ServiceError(f"`{' '.join(full)}` failed: {said}; {todo}")
    return done.stdout


def health(unit: str) -> dict[str, Any]:
    """How one service is: what systemd knows of it, in a sentence too (``says``)."""
    wanted = "LoadState,ActiveState,SubState,Result,NRestarts,StatusText,ExecMainStatus,MainPID"
    wanted += ",StartLimitBurst"
    raw = dict(
        line.split("=", 1)
        for line in systemctl("show", unit, f"--property={wanted}").splitlines()
        if "=" in line
    )
    state, result, status = raw["ActiveState"], raw["Result"], raw.get("StatusText", "")
    if raw["LoadState"] != "loaded":
        says = "not installed; sudo autcar service install"
    elif state == "active":
        says = f"runs: {status}"
        if raw["NRestarts"] != "0":
            says += f" (restarted {raw['NRestarts']} times)"
    elif state == "failed" and int(raw["NRestarts"]) + 1 >= int(raw["StartLimitBurst"]):
        says = (
            f"stays down after {raw['StartLimitBurst']} failures ({result}). Last: {status}. "
            f"See `autcar service logs`, then `sudo autcar service start`"
        )
    elif state == "failed":
        says = f"stays down ({result}, exit code {raw['ExecMainStatus']}): {status}"
    else:
        says = f"{state} ({raw['SubState']}) {status}".rstrip()
    return {
        "unit": unit,
        "active": state == "active",
        "state": state,
        "result": result,
        "restarts": int(raw["NRestarts"]),
        "status": status,
        "pid": int(raw["MainPID"]),
        "says": says,
    }
