"""``autcar doctor``: is this machine fit to be, or to teach, a car? What to type where not.

Each check looks at one thing below :attr:`Machine.root`, or asks one program, and
changes nothing. What only a Raspberry Pi has is looked at on a Raspberry Pi only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autcar.machine import Machine

OK, WARNING, FAILURE = "OK", "warning", "failure"

SERVICES = ("autcar-edge", "autcar-capture")


@dataclass(frozen=True)
class Finding:
    """One line of the doctor: ``state`` is OK, warning or failure; ``fix`` is what to type."""

    state: str
    what: str
    found: str
    fix: str = ""


def add_verbs(verbs: Any) -> None:
    """Add ``doctor``."""
    parser = verbs.add_parser(
        "doctor",
        help="check this machine, and say what to type where something is wrong",
        description="Check this machine, and say what to type where something is wrong.",
        epilog="examples:\n  autcar doctor\n  autcar doctor --json\n\n"
        "Exit code 1 when there is a failure; warnings are none.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE", help="car.toml (default: ./car.toml if there)")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a list")
    parser.set_defaults(run=doctor)


def doctor(arguments: argparse.Namespace) -> int:
    """Run the verb; returns the exit code."""
    findings = [_config(arguments.config), *examine(Machine())]
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            print(f"{finding.state:<8} {finding.what:<24} {finding.found}")
            if finding.fix:
                print(f"{'':<8} {'':<24} → {finding.fix}")
    return 1 if any(finding.state == FAILURE for finding in findings) else 0


def examine(machine: Machine) -> Iterator[Finding]:
    """Everything there is to say of a machine."""
    yield _python()
    yield _system(machine)
    yield from _packages(machine)
    yield from _runtime()
    yield _disk(machine)
    yield _clock(machine)
    if machine.model:
        yield from _pins(machine)
        yield _strict_pins(machine)
        yield _camera(machine)
        yield from _groups(machine)
        yield _power(machine)
        yield _heat(machine)
    yield from _services(machine)


def _config(path: str | None) -> Finding:
    from autcar.config import load_config
    from autcar.errors import AutcarError

    try:
        config = load_config(path)
    except AutcarError as error:
        return Finding(FAILURE, "car.toml", "cannot be used", str(error))
    if path is None and not Path("car.toml").is_file():
        return Finding(OK, "car.toml", "none here: the simulated car")
    found = f"{config.car.name}: {config.camera.driver} camera, {config.motors.driver} motors"
    return Finding(OK, "car.toml", found)


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.machine()}"
    if sys.maxsize <= 2**32:
        return Finding(
            WARNING,
            "Python",
            f"{found}, 32-bit: recording works, int8 models do not",
            "install the 64-bit Raspberry Pi OS with Raspberry Pi Imager",
        )
    return Finding(OK, "Python", f"{found}, 64-bit")


def _system(machine: Machine) -> Finding:
    lines = machine.text("etc/os-release").splitlines()
    facts = dict(line.split("=", 1) for line in lines if "=" in line)
    name = facts.get("PRETTY_NAME", platform.system()).strip('"')
    code = facts.get("VERSION_CODENAME", "")
    model = machine.model
    found = f"{name} on a {model}" if model else f"{name}, no Raspberry Pi"
    if model and code not in ("bookworm", "trixie"):
        return Finding(
            WARNING, "system", found, "autcar is tested on Raspberry Pi OS bookworm and trixie"
        )
    return Finding(OK, "system", found)


def _packages(machine: Machine) -> Iterator[Finding]:
    import importlib.util

    apt = "sudo apt install python3-{}"
    wanted = [
        ("numpy", "numpy", "pip install numpy", FAILURE),
        ("cv2", "opencv-python-headless", "pip install opencv-python-headless", FAILURE),
        ("aiohttp", "aiohttp", "pip install aiohttp", WARNING),
        ("simplejpeg", "simplejpeg", "pip install simplejpeg", WARNING),
    ]
    if machine.model:
        wanted += [
            (name, name, apt.format(name), WARNING) for name in ("picamera2", "gpiozero", "lgpio")
        ]
    else:
        wanted.append(
            (
                "tensorflow",
                "tensorflow",
                "for training: pip install 'autcar[workstation]'",
                WARNING,
            )
        )
    for module, package, fix, state in wanted:
        if importlib.util.find_spec(module) is None:
            hint = fix
            if fix.startswith("sudo apt") and machine.text(
                f"usr/share/doc/python3-{module}/copyright"
            ):
                hint = "make the environment anew with: python3 -m venv --system-site-packages"
            yield Finding(state, package, "not installed", hint)
        else:
            yield Finding(OK, package, _version(package))


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    for name in (package, package.replace("-headless", "")):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "installed"


def _runtime() -> Iterator[Finding]:
    from autcar.bundle import load_bundle, shipped_bundle
    from autcar.errors import AutcarError, RuntimeMissingError
    from autcar.interpreter import Interpreter, find_runtime

    try:
        name, _ = find_runtime()
    except RuntimeMissingError as error:
        yield Finding(FAILURE, "interpreter", "none", str(error))
        return
    try:
        bundle = load_bundle(shipped_bundle())
        times = {}
        for variant in bundle.manifest.variants:
            times[variant.name] = _milliseconds(Interpreter(bundle.path(variant)))
    except AutcarError as error:
        yield Finding(OK, "interpreter", name)
        yield Finding(FAILURE, "shipped bundle", "cannot be used", str(error))
        return
    shown = ", ".join(f"{variant} {ms:.2f} ms" for variant, ms in times.items())
    accelerated = times.get("int8", 0.0) <= times.get("float32", float("inf"))
    if name == "tflite-runtime" or not accelerated:
        yield Finding(
            WARNING,
            "interpreter",
            f"{name}, which does not accelerate int8 here: {shown} a frame",
            "let the car drive the file that is fastest here: autcar bench --choose",
        )
    else:
        yield Finding(OK, "interpreter", f"{name}, int8 accelerated: {shown} a frame")
    yield Finding(OK, "shipped bundle", str(bundle.folder))


def _milliseconds(interpreter: Any, runs: int = 15) -> float:
    import numpy as np

    image = np.zeros(interpreter.shape[1:], np.uint8)
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        interpreter.run(image)
        times.append((time.perf_counter() - began) * 1000)
    return min(times)


def _disk(machine: Machine) -> Finding:
    import shutil

    free_mb = shutil.disk_usage(Path.cwd()).free // 1_000_000
    found = f"{free_mb:,} MB free in {Path.cwd()}"
    if free_mb < 1000:
        return Finding(WARNING, "disk", found, "copy recordings away; recording ends at 500 MB")
    return Finding(OK, "disk", found)


def _clock(machine: Machine) -> Finding:
    found = time.strftime("%Y-%m-%d %H:%M", time.localtime(machine.now()))
    if machine.now() < 1_735_689_600:  # 2025: a Pi without a network starts in the past
        return Finding(
            WARNING, "clock", f"{found}, which is past", "sudo timedatectl set-ntp true"
        )
    if machine.run("timedatectl", "show", "--property=NTPSynchronized", "--value") == "no":
        return Finding(
            WARNING,
            "clock",
            f"{found}, not set by the network: recordings may be dated wrongly",
            "join a network, or sudo timedatectl set-ntp true",
        )
    return Finding(OK, "clock", found)


def _pins(machine: Machine) -> Iterator[Finding]:
    chips = sorted((machine.root / "dev").glob("gpiochip*"))
    if not chips:
        yield Finding(FAILURE, "pins", "no /dev/gpiochip0", "sudo apt full-upgrade, and restart")
        return
    closed = [chip for chip in chips if not os.access(chip, os.R_OK | os.W_OK)]
    if len(closed) == len(chips):
        yield Finding(
            FAILURE,
            "pins",
            f"{chips[0].name} is not yours to use",
            "sudo usermod -aG gpio $USER, then log in again",
        )
    else:
        yield Finding(OK, "pins", ", ".join(chip.name for chip in chips))


def _strict_pins(machine: Machine) -> Finding:
    """Whether the kernel makes a pin an input when its owner dies."""
    for driver in ("pinctrl_rp1", "pinctrl_bcm2835"):
        persist = machine.text(f"sys/module/{driver}/parameters/persist_gpio_outputs")
        if persist == "N":
            return Finding(OK, "strict_gpiod", "on: pins of a killed program are let go")
    lines = machine.text("boot/firmware/config.txt").splitlines()
    if any(line.strip().startswith("dtparam=strict_gpiod") for line in lines):
        return Finding(OK, "strict_gpiod", "set in /boot/firmware/config.txt")
    return Finding(
        WARNING,
        "strict_gpiod",
        "off: a motor pin keeps its level when its program is killed",
        "echo dtparam=strict_gpiod | sudo tee -a /boot/firmware/config.txt; then restart",
    )


def _camera(machine: Machine) -> Finding:
    from autcar.device_access import holders_of

    listed = machine.run("rpicam-hello", "--list-cameras") or machine.run(
        "libcamera-hello", "--list-cameras"
    )
    names = [
        line.split(":", 1)[1].split("[")[0].strip()
        for line in listed.splitlines()
        if line[:1].isdigit() and ":" in line
    ]
    usb = [
        name
        for device in sorted((machine.root / "sys/class/video4linux").glob("video*"))
        if "usb" in str(device.resolve())
        and (name := machine.text(str((device / "name").relative_to(machine.root))))
    ]
    found = [*names, *dict.fromkeys(usb)]
    if not found:
        return Finding(
            WARNING,
            "camera",
            "none found",
            "switch the Pi off, push the cable in on both ends, then rpicam-hello --list-cameras",
        )
    who = holders_of("/dev/media", machine.root / "proc") or holders_of(
        "/dev/video", machine.root / "proc"
    )
    if who and not any(service in who for service in ("autcar", "python")):
        return Finding(WARNING, "camera", f"{', '.join(found)}, in use by {who}", "end that")
    return Finding(OK, "camera", ", ".join(found) + (f", in use by {who}" if who else ""))


def _groups(machine: Machine) -> Iterator[Finding]:
    if machine.superuser:
        yield Finding(OK, "groups", "root: may use everything")
        return
    missing = [group for group in ("video", "gpio", "i2c") if group not in machine.groups()]
    if missing:
        yield Finding(
            WARNING,
            "groups",
            f"you are not in {', '.join(missing)}",
            f"sudo usermod -aG {','.join(missing)} $USER, then log in again",
        )
    else:
        yield Finding(OK, "groups", "video, gpio, i2c")


_POWER = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "too hot"}


def _power(machine: Machine) -> Finding:
    answer = machine.run("vcgencmd", "get_throttled").partition("=")[2]
    try:
        bits = int(answer, 16)
    except ValueError:
        return Finding(WARNING, "power", "unknown", "sudo apt install raspi-utils, for vcgencmd")
    now = [text for bit, text in _POWER.items() if bits >> bit & 1]
    before = [text for bit, text in _POWER.items() if bits >> (bit + 16) & 1]
    if now:
        return Finding(
            FAILURE,
            "power",
            f"now: {', '.join(now)}",
            "give the Pi a supply of its own, 5 V and 3 A or more, apart from the motors'",
        )
    if before:
        return Finding(
            WARNING,
            "power",
            f"since the start there was: {', '.join(before)}",
            "use a stronger supply and a shorter cable; motors want a supply of their own",
        )
    return Finding(OK, "power", "no under-voltage, no throttling since the start")


def _heat(machine: Machine) -> Finding:
    degrees = machine.temperature_c
    if degrees is None:
        return Finding(WARNING, "temperature", "unknown")
    if degrees > 75:
        return Finding(WARNING, "temperature", f"{degrees:.0f} °C", "give it a heat sink or a fan")
    return Finding(OK, "temperature", f"{degrees:.0f} °C")


def _services(machine: Machine) -> Iterator[Finding]:
    for service in SERVICES:
        shown = machine.run(
            "systemctl", "show", service, "--property=LoadState,ActiveState,NRestarts"
        )
        facts = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        if facts.get("LoadState") != "loaded":
            continue
        state, restarts = facts.get("ActiveState", "unknown"), facts.get("NRestarts", "0")
        found = state + (f", restarted {restarts} times" if restarts != "0" else "")
        if state == "failed" or restarts != "0":
            yield Finding(WARNING, service, found, f"journalctl -u {service} -e tells why")
        else:
            yield Finding(OK, service, found)
