"""``car.toml``: everything that differs from one car to another.

Each section is a frozen dataclass; a field's default and ``help`` are also the
commented template that :func:`template` prints. An unknown key is refused with
its line and the nearest known name.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from autcar.drivers import Drivers
from autcar.drivers import setting as _setting
from autcar.errors import ConfigError, DataNotFoundError
from autcar.safety import Limits


def _options(drivers: str) -> Any:
    """The driver's own settings, which its file declares; ``drivers`` has the list of drivers."""
    return field(default_factory=dict, metadata={"drivers": drivers})


@dataclass(frozen=True)
class CarSection:
    """Who this car is."""

    name: str = _setting("autcar", "shown in the cockpit and written into recordings")


@dataclass(frozen=True)
class CameraSection:
    """Where frames come from."""

    driver: str = _setting("simulator", "simulator, picamera2, opencv, replay, or a plug-in")
    width: int = _setting(224, "pixels", 16, 4096)
    height: int = _setting(168, "pixels", 16, 4096)
    fps: float = _setting(20.0, "frames per second", 1, 240)
    rotation: int = _setting(0, "degrees clockwise: 0, 90, 180 or 270", 0, 270)
    flip: str = _setting("", "horizontal: a mirrored picture; vertical; both; empty: neither")
    crop: str = _setting("", "part to use: left, top, right, bottom, such as '0 0.3 1 1'")
    options: Mapping[str, Any] = _options("autcar.cameras")


@dataclass(frozen=True)
class MotorsSection:
    """What turns the wheels."""

    driver: str = _setting("simulator", "simulator, stepper, bridge, servo, or a plug-in")
    options: Mapping[str, Any] = _options("autcar.motors")


@dataclass(frozen=True)
class SimulatorSection:
    """The simulated car's world, used where a driver is "simulator"."""

    seed: int = _setting(1, "which track; the same seed is the same track", 0, 2**31 - 1)
    difficulty: float = _setting(0.0, "0 is easy, 1 is varied and hard", 0, 1)
    disturbance: float = _setting(0.0, "how much the floor pushes the car about", 0, 1)
    wires: str = _setting("", "file that joins motors and world; empty: one of its own")
    world: str = _setting("track", "track: a lane to drive; people: a floor with a hero to follow")
    people: int = _setting(6, "how many others walk about beside the hero", 0, 30)
    signs: str = _setting("", "traffic signs, by metres along the lane: 'stop 3.0, priority 7.5'")


@dataclass(frozen=True)
class FollowSection:
    """How near the car keeps to its hero, with a bundle that follows a person."""

    size: float = _setting(
        0.55, "the hero's height in the picture at the right distance, a share of it", 0.05, 0.9
    )
    near: float = _setting(0.7, "from this height on they are too near", 0.1, 0.95)
    back: bool = _setting(True, "back off from a hero who is too near; false: only stop")
    search: bool = _setting(False, "turn on the spot to look for a hero who is lost")
    least_pixels: int = _setting(50, "fewer pixels of the hero than this are none", 1, 10_000)
    lost_ms: float = _setting(
        300.0, "the hero is lost when most pictures of this long show none", 50, 400
    )

    def __post_init__(self) -> None:
        if self.near <= self.size:
            raise ConfigError(
                f"[follow] near = {self.near:g} must be more than size = {self.size:g}: "
                f"a hero who is too near stands higher in the picture"
            )


@dataclass(frozen=True)
class RecordSection:
    """Where and how recordings are written."""

    folder: str = _setting("recordings", "sessions are written below this folder")
    quality: int = _setting(90, "JPEG quality", 1, 100)
    idle: bool = _setting(False, "also record while nobody drives")
    free_mb: int = _setting(
        500, "stop recording when less than this is free on the card", 0, 2**31
    )
    keep_s: float = _setting(10.0, "how far back 'save the last seconds' can reach", 0, 120)
    queue: int = _setting(
        100, "frames that may wait for a slow card before some are dropped", 1, 10_000
    )


@dataclass(frozen=True)
class CockpitSection:
    """The page in the browser, and AutCar's remote protocol."""

    listen: str = _setting("127.0.0.1", "0.0.0.0 lets other devices in, by a pairing code")
    port: int = _setting(8080, "0 takes any free one", 0, 65535)
    pair: bool = _setting(False, "ask for the pairing code on this computer, too")
    hosts: str = _setting("", "further names this car is opened by, such as 'car.lan, 10.0.0.7'")
    certificate: str = _setting("", "PEM file: serve https with it")
    key: str = _setting("", "PEM file: the key of the certificate")
    link_ms: float = _setting(400.0, "stop when the driver was not heard for this long", 100, 1000)
    remote_port: int = _setting(0, "AutCar's remote protocol; 0 is off, AutCar had 8090", 0, 65535)
    remote_listen: str = _setting("127.0.0.1", "it knows no pairing: open it to others with care")


@dataclass(frozen=True)
class Config:
    """A whole ``car.toml``."""

    car: CarSection = field(default_factory=CarSection)
    camera: CameraSection = field(default_factory=CameraSection)
    motors: MotorsSection = field(default_factory=MotorsSection)
    safety: Limits = field(default_factory=Limits)
    simulator: SimulatorSection = field(default_factory=SimulatorSection)
    follow: FollowSection = field(default_factory=FollowSection)
    record: RecordSection = field(default_factory=RecordSection)
    cockpit: CockpitSection = field(default_factory=CockpitSection)


def script_config() -> Config:
    """What AutCar's scripts drive with: ``$AUTCAR_CONFIG``, else as :func:`load_config` has it."""
    return load_config(os.environ.get("AUTCAR_CONFIG"))


def load_config(path: str | Path | None = None) -> Config:
    """Read ``path``, or ``car.toml`` in the working folder where there is one, or the defaults.

    Raises :class:`DataNotFoundError` when a path that was given is not there, and
    :class:`ConfigError` naming file, line, key, what was found and what is expected.
    """
    if path is None:
        path = Path("car.toml")
        if not path.is_file():
            return Config()
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataNotFoundError(
            f"there is no {path}; write one with `autcar config > {path}`"
        ) from None
    import tomllib  # here, since the defaults need none

    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}; mend that line") from error
    sections = {f.name: f for f in dataclasses.fields(Config)}
    values = {}
    for name, content in raw.items():
        if name not in sections:
            raise ConfigError(_unknown(path, text, "section", name, f"[{name}]", sections))
        if not isinstance(content, dict):
            raise ConfigError(f"{path}: {name} is a section; write [{name}] on a line of its own")
        values[name] = _section(path, text, name, sections[name].default_factory, content)
    return Config(**values)


def _section(path: Path, text: str, section: str, kind: Any, content: dict[str, Any]) -> Any:
    shared = {f.name: f for f in dataclasses.fields(kind)}
    hints = get_type_hints(kind)
    known = dict(shared)
    if (options := known.pop("options", None)) is not None:
        driver = content.get("driver", shared["driver"].default)
        if isinstance(driver, str) and not known.keys() >= content.keys():
            own = _drivers(options).settings_type(driver)
            if own is not None:
                hints |= get_type_hints(own)
                known |= {f.name: f for f in dataclasses.fields(own)}
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in known:
            raise ConfigError(_unknown(path, text, "key", key, key, known, section))
        expected = hints[key]
        if expected is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        where = f"{path}:{_line(text, key, section)}: [{section}] {key} = {json.dumps(value)}"
        if type(value) is not expected:
            raise ConfigError(f"{where}: expected {_TYPES[expected]}")
        low, high = known[key].metadata.get("low"), known[key].metadata.get("high")
        if low is not None and not low <= value <= high:
            raise ConfigError(f"{where}: expected {low} to {high}")
        values[key] = value
    own_values = {key: values.pop(key) for key in [*values] if key not in shared}
    return kind(**values, options=own_values) if options is not None else kind(**values)


def _drivers(options: dataclasses.Field[Any]) -> Drivers:
    drivers: Drivers = importlib.import_module(options.metadata["drivers"]).DRIVERS
    return drivers


_TYPES = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false"}


def _unknown(
    path: Path,
    text: str,
    what: str,
    name: str,
    shown: str,
    known: dict[str, Any],
    section: str | None = None,
) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    inside = f" in [{section}]" if section else ""
    return f"{path}:{_line(text, shown, section)}: unknown {what} {shown}{inside}; {hint}"


def _line(text: str, name: str, section: str | None) -> int:
    """The line where a section or a key of a section stands, or 1 when it is written otherwise."""
    inside = section is None
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if section is None and line == name:
            return number
        if line.startswith("["):
            inside = line == f"[{section}]"
        elif inside and re.match(rf"{re.escape(name)}\s*=", line):
            return number
    return 1


def template(config: Config | None = None) -> str:
    """A commented ``car.toml`` with every setting at its value in ``config``."""
    config = config or Config()
    lines = ["# autcar: what differs from one car to another. Every line may be left out.", ""]
    for section in dataclasses.fields(Config):
        content = getattr(config, section.name)
        doc = (type(content).__doc__ or "").strip().splitlines()[0]
        lines += [f"[{section.name}]  # {doc}"]
        for known in dataclasses.fields(content):
            if known.name == "options":
                own = _drivers(known).settings(content.driver).values()
                lines += [_line_of(f, content.options.get(f.name, f.default)) for f in own]
            else:
                lines.append(_line_of(known, getattr(content, known.name)))
        lines.append("")
    return "\n".join(lines)


def _line_of(known: dataclasses.Field[Any], value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return f"{f'{known.name} = {text}':<27} # {known.metadata.get('help', '')}".rstrip(" #")
