"""The cockpit of a driving car, over a real socket: watch, take over, hand back."""

import asyncio
import threading
import time
from contextlib import ExitStack
from dataclasses import replace

import aiohttp
import numpy as np
import pytest

from autcar.cameras.base import Camera, Frame
from autcar.commands import LABELS, Command
from autcar.config import CockpitSection, Config
from autcar.images import decode_image
from autcar.recording.session import read_session
from autcar.safety import Gate, Limits, Reason
from autcar.vehicle import Vehicle
from edge.cockpit import PilotCockpit
from edge.drive import drive_vehicle
from edge.drive_log import DriveLog, read_drive
from edge.follower import HERO
from edge.pilots import ConstantDecider, DecidingPilot
from tests.cockpit_page import Page
from tests.edge.scripted import LEFT, ScriptedWheels

BACK = Command("move", "medium", "backwards")
# A busy machine is not what is tested here.
PATIENT = Limits(frame_age_ms=5000, command_ms=5000)
CONFIG = replace(Config(), cockpit=CockpitSection(port=0, link_ms=1000), safety=PATIENT)


class QuickCamera(Camera):
    width, height, fps = 32, 24, 50.0
    sequence = 0
    black = False

    def read(self, timeout_s=1.0):
        time.sleep(1 / self.fps)
        self.sequence += 1
        image = np.random.default_rng(self.sequence).integers(0, 256, (24, 32, 3), np.uint8)
        return Frame(image * (not self.black), self.sequence, time.monotonic_ns())

    def close(self):
        pass


class Driving:
    """A car that a pilot drives in a thread, with a cockpit and a log."""

    def __init__(self, folder):
        self.motors, self.camera = ScriptedWheels(), QuickCamera()
        self.vehicle = Vehicle(self.camera, self.motors, time.monotonic_ns, None, ExitStack())
        self.log = DriveLog(folder, {}, camera=self.camera, free_mb=0)
        self.cockpit = None
        self.pilot = DecidingPilot(ConstantDecider(LEFT))
        self.opened, self.ended = threading.Event(), False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        assert self.opened.wait(10)

    def _run(self):
        self.run = drive_vehicle(
            self.vehicle, self.pilot, Gate(PATIENT), None, self, log=self.log, attend=self._attend
        )

    def _attend(self, loop):
        self.cockpit = PilotCockpit(CONFIG, self.vehicle, loop, "lefty")
        self.opened.set()
        return self.cockpit

    def tell(self, tick, rate):
        if self.ended:
            raise KeyboardInterrupt

    def end(self):
        pass

    def close(self):
        self.ended = True
        self.thread.join(10)


@pytest.fixture
def driving(tmp_path):
    made = Driving(tmp_path)
    yield made
    made.close()


def talk(driving, scenario):
    async def run():
        url = driving.cockpit.url.rstrip("/")
        async with aiohttp.ClientSession() as session:
            socket = await session.ws_connect(
                url.replace("http", "ws") + "/socket", headers={"Origin": url}
            )
            page = Page(socket)
            try:
                await page.until(lambda: page.status and page.status["pilot"]["driving"])
                return await scenario(page)
            finally:
                page.reader.cancel()
                await socket.close()

    return asyncio.run(run())


def test_the_page_shows_what_the_pilot_thinks(driving):
    async def scenario(page):
        await page.until(lambda: len(page.pictures) > 3 and page.status["pilot"]["rate"])
        return page.status["pilot"], page.status["driver"]

    pilot, driver = talk(driving, scenario)
    assert driver is None
    assert pilot["name"] == "lefty"
    assert (pilot["command"], pilot["confidence"], pilot["reason"]) == (LEFT.label, 1.0, None)
    assert pilot["scores"] == [float(label == LEFT.label) for label in LABELS]
    assert 0 < pilot["rate"] <= 60
    assert pilot["age_ms"] >= 0


def test_a_follower_shows_whom_it_sees(driving):
    driving.pilot.remark = "following: hero 12% left, 40% high"
    driving.pilot.mask = np.full((12, 16), HERO, np.uint8)

    async def scenario(page):
        await page.until(lambda: page.status["pilot"].get("remark"))
        seen = len(page.pictures)
        await page.until(lambda: len(page.pictures) > seen + 2)
        return page.status["pilot"]["remark"], page.pictures[-1]

    remark, picture = talk(driving, scenario)
    assert remark == driving.pilot.remark
    red, _, blue = decode_image(picture[picture.index(b"\xff\xd8") :]).mean(axis=(0, 1))
    assert blue > red + 60


def test_take_over_and_hand_back(driving):
    async def scenario(page):
        await page.take()
        await page.beat(BACK.label)
        await page.until(lambda: driving.motors.speeds == BACK.wheels)
        await page.until(lambda: page.status["pilot"]["reason"] == Reason.TAKEN_OVER.value)
        await page.send({"do": "hand_back"})
        await page.until(lambda: any("error" in said for said in page.said))
        for _ in range(5):
            await page.beat(BACK.label)
            await asyncio.sleep(0.05)
        await page.send({"do": "release", "lease": page.lease})
        await page.until(lambda: driving.motors.speeds == (0, 0))
        await asyncio.sleep(0.2)
        assert driving.motors.speeds == (0, 0)
        await page.send({"do": "hand_back"})
        await page.until(lambda: driving.motors.speeds == LEFT.wheels)

    talk(driving, scenario)
    # The page is closed, and its old lease with it: the pilot drives on.
    time.sleep(0.2)
    assert driving.motors.speeds == LEFT.wheels
    driving.close()
    assert driving.motors.speeds == (0, 0)
    assert driving.run.reason is None
    decisions = read_drive(driving.log.folder).decisions
    assert 3 < decisions["takeover"].sum() < len(decisions)
    sources = {
        (record.source, record.command)
        for record in read_session(driving.log.folder / "frames").records
    }
    assert ("takeover", BACK) in sources
    assert ("pilot", LEFT) in sources


def test_stop_stops_the_pilot_and_a_fault_does_not_end_the_drive(driving):
    async def scenario(page):
        await page.send({"do": "stop"})
        await page.until(lambda: page.status["pilot"]["reason"] == Reason.STOP_PRESSED.value)
        assert driving.motors.speeds == (0, 0)
        await page.send({"do": "hand_back"})
        await page.until(lambda: driving.motors.speeds == LEFT.wheels)
        driving.camera.black = True
        await page.until(lambda: page.status["pilot"]["reason"] == Reason.LENS_COVERED.value)
        assert driving.motors.speeds == (0, 0)
        driving.camera.black = False
        await asyncio.sleep(0.1)
        assert driving.motors.speeds == (0, 0)
        await page.send({"do": "hand_back"})
        await page.until(lambda: driving.motors.speeds == LEFT.wheels)

    talk(driving, scenario)


def test_who_closes_the_page_while_driving_stops_the_car(driving):
    async def scenario(page):
        await page.take()
        await page.beat(BACK.label)
        await page.until(lambda: driving.motors.speeds == BACK.wheels)

    talk(driving, scenario)
    time.sleep(0.2)
    assert driving.motors.speeds == (0, 0)
