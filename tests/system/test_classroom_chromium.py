"""The class-room page in a real browser: three simulated cars, one STOP for all."""

import os
import re
import signal
import subprocess
import sys

import pytest

from autcar.simulator.wires import Wires
from tests.system.cockpit_car import REPOSITORY, CarProcess, browser, tap, wait_for
from tests.system.test_cockpit_chromium import keep

pytestmark = pytest.mark.timeout(240)

CONFIG = """
[car]
name = "{name}"
[cockpit]
port = 0
[safety]
frame_age_ms = 900.0
command_ms = 900.0
[simulator]
wires = "{wires}"
"""


@pytest.fixture
def driving(tmp_path):
    """Two cars that the shipped bundle drives: their cockpits' addresses and their wheels."""
    cars = []
    for name in ("red", "blue"):
        wires, config = tmp_path / f"{name}.wires", tmp_path / f"{name}.toml"
        config.write_text(CONFIG.format(name=name, wires=wires))
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "autcar.cli", "drive", "--cockpit"),
                *("--config", str(config)),
            ],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        cars.append((process, wires))
    found = []
    for process, wires in cars:
        url = None
        while url is None:
            url = re.search(r"cockpit: (\S+)", process.stdout.readline())
        found.append((url.group(1), Wires(wires)))
    yield found
    for (process, _), (_, wires) in zip(cars, found, strict=True):
        process.send_signal(signal.SIGINT)
        process.wait(15)
        wires.close()


@pytest.fixture
def room(driving, tmp_path):
    """The page's address, with a third car that asks for its pairing code."""
    third = CarProcess(tmp_path / "third", "--pair", config='[car]\nname = "green"\n')
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "autcar.cli", "fleet", "--port", "0", "--no-browser"),
            *(url for url, _ in driving),
            third.url.partition("#")[0],
        ],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    yield re.search(r"on (\S+)", process.stdout.readline()).group(1), third
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0
    third.close()


def test_a_teacher_sees_three_cars_pairs_one_and_stops_them_all(room, driving, tmp_path):
    url, third = room
    wheels = [wires for _, wires in driving]
    with browser(tmp_path / "browser", width=1100, height=760) as page:

        def chips():
            return [chip.text for chip in page.find_elements("css selector", "article .chip")]

        page.get(url)
        wait_for(lambda: chips() == ["drives", "drives", "wants its code"], 30, "the cars")
        names = [name.text for name in page.find_elements("css selector", "article h2")]
        assert names == ["red", "blue", "green"]
        keep(page, "classroom_drives")
        code = third.url.partition("#")[2]
        page.find_element("css selector", "article:nth-child(3) input").send_keys(code, "\n")
        wait_for(lambda: chips()[2] == "at rest", 20, "the third car")
        wait_for(lambda: all(wires.read()[:2] != (0, 0) for wires in wheels), 20, "driving")

        tap(page, "Space", " ")
        wait_for(lambda: all(wires.read()[:2] == (0, 0) for wires in wheels), 2, "rest")
        said = page.find_element("id", "stopped")
        wait_for(lambda: said.text == "3 of 3 at rest", 5, "the confirmation")
        keep(page, "classroom_stopped")

        third.process.send_signal(signal.SIGKILL)
        wait_for(lambda: chips()[2] == "no link", 20, "the loss")
        tap(page, "Space", " ")
        wait_for(lambda: "no link to green" in said.text, 5, "the warning")
        keep(page, "classroom_lost")
