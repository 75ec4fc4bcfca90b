"""The software on a car: two environments, of which one is in use.

``/opt/autcar/a`` and ``/opt/autcar/b`` are environments, ``current`` a link to one of them.
New software is installed in the other one, proves itself there, runs the service on
trial, and only then takes over. The trial is a drop-in below ``/run``, so that a power
cut at any moment leaves the old software running.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from autcar.appliance import parcel, places
from autcar.errors import AutcarError

SLOTS = ("a", "b")
_TRIAL = "trial.conf"
_CHECKED_S = 5

_UNFINISHED = "unfinished"
"""A file in a slot whose software has not proved itself yet."""


class UpdateError(AutcarError, RuntimeError):
    """New software that was not taken; the old one runs."""


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
        """Install ``what`` and switch to it, or raise :class:`UpdateError` and change nothing.

        ``what`` is a wheel or a requirement of pip's. With ``wheels``, a folder, no network
        is asked.
        """
        with self._new_software() as slot:
            self._install(slot, what, wheels)
        return self._said(slot)

    def receive(self, stream: IO[bytes], what: str, *, alone: bool) -> str:
        """Take wheels as a tar stream and :meth:`update` from them, with ``alone`` from no other.

        A stream that ends too soon changes nothing.
        """
        with self._new_software() as slot:
            wheels = slot / "wheels"
            wheels.mkdir()
            parcel.unpack(stream, wheels)
            if what.endswith(".whl"):
                what = str(wheels / what)
            self._install(slot, what, str(wheels) if alone else None)
            shutil.rmtree(wheels)
        return self._said(slot)

    @contextmanager
    def _new_software(self) -> Iterator[Path]:
        """The free slot, empty; when the caller has filled it, it is proved and taken over."""
        from autcar.appliance.models import refuse_while_driving

        refuse_while_driving()
        with self._lock():
            slot = self.other()
            shutil.rmtree(slot, ignore_errors=True)
            slot.mkdir(parents=True)
            (slot / _UNFINISHED).touch()
            try:
                yield slot
                self._prove(slot)
                self._switch(slot)
            except BaseException as error:
                if slot.resolve() == self.current():
                    raise  # It has taken over already, and is what the car runs.
                shutil.rmtree(slot, ignore_errors=True)
                if not isinstance(error, AutcarError):
                    raise
                used = self.current().name
                raise UpdateError(f"not updated, {used} runs on: {error}") from error

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Have the slots alone. Raises :class:`UpdateError` while another changes them."""
        import fcntl

        # The folder itself, so that no file is left in it; whoever dies lets go.
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UpdateError(
                    f"another `autcar update` changes the software in {self.folder} right now; "
                    f"wait for its end, then look at `autcar --version` and try again"
                ) from None
            yield
        finally:
            os.close(folder)

    def _said(self, slot: Path) -> str:
        return f"{_version(slot)} runs, in slot {slot.name}; `autcar update --back` undoes it"

    def back(self) -> str:
        """Switch to the other slot's software."""
        from autcar.appliance.models import refuse_while_driving

        with self._lock():
            slot = self.other()
            if not (slot / "bin/autcar").exists() or (slot / _UNFINISHED).exists():
                # Left by a power cut in an update, which had wiped the one of before.
                shutil.rmtree(slot, ignore_errors=True)
                raise UpdateError(
                    f"there is no software of before in {slot}; see `autcar --version`"
                )
            refuse_while_driving()
            self._prove(slot)
            self._switch(slot)
        return f"{_version(slot)} runs, in slot {slot.name}"

    def _install(self, slot: Path, what: str, wheels: str | None) -> None:
        settings = (self.current() / "pyvenv.cfg").read_text(encoding="utf-8")
        shared = "include-system-site-packages = true" in settings
        base = Path(sys.base_prefix) / "bin" / Path(sys.executable).name
        python = base if base.exists() else Path("/usr/bin/python3")
        _run([python, "-m", "venv", *["--system-site-packages"] * shared, slot])
        source = ["--no-index", "--find-links", wheels] if wheels else []
        if what == "autcar" or what.endswith(".whl"):
            what += "[car]"  # with all that a car needs
        _run([slot / "bin/python", "-m", "pip", "install", "--quiet", *source, what])

    def _prove(self, slot: Path) -> None:
        """Let the new software read this car's settings and drive its own bundle, simulated."""
        program = slot / "bin/autcar"
        with tempfile.TemporaryDirectory() as folder:
            if places.config().exists():
                _run([program, "config", "--config", places.config()], folder)
            _run([program, "drive", "--fast", "--seconds", str(_CHECKED_S)], folder)

    def _switch(self, slot: Path) -> None:
        from autcar.appliance.model_store import point
        from autcar.appliance.models import refuse_while_driving
        from autcar.appliance.service import UNITS, health, systemctl

        # Again: since it was asked first, pip took minutes, and restarts are next.
        refuse_while_driving()
        running = [unit for unit in UNITS.values() if health(unit)["state"] == "active"]
        try:
            with self._trial(slot):
                for unit in running:
                    systemctl("reset-failed", unit, check=False)
                    systemctl("restart", unit)
                    _see_running(unit)
                # A power cut must not leave a finished slot whose files pip wrote to no disk yet.
                os.sync()
                (slot / _UNFINISHED).unlink(missing_ok=True)
                point(self.folder / "current", slot)
        except BaseException:
            # Ctrl-C, too: what runs on trial is about to be deleted.
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

    text = systemctl("cat", unit, check=False)
    text = text or (unit_folder() / unit).read_text(encoding="utf-8")
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
