"""The verb ``autcar update``: new software for this car, or from a workstation for many."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autcar.errors import DataNotFoundError

if TYPE_CHECKING:
    from autcar.appliance.fleet import RemoteCar

_EXAMPLES = """\
examples, from the workstation, by ssh:
  autcar update --car pi@car.local                  the newest release, which the car fetches
  autcar update dist/autcar-0.2.0-py3-none-any.whl --car red --car blue
  autcar update --wheels wheels --all               every car in cars.toml, none has a network
  autcar update --back --car red                    the software of before

examples, on the car:
  sudo autcar update                                the newest release
  sudo autcar update autcar-0.2.0-py3-none-any.whl  a wheel
  sudo autcar update --back                         the software of before

The new software is installed beside the old one, proves itself and runs on trial; whatever
goes wrong, also a power cut, leaves the old one running. --wheels takes a folder that holds
the wheels of autcar and of all it needs: pip download 'autcar[car]' on such a car fills it.
"""


def add_verbs(verbs: Any) -> None:
    """Add ``update``."""
    parser = verbs.add_parser(
        "update",
        help="install new software on cars beside the old, and switch when it works",
        description="Install new software beside the old one, and switch to it when it works.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what",
        metavar="WHAT",
        nargs="?",
        default="autcar",
        help="a wheel, or what pip shall install (autcar)",
    )
    parser.add_argument("--wheels", metavar="FOLDER", help="take everything from this folder")
    parser.add_argument("--back", action="store_true", help="switch to the software of before")
    parser.add_argument(
        "--car",
        metavar="CAR",
        action="append",
        default=[],
        dest="cars",
        help="user@host, or one of cars.toml",
    )
    parser.add_argument("--all", action="store_true", help="every car in cars.toml")
    parser.add_argument("--ssh-config", metavar="FILE", default="", help="ssh's settings, as -F")
    parser.set_defaults(run=_update)


def _update(arguments: argparse.Namespace) -> int:
    if arguments.cars or arguments.all:
        return _update_cars(arguments)
    from autcar.appliance.slots import Slots, UpdateError

    # No Windows knows this function, and no car is one.
    if getattr(os, "geteuid", lambda: 1)() != 0:
        raise UpdateError(
            "on the car this needs root: sudo autcar update; "
            "from a workstation name the car: autcar update --car pi@car.local"
        )
    slots = Slots()
    if not slots.current().is_dir():
        raise UpdateError(
            f"{slots.folder} has no software of a car's: install it with scripts/install-pi.sh; "
            "from a workstation name the car: autcar update --car pi@car.local"
        )
    print(slots.back() if arguments.back else slots.update(arguments.what, arguments.wheels))
    return 0


def _update_cars(arguments: argparse.Namespace) -> int:
    from autcar.appliance.fleet import find_cars, show, with_each

    cars = find_cars([] if arguments.all else arguments.cars, arguments.ssh_config)
    if arguments.back:
        return show(with_each(cars, lambda car: str(car.ask("update", "--back")["said"])))
    wheels = wheels_for(arguments.what, arguments.wheels)
    print(f"updating {', '.join(car.name for car in cars)}; a Pi takes some minutes", flush=True)
    alone = arguments.wheels is not None
    return show(with_each(cars, lambda car: update(car, arguments.what, wheels, alone=alone)))


def wheels_for(what: str, folder: str | None) -> list[Path]:
    """The files to send: the wheel ``what``, if it is one, and all of ``folder``."""
    found = [Path(what)] if what.endswith(".whl") else []
    found += sorted(Path(folder).glob("*.whl")) if folder is not None else []
    if folder is not None and not found:
        raise DataNotFoundError(f"there is no wheel in {folder}; name the folder that has them")
    for path in found:
        if not path.is_file():
            raise DataNotFoundError(f"there is no {path}; make it with `pip wheel --no-deps .`")
    return list({path.name: path for path in reversed(found)}.values())


def update(car: RemoteCar, what: str, wheels: list[Path], *, alone: bool) -> str:
    """Bring new software to ``car``; returns what the car says of it.

    With ``alone`` it installs from ``wheels`` and asks no network. Raises an
    :class:`AutcarError` that says why the old software runs on.
    """
    from autcar.appliance.parcel import pack

    options = ["--what", Path(what).name if what.endswith(".whl") else what]
    options += ["--alone"] * alone
    said: str = car.ask("update", *options, feed=lambda stream: pack(wheels, stream))["said"]
    return said
