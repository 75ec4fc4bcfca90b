"""Recordings under kill -9, a full disk and a stalled or lost link, watched from outside.

AUTCAR_TRIALS=400 runs the full count of kills.
"""

import asyncio
import mmap
import os
import random
import signal
import struct
import subprocess
import time
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from autcar.cockpit.feed import Shot
from autcar.commands import CLASSES
from autcar.config import RecordSection
from autcar.images import decode_image, encode_jpeg
from autcar.recording.session import read_session
from capture.recorder import Recorder
from tests.cockpit_page import Page
from tests.system.cockpit_car import CarProcess, wait_for

pytestmark = pytest.mark.timeout(600)

TRIALS = int(os.environ.get("AUTCAR_TRIALS", "30"))
FORWARD = "move_medium_forward"


def number_of(jpeg: bytes) -> int:
    """Each picture holds its own number, after the end of its image."""
    return struct.unpack("<q", jpeg[-8:])[0]


def record_flat_out(folder: Path, first: int, acknowledged: mmap.mmap) -> None:
    generator = np.random.default_rng(first)
    picture = encode_jpeg(generator.integers(0, 255, (168, 224, 3), np.uint8), 60)
    recorder = Recorder(folder, size=(224, 168), fps=1000, settings=RecordSection(free_mb=0))
    recorder.record()
    number = first
    while True:
        if recorder.status().waiting < 50:
            jpeg = picture + struct.pack("<q", number)
            command = CLASSES[number % 12]
            recorder.offer(Shot(jpeg, number, number * 1_000_000, command, "human"))
            number += 1
        acknowledged[:8] = struct.pack("<q", recorder.status().frames)


def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path):
    chance = random.Random(1)
    kept = {}
    total = 0
    for trial in range(TRIALS):
        acknowledged = mmap.mmap(-1, 8)
        child = os.fork()
        if child == 0:
            try:
                record_flat_out(tmp_path, trial * 1_000_000, acknowledged)
            finally:
                os._exit(1)
        time.sleep(chance.uniform(0.03, 0.4))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, "it ended before it was killed"
        frames = struct.unpack("<q", acknowledged[:8])[0]
        new = set(tmp_path.iterdir()) - kept.keys()
        if not new:
            assert frames == 0, "frames were acknowledged, and there is no session"
            continue
        (folder,) = new
        if frames == 0 and not (folder / "training.csv").exists():
            kept[folder] = []
            continue
        if frames:
            session = read_session(folder)
            assert len(session.records) >= frames, "an acknowledged frame is lost"
            for record in session.records[:: max(1, len(session.records) // 20)]:
                data = record.image.read_bytes()
                assert number_of(data) == record.sequence, "a row shows another frame"
                decode_image(data[:-8])
            assert all(record.image.exists() for record in session.records)
            assert len(session.problems) <= 1
            total += len(session.records)
        kept[folder] = sorted(
            (path.name, path.stat().st_mtime_ns, path.stat().st_size)
            for path in folder.rglob("*.jpg")
        )
        for before in random.Random(trial).sample(sorted(kept), min(3, len(kept))):
            now = sorted(
                (path.name, path.stat().st_mtime_ns, path.stat().st_size)
                for path in before.rglob("*.jpg")
            )
            assert now == kept[before], "an earlier session was touched"
    assert total > 0
    print(f"{TRIALS} kills, {total:,} frames, none lost")


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "card"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)])
    if done.returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def drive(car, scenario, **options):
    async def run():
        origin = {"Origin": f"http://localhost:{options.get('port', car.port)}"}
        url = f"ws://localhost:{options.get('port', car.port)}/socket"
        async with aiohttp.ClientSession() as session:
            page = Page(await session.ws_connect(url, headers=origin))
            try:
                return await scenario(page)
            finally:
                page.reader.cancel()
                page.socket._response.close()

    return asyncio.run(run())


async def keep_driving(page, happens, command=FORWARD, timeout_s=60.0):
    end = time.monotonic() + timeout_s
    while not happens():
        assert time.monotonic() < end, page.status
        if page.status["driver"] is None:
            await page.take()
        await page.beat(command)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("free_mb", [1, 0], ids=["nearly full", "full"])
def test_a_full_disk_ends_the_recording_and_not_the_drive(tmp_path, small_disk, free_mb):
    # Half a megabyte a second, so that the last one is not full between two looks at the disk.
    car = CarProcess(
        tmp_path / "car",
        *("--output", str(small_disk)),
        config=f"[record]\nfree_mb = {free_mb}\n[camera]\nfps = 15.0\nwidth = 640\nheight = 480\n",
    )
    try:

        async def scenario(page):
            await page.take()
            await page.send({"do": "record"})
            await keep_driving(page, lambda: page.status["record"]["note"])
            record = page.status["record"]
            assert record["state"] == "off"
            assert ("card is full" if free_mb else "No space left") in record["note"]
            await keep_driving(page, lambda: car.speeds[0] > 0.6)
            await keep_driving(page, lambda: car.speeds[0] < -0.6, "move_medium_backwards")
            await page.send({"do": "record"})
            if free_mb:
                await page.until(lambda: "card is full" in page.said[-1].get("error", ""))
            return record["frames"]

        frames = drive(car, scenario)
    finally:
        car.close()
    # The car may have ended just as it began another session.
    (rows,) = (path for path in small_disk.glob("*/training.csv") if path.stat().st_size)
    session = read_session(rows.parent)
    assert len(session.records) >= frames > 10
    assert session.problems == []
    for record in session.records:
        decode_image(record.image.read_bytes())


@pytest.fixture
def car(tmp_path):
    made = CarProcess(tmp_path / "car")
    yield made
    made.close()


async def moving(page, car):
    await page.take()
    await keep_driving(page, lambda: car.speeds[0] > 0.6)


def test_a_stalled_server_is_stopped_by_the_guardian(car):
    async def scenario(page):
        await moving(page, car)
        car.kill(signal.SIGSTOP)
        return car.seconds_to_rest()

    assert drive(car, scenario) < 0.5


def test_a_killed_server_is_stopped_by_the_guardian(car):
    async def scenario(page):
        await moving(page, car)
        car.kill(signal.SIGKILL)
        return car.seconds_to_rest()

    assert drive(car, scenario) < 0.1


def test_sigterm_stops_the_car_and_closes_the_session(car):
    async def scenario(page):
        await moving(page, car)
        await page.send({"do": "record"})
        await keep_driving(page, lambda: page.status["record"]["frames"] > 10)
        car.kill(signal.SIGTERM)
        return car.seconds_to_rest()

    assert drive(car, scenario) < 0.5
    assert car.process.wait(10) == 143
    session = read_session(next(car.recordings.iterdir()))
    assert session.info["ended"]
    assert session.info["frames"] == len(session.records) > 10


def test_a_cut_wire_is_stopped_without_a_word(tmp_path):
    """The link goes dead with nothing said, as when a car drives out of reach."""

    async def scenario():
        gate = asyncio.Event()
        gate.set()

        async def pump(reader, writer):
            while data := await reader.read(65536):
                await gate.wait()
                writer.write(data)

        async def relay(reader, writer):
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", car.port)
            tasks = [
                asyncio.create_task(pump(reader, other_writer)),
                asyncio.create_task(pump(other_reader, writer)),
            ]
            pumps.extend(tasks)

        pumps = []
        server = await asyncio.start_server(relay, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        config = f'[cockpit]\nhosts = "localhost:{port}"\n'
        car = await asyncio.to_thread(CarProcess, tmp_path / "car", config=config)
        try:
            async with aiohttp.ClientSession() as session:
                origin = {"Origin": f"http://localhost:{port}"}
                url = f"ws://localhost:{port}/socket"
                page = Page(await session.ws_connect(url, headers=origin))
                await moving(page, car)
                gate.clear()
                took_s = await asyncio.to_thread(car.seconds_to_rest)
                for _ in range(10):
                    await page.beat(FORWARD)
                    await asyncio.sleep(0.1)
                gate.set()
                await asyncio.sleep(0.3)
                assert car.rests, "beats that come late move nothing"
                page.reader.cancel()
                return took_s
        finally:
            for task in pumps:
                task.cancel()
            server.close()
            await asyncio.to_thread(car.close)

    assert asyncio.run(scenario()) < 0.5


def test_clients_come_and_go_and_leave_nothing_behind(car):
    """AUTCAR_TRIALS × 10 connections, of every manner of leaving."""

    def held():
        status = Path(f"/proc/{car.process.pid}/status").read_text()
        files = len(list(Path(f"/proc/{car.process.pid}/fd").iterdir()))
        memory = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return files, int(memory.split()[1])

    async def visit(session, manner):
        origin = {"Origin": f"http://localhost:{car.port}"}
        url = f"http://localhost:{car.port}"
        if manner == 0:
            await session.get(f"{url}/sessions")
            return
        socket = await session.ws_connect(f"{url}/socket", headers=origin)
        await socket.send_str('{"do": "take"}' if manner == 1 else '{"do": "view", "on": true}')
        if manner == 2:
            await socket.send_str("nonsense")
            await socket.receive()
        elif manner == 3:
            await socket.send_bytes(b"x" * 10_000)
        elif manner == 4:
            for _ in range(3):
                await socket.receive()
        if manner % 2:
            socket._response.close()
        else:
            await socket.close()

    async def crowd(rounds):
        for number in range(rounds):
            async with aiohttp.ClientSession() as session:
                await asyncio.gather(*(visit(session, (number + i) % 5) for i in range(5)))

    asyncio.run(crowd(20))
    time.sleep(1)
    files, memory = held()
    asyncio.run(crowd(2 * TRIALS))
    wait_for(lambda: held()[0] <= files + 2, 15)
    grown = held()[1] - memory
    print(f"{10 * TRIALS} clients: {grown} kB more")
    assert grown < 6_000 + 20 * TRIALS
    assert car.process.poll() is None
    assert "Traceback" not in car.output
