"""The models on a car: which drives, which drove before, and how one takes the other's place.

``models/NAME-DIGEST`` are bundles, never changed once they are there. ``current`` and
``previous`` are symbolic links to two of them, each replaced in one step. A model on
trial is a link in the runtime folder: a power cut forgets it, and the old model drives.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from autcar.appliance import parcel, places
from autcar.bundle import MANIFEST, Bundle, load_bundle, shipped_bundle
from autcar.config import Config
from autcar.errors import AutcarError, BundleError, DataNotFoundError
from autcar.files import sync_files, sync_names

SHIPPED = "shipped"
_FEWEST_FREE = 50_000_000
_LOCK = "trial.lock"


class ModelStoreError(AutcarError, RuntimeError):
    """What was asked of the models on the car cannot be done."""


@dataclass(frozen=True)
class Shelved:
    """A model on the car."""

    name: str
    size: int
    current: bool
    previous: bool
    on_trial: bool
    forced: tuple[str, ...]
    problem: str = ""


class ModelStore:
    """The models below the car's state folder."""

    def __init__(self, state: Path | None = None, running: Path | None = None) -> None:
        self.state = state or places.state()
        self._running = running or places.running()
        self.folder = self.state / "models"

    def active(self) -> Path:
        """The bundle that a service starting now drives with."""
        trial = self._running / "trial"
        for link in (*[trial] * self._trial_goes_on(), self.state / "current"):
            if (link / MANIFEST).is_file():
                return link.resolve()
        return shipped_bundle()

    def current(self) -> str:
        """The name of the model that drives after the next boot."""
        return _target(self.state / "current") or SHIPPED

    def previous(self) -> str | None:
        """The name of the model that drove before."""
        return _target(self.state / "previous")

    def models(self) -> list[Shelved]:
        """Every model on the car, by name."""
        found = []
        trial = _target(self._running / "trial")
        forced = {entry["model"]: tuple(entry["forced"]) for entry in self.history()}
        for folder in sorted(self.folder.glob("[!.]*")):
            problem = ""
            try:
                load_bundle(folder)
            except AutcarError as error:
                problem = str(error)
            size = sum(path.stat().st_size for path in folder.iterdir())
            name = folder.name
            found.append(
                Shelved(
                    name,
                    size,
                    name == self.current(),
                    name == self.previous(),
                    name == trial,
                    forced.get(name, ()),
                    problem,
                )
            )
        return found

    def receive(self, stream: IO[bytes], config: Config) -> str:
        """Take a bundle as a tar stream, check it, and shelve it; returns its name.

        A stream that ends too soon, or a bundle that does not fit this car, leaves nothing.
        """
        self.sweep()
        self._make()
        free = shutil.disk_usage(self.folder).free
        if free < _FEWEST_FREE:
            raise ModelStoreError(
                f"only {free / 1e6:.0f} MB are free below {self.folder}; remove a model "
                f"(`autcar models list`) or recordings first"
            )
        incoming = self.folder / f".incoming.{os.getpid()}"
        incoming.mkdir()
        try:
            parcel.unpack(stream, incoming)
            if not (incoming / MANIFEST).is_file():
                raise BundleError("the upload broke off; deploy again")
            bundle = load_bundle(incoming)
            check_runs(bundle, config)
            name = shelf_name(bundle)
            sync_files(incoming)
            with suppress(OSError):
                # There already, or the rename puts it there whole.
                incoming.rename(self.folder / name)
            load_bundle(self.folder / name)
            sync_names(self.folder)
            return name
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def sweep(self) -> None:
        """Clear away what an interrupted upload left."""
        for left in self.folder.glob(".incoming.*"):
            if not _alive(left.suffix[1:]):
                shutil.rmtree(left, ignore_errors=True)

    def find(self, name: str) -> Path:
        """The folder of the model called ``name``. Raises :class:`DataNotFoundError`."""
        if name == SHIPPED:
            return shipped_bundle()
        folder = self.folder / name
        if Path(name).name != name or name.startswith(".") or not folder.is_dir():
            names = ", ".join([SHIPPED, *(model.name for model in self.models())])
            raise DataNotFoundError(f"there is no model {name!r} on this car; there are {names}")
        return folder

    @contextmanager
    def trial(self, name: str) -> Iterator[Path]:
        """Let a service that starts now drive ``name``; afterwards, or after a boot, no more.

        Nor when whoever tries it has died, nor once the link that this yields is deleted.
        Raises :class:`ModelStoreError` during another trial.
        """
        import fcntl

        link, folder = self._running / "trial", self.find(name)
        self._make()
        # Opened to read, as anybody may; root or another user may have made it.
        with open(os.open(self._running / _LOCK, os.O_RDONLY | os.O_CREAT, 0o644), "rb") as lock:
            for attempt in range(10):  # a service that starts looks at the lock for a moment
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.05)
                    if attempt == 9:
                        raise ModelStoreError(
                            "another model is on trial right now; wait a little, then try again"
                        ) from None
            try:
                point(link, folder)
                yield link
            finally:
                link.unlink(missing_ok=True)

    def _trial_goes_on(self) -> bool:
        """Whether somebody waits for the outcome of a trial."""
        import fcntl

        try:
            with open(self._running / _LOCK, "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            pass
        return False

    def switch(self, name: str) -> None:
        """Make ``name`` the model that drives from the next start on, in one step."""
        self._make()
        folder, before = self.find(name), self.current()
        if name == before:
            return
        # By name: where the shipped one lies changes with the software.
        point(self.state / "previous", Path(before) if before == SHIPPED else self.find(before))
        if name == SHIPPED:
            (self.state / "current").unlink(missing_ok=True)
        else:
            point(self.state / "current", folder)
        sync_names(self.state)

    def remove(self, name: str) -> None:
        """Delete a model. Raises :class:`ModelStoreError` for the one that drives."""
        folder = self.find(name)
        if name in (self.current(), SHIPPED):
            raise ModelStoreError(
                f"{name} is what the car drives with; `autcar models use ANOTHER` first"
            )
        if name == self.previous():
            (self.state / "previous").unlink(missing_ok=True)
        gone = self.folder / f".incoming.removed-{name}"
        folder.rename(gone)
        shutil.rmtree(gone)

    def history(self) -> list[dict[str, Any]]:
        """What was deployed, oldest first."""
        try:
            lines = (self.state / "deployments.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        entries = []
        for line in lines:
            with suppress(ValueError):  # a power cut may tear the last line
                entries.append(json.loads(line))
        return entries

    def note(self, model: str, outcome: str, forced: tuple[str, ...] = (), by: str = "") -> None:
        """Remember a deployment, and whether it was forced past which checks."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        entry = {"time": now, "model": model, "outcome": outcome, "forced": forced, "by": by}
        self.state.mkdir(parents=True, exist_ok=True)
        log = self.state / "deployments.jsonl"
        if not log.exists():
            log.touch()
            log.chmod(0o664)
        with open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _make(self) -> None:
        try:
            for folder in (self.folder, self._running):
                if not folder.is_dir():
                    folder.mkdir(parents=True)
                    # Whoever is in the car's group may deploy.
                    folder.chmod(0o2775)
            allowed = os.access(self.folder, os.W_OK)
        except PermissionError:
            allowed = False
        if not allowed:
            raise ModelStoreError(
                f"{self.folder} is not yours to write; join its group with `sudo usermod -aG "
                f"autcar $USER` and log in again, or set sudo = true for this car in cars.toml"
            )


def shelf_name(bundle: Bundle) -> str:
    """A bundle's name in the store: its own and the start of its manifest's digest."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", bundle.manifest.name).strip("-") or "model"
    return f"{plain[:40]}-{bundle.digest[:8]}"


def check_runs(bundle: Bundle, config: Config) -> dict[str, float]:
    """Run each variant here; ms a frame. :class:`BundleError` unless one keeps up and all fit."""
    import numpy as np

    from autcar.interpreter import Interpreter

    camera = config.camera
    bundle.check_fits(camera.width, camera.height)
    image = np.full((camera.height, camera.width, 3), 127, np.uint8)
    took = {}
    for variant in bundle.manifest.variants:
        interpreter = Interpreter(bundle.path(variant))
        if interpreter.shape[1:3] != image.shape[:2]:
            raise BundleError(
                f"{variant.file} takes {interpreter.shape[2]}×{interpreter.shape[1]} images, its "
                f"manifest says {camera.width}×{camera.height}; train or convert it again"
            )
        scores = interpreter.run(image)
        answers = len(bundle.manifest.labels)
        pixels = bundle.manifest.task == "follow"
        fits = (
            scores.ndim == 3 and scores.shape[2] == answers
            if pixels
            else scores.shape == (answers,)
        )
        if not fits or not np.isfinite(scores).all():
            each = "one score a class for each pixel" if pixels else "one score a command"
            raise BundleError(f"{variant.file} does not answer with {each}")
        times = []
        for _ in range(20):
            began = time.perf_counter()
            interpreter.run(image)
            times.append((time.perf_counter() - began) * 1000)
        took[variant.name] = round(sorted(times)[len(times) // 2], 3)
    frame_ms = 1000 / camera.fps
    if min(took.values()) > 0.8 * frame_ms:
        raise BundleError(
            f"the fastest of {took} takes more than 80 % of a frame's {frame_ms:.0f} ms on this "
            f"car; lower [camera] fps, or train a smaller network"
        )
    return took


def pack(folder: Path, to: IO[bytes]) -> None:
    """Write a bundle as the tar stream that :meth:`ModelStore.receive` takes."""
    bundle = load_bundle(folder)
    names = [MANIFEST, "card.md", *(variant.file for variant in bundle.manifest.variants)]
    parcel.pack((folder / name for name in names if (folder / name).is_file()), to)


def as_dict(shelved: Shelved) -> dict[str, Any]:
    """A model on the car, JSON-able."""
    return asdict(shelved)


def _target(link: Path) -> str | None:
    try:
        return link.readlink().name
    except OSError:
        return None


def point(link: Path, target: Path) -> None:
    """Make ``link`` point to ``target`` in one step, and for good."""
    link.parent.mkdir(parents=True, exist_ok=True)
    new = link.with_name(f".{link.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
    sync_names(link.parent)


def _alive(pid: str) -> bool:
    return pid.isdigit() and Path("/proc", pid).exists()
