"""A car's link for the class-room page, to real cockpits over real sockets."""

import asyncio
import socket
import time

import aiohttp
import pytest

from autcar import cli
from autcar.classroom.cli import _links
from autcar.classroom.link import CarLink
from autcar.classroom.server import Classroom
from autcar.errors import ConfigError
from tests.autcar.cockpit.test_server import Car
from tests.cockpit_page import Page

FORWARD = "move_medium_forward"


@pytest.fixture
def car(tmp_path):
    made = Car(tmp_path, pair=True)
    yield made
    made.close()


async def until(found, what, timeout_s=20.0):
    ending = time.monotonic() + timeout_s
    while not found():
        assert time.monotonic() < ending, what
        await asyncio.sleep(0.01)


def linked(work, *links):
    """Run ``work`` while the links are kept."""

    async def run():
        tasks = [asyncio.create_task(link.keep()) for link in links]
        try:
            await work()
        finally:
            for task in tasks:
                task.cancel()

    asyncio.run(run())


async def drive(page):
    """Beat as a page does whose driver holds a key."""
    while True:
        await page.beat(FORWARD)
        await asyncio.sleep(0.05)


def test_it_pairs_by_the_code_in_the_address_and_sees_what_the_car_sees(car):
    link = CarLink.to("red", car.cockpit.url)

    async def work():
        await until(lambda: link.view.pictures > 2, "pictures")
        assert link.view.link == "there"
        assert link.view.picture.startswith(b"jpeg")
        assert link.view.at_rest is True
        assert link.view.failure == ""

    linked(work, link)


def test_it_asks_for_the_code_and_a_wrong_one_is_not_tried_twice(car):
    link = CarLink.to("red", car.url)

    async def work():
        await until(lambda: link.view.link == "code", "the question")
        link.give_code("AAAA-AAAA")
        await until(lambda: link.view.problem == "that is not its code", "the answer")
        assert link.code == ""
        link.give_code(car.cockpit.pairing.code.lower())
        await until(lambda: link.view.link == "there", "the link")

    linked(work, link)


def test_a_driver_is_seen_and_stopped_and_a_lost_driver_is_remembered(car):
    link = CarLink.to("red", car.cockpit.url)

    async def work():
        cookie = {"autcar": car.cockpit.pairing.pair(car.cockpit.pairing.code)}
        async with (
            aiohttp.ClientSession(cookies=cookie) as session,
            session.ws_connect(car.socket, headers=car.origin) as socket,
        ):
            page = Page(socket)
            await until(lambda: link.view.at_rest is True, "the link")
            await page.take()
            driving = asyncio.create_task(drive(page))
            await until(lambda: link.view.at_rest is False, "the driver")
            assert link.view.status["driver"].startswith("browser")
            assert await link.stop()
            await until(lambda: car.motors.speeds == (0.0, 0.0), "rest")
            await until(lambda: link.view.at_rest is True, "rest, as told")
            driving.cancel()
            assert link.view.failure == "", "STOP is no failure"

            await page.take()
            driving = asyncio.create_task(drive(page))
            await until(lambda: link.view.at_rest is False, "the driver")
            driving.cancel()
            await until(lambda: link.view.failure == "the driver's link is lost", "the failure")

    linked(work, link)


def test_a_car_that_is_gone_is_told_so_and_found_again(car, tmp_path):
    gone = CarLink.to("blue", "http://127.0.0.1:9")

    async def work():
        await until(lambda: gone.view.link == "lost", "the loss")
        assert gone.view.problem
        assert gone.view.at_rest is None
        assert not await gone.stop()

    linked(work, gone)


@pytest.mark.parametrize("address", ["red.local", "ftp://red", "http://"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ConfigError, match="no cockpit's address"):
        CarLink.to("red", address)


def test_cars_are_found_by_name_and_none_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cars.toml").write_text(
        '[red]\naddress = "pi@red.local"\n'
        '[blue]\naddress = "pi@10.0.0.7"\ncockpit = "https://10.0.0.7:9000"\n'
    )
    assert [(link.view.name, link.view.url) for link in _links([])] == [
        ("red", "http://red.local:8080"),
        ("blue", "https://10.0.0.7:9000"),
    ]
    with pytest.raises(ConfigError, match="named twice"):
        _links(["red", "http://red.local:8080/#ABCD-EFGH"])


def test_the_page_answers_its_own_browser_only_and_stops_every_car(car):
    room = Classroom([CarLink.to("red", car.cockpit.url)], 0)

    async def work():
        await until(lambda: room.url, "the page")
        async with aiohttp.ClientSession() as session:
            async with session.get(room.url) as page:
                assert "STOP ALL" in await page.text()
                assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
            async with session.get(room.url, headers={"Host": "evil.example"}) as page:
                assert page.status == 421
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(f"{room.url}socket", origin="http://evil.example")
            origin = room.url.rstrip("/")
            for nonsense in (
                "{",
                "[]",
                '{"do":"drive"}',
                '{"do":"stop","car":7}',
                '{"do":"code"}',
            ):
                async with session.ws_connect(f"{room.url}socket", origin=origin) as socket:
                    await socket.send_str(nonsense)
                    while not socket.closed:
                        await socket.receive(timeout=10)
                    assert socket.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION
            async with session.ws_connect(f"{room.url}socket", origin=origin) as socket:
                lease = car.helm.take("a hand")
                await until(lambda: car.helm.state.driver == "a hand", "the driver")
                await until(lambda: room._links[0]._socket is not None, "the link")
                await socket.send_json({"do": "stop"})
                await until(lambda: car.helm.state.driver is None, "rest")
                assert car.helm.state.lease == lease
                assert car.helm.state.reason == "stop pressed"

    async def run():
        serving = asyncio.create_task(room.run())
        try:
            await work()
        finally:
            serving.cancel()

    asyncio.run(run())


def test_the_verb_serves_the_page_until_ctrl_c(monkeypatch, capsys):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("autcar.classroom.server._STATUS_S", 0.01)

    async def ended(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Classroom, "_publish", ended)
    assert cli.main(["fleet", "http://localhost:1", "--port", "0"]) == 0
    said = capsys.readouterr().out
    assert "the page is closed; the cars go on as they were" in said


def test_a_page_whose_port_is_taken_says_so(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["fleet", "http://localhost:1", "--port", str(port)]) == 2
    assert f"cannot listen on port {port}: " in (said := capsys.readouterr().err)
    assert "give --port 0 for any free one" in said


def test_cars_without_a_cockpit_address_are_asked_at_the_usual_port(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cars.toml").write_text(
        '[red]\naddress = "pi@red.local"\n[blue]\naddress = "b"\ncockpit = "http://b:9000"\n'
    )
    assert [link.view.url for link in _links([])] == ["http://red.local:8080", "http://b:9000"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"do": "stop", "car": 7}', '{"do": "stop", "car": true}', '{"do": "drive"}',
     '{"do": "code", "code": 3, "car": 0}', '{"do": "code", "code": "A"}', "[" * 100_000],
)  # fmt: skip
def test_an_order_that_is_none_does_nothing(text):
    stopped = []

    class Link:
        async def stop(self):
            stopped.append(self)

        give_code = stopped.append

    room = Classroom([Link(), Link()], 0)
    assert asyncio.run(room._obey(text)) is False
    assert stopped == []
    assert asyncio.run(room._obey('{"do": "stop", "car": 1}')) is True
    assert stopped == [room._links[1]]
    assert asyncio.run(room._obey('{"do": "code", "code": "AB", "car": 0}')) is True
    assert stopped[-1] == "AB"
