"""The verb ``autcar fleet``: many cars on one page."""

from __future__ import annotations

import argparse
import asyncio
import webbrowser
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autcar.arguments import port
from autcar.errors import ConfigError

if TYPE_CHECKING:
    from autcar.classroom.link import CarLink

_EXAMPLES = """\
examples:
  autcar fleet                                     the cars of cars.toml
  autcar fleet red blue                            two of them
  autcar fleet http://10.0.0.7:8080/#ABCD-EFGH     by the address that a car prints

Each car's cockpit must listen for others: [cockpit] listen = "0.0.0.0" in its car.toml, or
`autcar record --listen 0.0.0.0`. The page asks for the pairing code that a car prints where
it is not in the address. A car of cars.toml is looked for on port 8080 of its address:

  [red]
  address = "pi@red.local"
  cockpit = "http://red.local:9000"      # only where it is another
"""

PORT = 8079


def add_verbs(verbs: Any) -> None:
    """Add ``fleet``."""
    fleet = verbs.add_parser(
        "fleet",
        help="many cars on one page: who drives, what is wrong, and one STOP for all",
        description="Show many cars on one page of this computer, with one STOP for all.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fleet.add_argument("cars", nargs="*", metavar="CAR", help="names in cars.toml, or addresses")
    fleet.add_argument("--port", type=port, default=PORT, help=f"of the page, 0: any ({PORT})")
    fleet.add_argument("--no-browser", action="store_true", help="do not open a browser")
    fleet.set_defaults(run=_fleet)


def _fleet(arguments: argparse.Namespace) -> int:
    links = _links(arguments.cars)
    try:
        asyncio.run(_serve(links, arguments.port, open_browser=not arguments.no_browser))
    except KeyboardInterrupt:
        print("\nthe page is closed; the cars go on as they were")
    return 0


def _links(cars: list[str]) -> list[CarLink]:
    from autcar.appliance.fleet import find_cars
    from autcar.classroom.link import CarLink

    links = [CarLink.to("", car) for car in cars if "://" in car]
    named = [car for car in cars if "://" not in car]
    if named or not cars:
        for car in find_cars(named):
            host = car.address.rpartition("@")[2]
            links.append(CarLink.to(car.name, car.cockpit or f"http://{host}:8080"))
    urls = [link.view.url for link in links]
    if len(set(urls)) < len(urls):
        twice = next(url for url in urls if urls.count(url) > 1)
        raise ConfigError(f"{urlsplit(twice).netloc} is named twice; name each car once")
    return links


async def _serve(links: list[CarLink], port: int, *, open_browser: bool) -> None:
    from autcar.classroom.server import Classroom

    room = Classroom(links, port)
    work = asyncio.create_task(room.run())
    started = asyncio.create_task(room.started.wait())
    await asyncio.wait({work, started}, return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        print(f"{len(links)} cars on {room.url} (Ctrl-C ends the page, not the cars)", flush=True)
        if open_browser:
            webbrowser.open(room.url)
    started.cancel()
    await work
