"""What a workstation asks of a car over ssh: facts, a new bundle, its recordings.

The verb is hidden: `autcar deploy`, `autcar status` and `autcar data pull` speak it.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

PROTOCOL = 1
DIGESTS = ".digests.json"


def add_verbs(verbs: Any) -> None:
    """Add ``car-side``."""
    parser = verbs.add_parser("car-side")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("facts").set_defaults(run=_facts)
    actions.add_parser("receive").set_defaults(run=_receive)
    use = actions.add_parser("use")
    use.add_argument("name")
    use.add_argument("--forced", action="append", default=[])
    use.add_argument("--by", default="")
    use.set_defaults(run=_use)
    update = actions.add_parser("update")
    update.add_argument("--what", default="")
    update.add_argument("--alone", action="store_true")
    update.add_argument("--back", action="store_true")
    update.set_defaults(run=_update)
    actions.add_parser("offer").set_defaults(run=_offer)
    actions.add_parser("send").set_defaults(run=_send)


def _facts(_arguments: argparse.Namespace) -> int:
    import shutil

    from autcar import __version__
    from autcar.appliance import places
    from autcar.appliance.control import ControlError, ask
    from autcar.appliance.model_store import ModelStore
    from autcar.appliance.service import UNITS, health
    from autcar.commands import LABELS
    from autcar.interpreter import find_runtime
    from autcar.machine import describe_machine

    config = _config()
    try:
        running = ask("status")
    except ControlError:
        running = {}
    state = places.state()
    there = next(folder for folder in (state, *state.parents) if folder.exists())
    facts = {
        "protocol": PROTOCOL,
        "autcar": __version__,
        "car": config.car.name,
        "machine": describe_machine(),
        "runtime": find_runtime()[0],
        "camera": [config.camera.width, config.camera.height, config.camera.fps],
        "labels": LABELS,
        "model": ModelStore().current(),
        "previous": ModelStore().previous(),
        "free_mb": shutil.disk_usage(there).free // 1_000_000,
        "services": {mode: health(unit)["says"] for mode, unit in UNITS.items()},
        "running": running,
    }
    print(json.dumps(facts))
    return 0


def _receive(_arguments: argparse.Namespace) -> int:
    from autcar.appliance.model_store import ModelStore

    print(json.dumps({"name": ModelStore().receive(sys.stdin.buffer, _config())}))
    return 0


def _use(arguments: argparse.Namespace) -> int:
    from autcar.appliance.models import switch

    said = switch(arguments.name, forced=tuple(arguments.forced), by=arguments.by)
    print(json.dumps({"said": said}))
    return 0


def _update(arguments: argparse.Namespace) -> int:
    from autcar.appliance.slots import Slots

    if os.geteuid() != 0:
        # The same command and standard input, as root: software is root's.
        os.execvp("sudo", ["sudo", "-n", *sys.argv])
    slots = Slots()
    if arguments.back:
        said = slots.back()
    else:
        said = slots.receive(sys.stdin.buffer, arguments.what, alone=arguments.alone)
    print(json.dumps({"said": said}))
    return 0


def _offer(_arguments: argparse.Namespace) -> int:
    """One line of JSON: path below the recordings → size, time of change."""
    folder = recordings()
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            seen = path.stat()
            files[path.relative_to(folder).as_posix()] = [seen.st_size, seen.st_mtime_ns]
    print(json.dumps(files))
    return 0


def _send(_arguments: argparse.Namespace) -> int:
    """A tar stream of the files named on standard input, and last of their digests."""
    folder = recordings().resolve()
    digests = {}
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        for name in sys.stdin.read().splitlines():
            path = (folder / name).resolve()
            if not path.is_relative_to(folder) or not path.is_file():
                continue
            data = path.read_bytes()
            digests[name] = hashlib.sha256(data).hexdigest()
            _add(tar, name, data, path.stat().st_mtime)
        _add(tar, DIGESTS, json.dumps(digests).encode(), 0)
    return 0


def _add(tar: tarfile.TarFile, name: str, data: bytes, mtime: float) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = len(data), mtime
    tar.addfile(entry, io.BytesIO(data))


def recordings() -> Path:
    """Where this car's services write recordings."""
    from autcar.appliance import places

    folder: str = _config().record.folder
    return places.state() / folder


def _config() -> Any:
    from autcar.appliance import places
    from autcar.config import Config, load_config

    path = places.config()
    return load_config(path) if path.exists() else Config()
