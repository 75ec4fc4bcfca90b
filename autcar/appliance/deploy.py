"""The verbs ``autcar deploy`` and ``autcar status``: from the workstation to the cars, by ssh."""

from __future__ import annotations

import argparse
import getpass
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autcar.errors import AutcarError

if TYPE_CHECKING:
    from autcar.appliance.fleet import RemoteCar
    from autcar.bundle import Bundle

_EXAMPLES = """\
examples:
  autcar deploy pi@car.local models/mine       check, upload, switch, watch; or take back
  autcar deploy red blue models/mine           several cars of cars.toml at once
  autcar deploy --all models/mine              all of them
  autcar deploy red models/mine --skip simulator   it learned from a real track

A bundle that fails its own card is refused: no test figures (card), one answer to
everything (classes), no better than the commonest command (baseline), a quantized file
that answers otherwise (parity), too few of 6 simulated tracks driven well (simulator).
--skip leaves one out and --force all; the car remembers which.

cars.toml:
  [red]
  address = "pi@red.local"
"""


class DeployError(AutcarError, RuntimeError):
    """A bundle that must not leave for a car, or that does not fit it."""


def add_verbs(verbs: Any) -> None:
    """Add ``deploy`` and ``status``."""
    deploy = verbs.add_parser(
        "deploy",
        help="put a bundle on cars by ssh: it drives when it is ready and healthy, or is undone",
        description="Put a bundle on one or more cars.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    deploy.add_argument("cars", nargs="*", metavar="CAR", help="user@host, or names in cars.toml")
    deploy.add_argument("bundle", metavar="BUNDLE", help="the bundle's folder")
    deploy.add_argument("--all", action="store_true", help="every car in cars.toml")
    deploy.add_argument("--force", action="store_true", help="whatever its card says; remembered")
    deploy.add_argument(
        "--skip",
        action="append",
        default=[],
        choices=["card", "classes", "baseline", "parity", "simulator"],
        help="leave this check out; remembered",
    )
    _connection(deploy)
    deploy.set_defaults(run=_deploy)

    status = verbs.add_parser(
        "status",
        help="how cars are: what runs, which model, how much room",
        description="Ask cars how they are, by ssh.",
        epilog="examples:\n  autcar status               every car in cars.toml\n"
        "  autcar status pi@car.local\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    status.add_argument("cars", nargs="*", metavar="CAR", help="default: all of cars.toml")
    _connection(status)
    status.set_defaults(run=_status)


def _connection(parser: Any) -> None:
    parser.add_argument("--ssh-config", metavar="FILE", default="", help="ssh's settings, as -F")


def _deploy(arguments: argparse.Namespace) -> int:
    from autcar.appliance.fleet import find_cars, show, with_each
    from autcar.appliance.release import CHECKS, objections
    from autcar.bundle import load_bundle

    if not arguments.cars and not arguments.all:
        raise DeployError(
            "name a car: autcar deploy pi@car.local BUNDLE, or --all for every car in cars.toml"
        )
    cars = find_cars([] if arguments.all else arguments.cars, arguments.ssh_config)
    if "@" in arguments.bundle and not Path(arguments.bundle).exists():
        raise DeployError(
            f"{arguments.bundle} stands where the bundle's folder should: the cars come first, "
            f"as in autcar deploy {arguments.bundle} models/default"
        )
    bundle = load_bundle(Path(arguments.bundle))
    skipped = tuple(CHECKS) if arguments.force else tuple(arguments.skip)
    against = objections(bundle, () if arguments.force else skipped)
    for objection in against:
        print(f"{objection.check}: {objection.why}")
    if arguments.force:
        skipped = tuple(objection.check for objection in against)
    elif against:
        names = " ".join(f"--skip {objection.check}" for objection in against)
        raise DeployError(
            f"{bundle.folder} fails its own card; mend that, or say {names} or --force"
        )
    return show(with_each(cars, lambda car: deploy(car, bundle, skipped)))


def deploy(car: RemoteCar, bundle: Bundle, forced: tuple[str, ...] = ()) -> str:
    """Put ``bundle`` on ``car``; returns what the car says of it.

    Raises an :class:`AutcarError` that says why the old model still drives.
    """
    from autcar.appliance.model_store import pack

    facts = car.ask("facts")
    check_fits(car, facts, bundle)
    name = car.ask("receive", feed=lambda stream: pack(bundle.folder, stream))["name"]
    options = [word for check in forced for word in ("--forced", check)]
    by = f"{getpass.getuser()}@{platform.node()}"
    said: str = car.ask("use", name, "--by", by, *options)["said"]
    return said


def check_fits(car: RemoteCar, facts: dict[str, Any], bundle: Bundle) -> None:
    """Raise unless ``bundle`` fits what the car says of itself; before anything is uploaded."""
    from autcar.appliance.car_side import PROTOCOL

    if facts["protocol"] != PROTOCOL:
        raise DeployError(
            f"{car.name} runs autcar {facts['autcar']}, which speaks another protocol; "
            f"bring both to the same version: autcar update"
        )
    width, height, _fps = facts["camera"]
    bundle.check_fits(width, height, labels=facts["labels"])
    if facts["running"].get("armed"):
        raise DeployError(
            f"{car.name} is driving; on the car: `autcar service disarm`, then deploy again"
        )


def _status(arguments: argparse.Namespace) -> int:
    from autcar.appliance.fleet import find_cars, show, with_each

    cars = find_cars(arguments.cars, arguments.ssh_config)
    return show(with_each(cars, _how_it_is))


def _how_it_is(car: RemoteCar) -> str:
    facts = car.ask("facts")
    running = facts["running"]
    if not running:
        does = "; ".join(f"{mode}: {says}" for mode, says in facts["services"].items())
    elif running["armed"]:
        does = f"{running['service']}: driving, {running['frames']:,} frames"
    else:
        does = f"{running['service']}: at rest, {running['reason']}"
    return (
        f"{does}; model {facts['model']}; {facts['free_mb']:,} MB free; autcar {facts['autcar']}"
    )
