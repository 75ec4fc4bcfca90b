"""The verb ``autcar update``, on the car: new software in the slot that is not in use.

``/opt/autcar/a`` and ``/opt/autcar/b`` are environments, ``current`` a link to one of them.
The new software is installed in the other one, proves itself there, runs the service on
trial, and only then takes over. The trial is a drop-in below ``/run``, so that a power
cut at any moment leaves the old software running.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autcar.appliance import places
from autcar.errors import AutcarError

SLOTS = ("a", "b")
_TRIAL = "trial.conf"
_CHECKED_S = 5

_EXAMPLES = """\
examples, on the car:
  sudo autcar update                               the newest release
  sudo autcar update autcar-0.2.0-py3-none-any.whl a wheel
  sudo autcar update --wheels /home/pi/wheels      without a network: all wheels lie there
  sudo autcar update --back                        the software of before
"""


class UpdateError(AutcarError, RuntimeError):
    """New software that was not taken; the old one runs."""


def add_verbs(verbs: Any) -> None:
    """Add ``update``."""
    parser = verbs.add_parser(
        "update",
        help="on the car: install new software beside the old, and switch when it works",
        description="Install new software beside the old one, and switch to it when it works.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="?", default="autcar[car]", help="for pip (autcar[car])")
    parser.add_argument("--wheels", metavar="FOLDER", help="take everything from this folder")
    parser.add_argument("--back", action="store_true", help="switch to the software of before")
    parser.set_defaults(run=_update)


def _update(arguments: argparse.Namespace) -> int:
    if os.geteuid() != 0:
        raise UpdateError("this needs root: sudo autcar update")
    slots = Slots()
    print(slots.back() if arguments.back else slots.update(arguments.what, arguments.wheels))
    return 0


class Slots:
    """The two environments below ``folder``."""

    def __init__(
        self,
        folder: Path = Path("/", places.SOFTWARE),
        runtime: Path = Path("/run/systemd/system"),
    ) -> None:
        self.folder = folder
        self._runtime = runtime

    def current(self) -> Path:
        """The environment in use."""
        return (self.folder / "current").resolve()

    def other(self) -> Path:
        """The slot that is free for new software."""
        return next(
            self.folder / s for s in SLOTS if (self.folder / s).resolve() != self.current()
        )

    def update(self, what: str, wheels: str | None = None) -> str:
        """Install ``what`` and switch to it, or raise :class:`UpdateError` and change nothing."""
        from autcar.appliance.models import refuse_while_driving

        refuse_while_driving()
        slot = self.other()
        shutil.rmtree(slot, ignore_errors=True)
        try:
            self._install(slot, what, wheels)
            self._prove(slot)
            self._switch(slot)
        except AutcarError as error:
            shutil.rmtree(slot, ignore_errors=True)
            raise UpdateError(f"not updated, {self.current().name} runs on: {error}") from error
        return f"{_version(slot)} runs, in slot {slot.name}; `sudo autcar update --back` undoes it"

    def back(self) -> str:
        """Switch to the other slot's software."""
        from autcar.appliance.models import refuse_while_driving

        slot = self.other()
        if not (slot / "bin/autcar").exists():
            raise UpdateError(f"there is no software of before in {slot}; see `autcar --version`")
        refuse_while_driving()
        self._prove(slot)
        self._switch(slot)
        return f"{_version(slot)} runs, in slot {slot.name}"

    def _install(self, slot: Path, what: str, wheels: str | None) -> None:
        settings = (self.current() / "pyvenv.cfg").read_text()
        shared = "include-system-site-packages = true" in settings
        base = Path(sys.base_prefix) / "bin" / Path(sys.executable).name
        python = base if base.exists() else Path("/usr/bin/python3")
        _run([python, "-m", "venv", *["--system-site-packages"] * shared, slot])
        source = ["--no-index", "--find-links", wheels] if wheels else []
        _run([slot / "bin/python", "-m", "pip", "install", "--quiet", *source, what])

    def _prove(self, slot: Path) -> None:
        """Let the new software read this car's settings and drive its own bundle, simulated."""
        program = slot / "bin/autcar"
        with tempfile.TemporaryDirectory() as folder:
            if places.config().exists():
                _run([program, "config", "--config", places.config()], folder)
            _run([program, "drive", "--fast", "--seconds", str(_CHECKED_S)], folder)

    def _switch(self, slot: Path) -> None:
        from autcar.appliance.service import UNITS, health, systemctl
        from autcar.appliance.shelf import point

        running = [unit for unit in UNITS.values() if health(unit)["state"] == "active"]
        try:
            with self._trial(slot):
                for unit in running:
                    systemctl("reset-failed", unit, check=False)
                    systemctl("restart", unit)
                    _see_running(unit)
                point(self.folder / "current", slot)
        except AutcarError:
            for unit in running:
                systemctl("reset-failed", unit, check=False)
                systemctl("restart", unit, check=False)
            raise

    @contextmanager
    def _trial(self, slot: Path) -> Iterator[None]:
        """Let services that start now run from ``slot``; afterwards, or after a boot, no more."""
        from autcar.appliance.service import UNITS, systemctl

        drop_ins = [self._runtime / f"{unit}.d" / _TRIAL for unit in UNITS.values()]
        current = str(self.folder / "current")
        try:
            for drop_in, unit in zip(drop_ins, UNITS.values(), strict=True):
                command = _start_line(unit).replace(current, str(slot))
                drop_in.parent.mkdir(parents=True, exist_ok=True)
                drop_in.write_text(f"[Service]\nExecStart=\n{command}\n")
            systemctl("daemon-reload")
            yield
        finally:
            for drop_in in drop_ins:
                drop_in.unlink(missing_ok=True)
            systemctl("daemon-reload", check=False)


def _start_line(unit: str) -> str:
    """The unit's last ``ExecStart=`` line, the owner's drop-ins included."""
    from autcar.appliance.service import systemctl, unit_folder

    text = systemctl("cat", unit, check=False) or (unit_folder() / unit).read_text()
    return [line for line in text.splitlines() if line.startswith("ExecStart=/")][-1]


def _see_running(unit: str) -> None:
    """Watch a service that just became ready. Raises :class:`UpdateError` unless it stays so."""
    from autcar.appliance.control import ask
    from autcar.appliance.models import HEALTHY_S
    from autcar.appliance.service import health

    before = health(unit)["pid"]
    until = time.monotonic() + HEALTHY_S
    while time.monotonic() < until:
        time.sleep(0.5)
        ask("status")
        now = health(unit)
        if now["state"] != "active" or now["pid"] != before:
            raise UpdateError(f"{unit} did not stay up: {now['says']}")


def _version(slot: Path) -> str:
    done = subprocess.run([slot / "bin/autcar", "--version"], capture_output=True, text=True)
    return done.stdout.strip() or "autcar"


def _run(command: Sequence[str | Path], folder: str | None = None) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=folder)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise UpdateError(f"`{' '.join(map(str, command))}` failed: {said[-1] if said else ''}")
