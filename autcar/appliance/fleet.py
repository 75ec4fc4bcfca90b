"""Cars, as a workstation sees them: names from ``cars.toml``, ssh to each, many at once.

A ``cars.toml`` in the working folder, or below ``~/.config/autcar``::

    [red]
    address = "pi@red.local"

    [blue]
    address = "pi@10.0.0.7"
    port = 2222                 # all but the address may be left out
    identity = "~/.ssh/blue"
    sudo = true                 # where the user is not in the car's group autcar
    cockpit = "http://10.0.0.7:9000"    # for `autcar fleet`, where it is not on port 8080
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from autcar.errors import AutcarError, ConfigError, DataNotFoundError

CONNECT_S = 10


class CarError(AutcarError, ConnectionError):
    """A car that cannot be reached, or that refused what it was asked."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


@dataclass(frozen=True)
class RemoteCar:
    """A car that ssh reaches.

    ``ssh_config`` is a file of ssh's own settings, ``cockpit`` its cockpit's URL.
    """

    name: str
    address: str
    port: int = 0
    identity: str = ""
    sudo: bool = False
    ssh_config: str = ""
    cockpit: str = ""

    def command(self, *words: str) -> list[str]:
        """The command that runs ``autcar`` with ``words`` on the car."""
        command = ["ssh", "-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_S}"]
        command += ["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"]
        command += ["-F", self.ssh_config] if self.ssh_config else []
        command += ["-p", str(self.port)] if self.port else []
        command += ["-i", str(Path(self.identity).expanduser())] if self.identity else []
        remote = [*(["sudo", "-n"] if self.sudo else []), "autcar", *words]
        return [*command, "--", self.address, shlex.join(remote)]

    def ask(self, *words: str, feed: Callable[[IO[bytes]], object] | None = None) -> Any:
        """Run ``autcar car-side`` with ``words``; what it says, from JSON.

        ``feed`` writes its standard input. Raises :class:`CarError` with the car's own words.
        """
        try:
            process = subprocess.Popen(
                self.command("car-side", *words),
                stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError:
            raise CarError(
                "ssh is not installed; on Windows: Settings, Optional features, OpenSSH Client"
            ) from None
        with process:
            if feed is not None:
                assert process.stdin is not None
                try:
                    feed(process.stdin)
                    process.stdin.close()
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the car hung up; its own words, below, say why
                process.stdin = None
            output, errors = process.communicate()
        if process.returncode:
            raise CarError(self._why(process.returncode, errors.decode(errors="replace").strip()))
        return json.loads(output) if output else None

    def _why(self, code: int, said: str) -> str:
        last = said.splitlines()[-1] if said else f"exit code {code}"
        if code == 255:
            return (
                f"{self.name}: no connection to {self.address}: {last}; "
                f"try `ssh {self.address}` by hand"
            )
        if code == 127 or "command not found" in said:
            return (
                f"{self.name}: autcar is not installed there ({last}); in a checkout on the car: "
                f"`sudo scripts/install-pi.sh`, then `sudo autcar service install`"
            )
        return f"{self.name}: {last.removeprefix('autcar: ')}"


def find_cars(names: Sequence[str], ssh_config: str = "") -> list[RemoteCar]:
    """The cars called ``names`` in ``cars.toml``; ``user@host`` is one by itself; none: all."""
    known = _known()
    if not names and not known:
        raise DataNotFoundError(
            "name a car, such as pi@car.local, or write your cars into cars.toml:\n"
            '  [red]\n  address = "pi@red.local"'
        )
    found = []
    for name in names or known:
        if name in known:
            found.append(known[name])
        elif "@" in name or not known:
            found.append(RemoteCar(name, name))
        else:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise ConfigError(f"cars.toml has no car {name!r}; {hint}")
    return [dataclasses.replace(car, ssh_config=ssh_config or car.ssh_config) for car in found]


def _known() -> dict[str, RemoteCar]:
    for path in (Path("cars.toml"), Path.home() / ".config/autcar/cars.toml"):
        if path.is_file():
            break
    else:
        return {}
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}; mend that line") from error
    fields = {field.name: field for field in dataclasses.fields(RemoteCar)}
    cars = {}
    for name, content in raw.items():
        if not isinstance(content, dict) or "address" not in content:
            raise ConfigError(f'{path}: [{name}] needs a line such as address = "pi@{name}.local"')
        for key, value in content.items():
            if key not in fields or key == "name":
                near = difflib.get_close_matches(key, fields, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(fields)}"
                raise ConfigError(f"{path}: [{name}] {key} is not known; {hint}")
            expected = type(fields[key].default) if key != "address" else str
            if type(value) is not expected:
                raise ConfigError(f"{path}: [{name}] {key}: expected {expected.__name__}")
        cars[name] = RemoteCar(name, **content)
    return cars


def with_each(
    cars: Sequence[RemoteCar], work: Callable[[RemoteCar], str]
) -> list[tuple[RemoteCar, bool, str]]:
    """Do ``work`` with all cars at once: each with whether it went well, and what was said."""

    def one(car: RemoteCar) -> tuple[RemoteCar, bool, str]:
        try:
            return car, True, work(car)
        except AutcarError as error:
            return car, False, str(error).removeprefix(f"{car.name}: ")

    with ThreadPoolExecutor(max_workers=max(1, len(cars))) as pool:
        return list(pool.map(one, cars))


def show(rows: Sequence[tuple[RemoteCar, bool, str]]) -> int:
    """Print what :func:`with_each` returned as a table; returns the exit code."""
    width = max((len(car.name) for car, _, _ in rows), default=0)
    for car, well, said in rows:
        print(f"{'✓' if well else '✗'} {car.name:<{width}}  {said}")
    return 0 if all(well for _, well, _ in rows) else 1
