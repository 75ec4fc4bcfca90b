"""From a key to the wheels, and from the simulated exposure to the pixel in a browser.

Run from the repository: ``python benchmarks/latency.py [--presses 100] [--seconds 15]``.
The simulated car drives in real time in a process of its own; its wires tell when the
wheels were told. Key to wheel is measured over loopback from the moment that the message
is sent, and in headless Chromium (where it is installed, with selenium) from the browser's
own key event. A picture counts as drawn in the browser's next animation frame. Prints a
table, what was promised, and a line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import aiohttp

from tests.cockpit_page import Page
from tests.system.cockpit_car import CarProcess, browser, key, tap, wait_for

FORWARD = "move_medium_forward"
KEY_MS = 30.0

WATCH = """
window.photons = []; window.presses = [];
document.addEventListener("drawn", ({detail}) => requestAnimationFrame(() =>
  window.photons.push([detail.time, performance.timeOrigin + performance.now()])));
addEventListener("keydown", (event) =>
  window.presses.push(performance.timeOrigin + event.timeStamp), true);
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presses", type=int, default=100, help="keys to press (100)")
    parser.add_argument("--seconds", type=float, default=15.0, help="of pictures (15)")
    parser.add_argument("--no-browser", action="store_true", help="only over loopback")
    arguments = parser.parse_args()
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        car = CarProcess(Path(scratch) / "car")
        try:
            sent = asyncio.run(press_over_loopback(car, arguments.presses))
            rows["message sent → wheels told"] = sent
            if not arguments.no_browser and shutil.which("chromium"):
                in_browser(car, Path(scratch) / "browser", arguments, rows)
        finally:
            car.close()
    facts = {name: summary(values) for name, values in rows.items()}
    print(f"{'ms':<34}{'median':>8}{'p95':>8}{'worst':>8}{'count':>8}")
    for name, fact in facts.items():
        print(
            f"{name:<34}{fact['median']:>8.1f}{fact['p95']:>8.1f}{fact['worst']:>8.1f}"
            f"{fact['count']:>8}"
        )
    kept = all(fact["median"] <= KEY_MS for name, fact in facts.items() if "wheels" in name)
    print(f"{'kept  ' if kept else 'BROKEN'}  key to wheels within {KEY_MS:g} ms, median")
    print(json.dumps(facts))
    return 0 if kept else 1


def summary(values: list[float]) -> dict[str, Any]:
    values = sorted(values)
    return {
        "median": statistics.median(values),
        "p95": values[int(0.95 * (len(values) - 1))],
        "worst": values[-1],
        "count": len(values),
    }


async def press_over_loopback(car: CarProcess, presses: int) -> list[float]:
    """Milliseconds from a message sent to the wires changed."""
    found = []
    origin = {"Origin": f"http://localhost:{car.port}"}
    async with aiohttp.ClientSession() as session:
        page = Page(await session.ws_connect(f"ws://localhost:{car.port}/socket", headers=origin))
        await page.take()
        for number in range(presses):
            before = car.wires.read()
            started_ns = time.monotonic_ns()
            await page.beat(FORWARD if number % 2 == 0 else "stop")
            while (now := car.wires.read())[:2] == before[:2]:
                if time.monotonic_ns() - started_ns > 1e9:
                    await page.take()
                    break
                await asyncio.sleep(0)
            else:
                found.append((now.time_ns - started_ns) / 1e6)
            await asyncio.sleep(0.03)
        await page.socket.close()
        page.reader.cancel()
    return found


def in_browser(
    car: CarProcess, profile: Path, arguments: argparse.Namespace, rows: dict[str, list[float]]
) -> None:
    """Pictures and keys in headless Chromium, on the clock that this machine shares."""
    with browser(profile) as page:
        page.get(car.url)
        wait_for(lambda: page.execute_script("return car.status?.camera.fps > 15"), 20)
        page.execute_script(WATCH)
        time.sleep(arguments.seconds)
        offset_ms = time.time() * 1000 - time.monotonic_ns() / 1e6
        photons = page.execute_script("return window.photons")
        rows["exposure → pixel"] = [drawn - (taken + offset_ms) for taken, drawn in photons]
        presses = []
        for _ in range(max(10, arguments.presses // 4)):
            if page.execute_script("return car.lease === null"):
                tap(page, "Enter")
                wait_for(lambda: page.execute_script("return car.lease !== null"))
            page.execute_script("window.presses.length = 0")
            key(page, "keyDown", "KeyW")
            end = time.monotonic() + 1.0
            while car.rests and time.monotonic() < end:
                time.sleep(0.0005)
            told = car.wires.read()
            pressed = page.execute_script("return window.presses[0]")
            key(page, "keyUp", "KeyW")
            if told[:2] != (0.0, 0.0):
                # The wires keep when they were written last; a beat may have repeated it since.
                first_ms = told.time_ns / 1e6 + offset_ms
                presses.append(first_ms - pressed)
            time.sleep(0.15)
        rows["key in the browser → wheels told"] = presses


if __name__ == "__main__":
    sys.exit(main())
