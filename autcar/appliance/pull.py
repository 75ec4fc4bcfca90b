"""``autcar data pull``: bring recordings from cars, again and again, only what is new."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import tarfile
from pathlib import Path, PureWindowsPath
from typing import IO

from autcar.appliance.car_side import DIGESTS
from autcar.appliance.fleet import CarError, RemoteCar, find_cars, show, with_each
from autcar.errors import DataError

_PART = ".part"


def pull_all(arguments: argparse.Namespace) -> int:
    """Run the action; returns the exit code."""
    cars = find_cars(arguments.cars, arguments.ssh_config)
    to = Path(arguments.to)
    # Two cars may well record at the same second: each has a folder of its own.
    return show(with_each(cars, lambda car: pull(car, to / _plain(car.name))))


def pull(car: RemoteCar, to: Path) -> str:
    """Bring what ``to`` does not have yet; returns what was done.

    A file is there whole and verified, or not at all: what was cut off goes on next time.
    """
    offered = car.ask("offer")
    for name in offered:
        # Also where C:x or a backslash would lead, on a workstation with Windows.
        windows = PureWindowsPath(name)
        if windows.drive or windows.root or ".." in windows.parts:
            raise DataError(f"{car.name} offers {name!r}, which lies outside its recordings")
    wanted = [name for name, (size, mtime) in offered.items() if not _have(to / name, size, mtime)]
    if not wanted:
        return f"nothing new in {to} ({len(offered):,} files)"
    command = car.command("car-side", "send")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdin.write("\n".join(wanted).encode())
            process.stdin.close()
            size = _take(process.stdout, to, {name: offered[name][1] for name in wanted})
        except (tarfile.TarError, EOFError, OSError) as error:
            process.kill()
            said = process.stderr.read().decode(errors="replace").strip()
            raise CarError(
                f"{car.name}: broke off ({said or error}); what came is kept, "
                f"`autcar data pull {car.name}` goes on"
            ) from error
        finally:
            for left in to.rglob(f"*{_PART}"):
                left.unlink()
    return f"{len(wanted):,} files, {size / 1e6:.1f} MB, verified, in {to}"


def _take(stream: IO[bytes], to: Path, times: dict[str, int]) -> int:
    """Write the files of a tar stream; returns their size. Each is named once it is whole."""
    taken: dict[str, str] = {}
    total = 0
    digests: dict[str, str] | None = None
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for entry in tar:
            source = tar.extractfile(entry)
            if source is None:
                continue
            data = source.read()
            if len(data) != entry.size:
                raise EOFError(f"{entry.name} is cut short")
            if entry.name == DIGESTS:
                digests = json.loads(data)
                continue
            if entry.name not in times:
                raise DataError(f"the car sent {entry.name!r}, which nobody asked for")
            path = to / entry.name
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(path.name + _PART)
            part.write_bytes(data)
            os.utime(part, ns=(times[entry.name], times[entry.name]))
            part.replace(path)
            taken[entry.name] = hashlib.sha256(path.read_bytes()).hexdigest()
            total += len(data)
    if digests is None:
        raise EOFError("the stream ended early")
    for name, digest in taken.items():
        if digests.get(name) != digest:
            (to / name).unlink()
            raise DataError(f"{name} came altered; pull again")
    return total


def _have(path: Path, size: int, mtime_ns: int) -> bool:
    try:
        seen = path.stat()
    except OSError:
        return False
    # Some file systems keep two seconds only.
    return seen.st_size == size and abs(seen.st_mtime_ns - mtime_ns) <= 2_000_000_000


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
