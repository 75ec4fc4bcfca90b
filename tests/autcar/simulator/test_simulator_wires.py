import math
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from autcar.cameras.simulator import SimulatedCamera
from autcar.errors import CameraError, CameraTimeoutError, MotorError
from autcar.motors.simulator import SimulatedMotors
from autcar.simulator.mount import CameraMount
from autcar.simulator.track import Track
from autcar.simulator.wires import Wires
from autcar.simulator.world import World

SMALL = CameraMount(64, 48)


@pytest.fixture
def world() -> World:
    return World(Track.generate(0), mount=SMALL)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    with Wires(tmp_path / "wires") as one, Wires(tmp_path / "wires") as two:
        assert one.read()[:3] == (0.0, 0.0, 0)
        before = time.monotonic_ns()
        one.write(0.5, -0.25)
        left, right, count, time_ns = two.read()
        assert (left, right, count) == (0.5, -0.25, 1)
        assert before <= time_ns <= time.monotonic_ns()


def test_another_process_drives_without_a_torn_read(tmp_path: Path) -> None:
    path = tmp_path / "wires"
    code = f"""
        import sys
        from autcar.motors.simulator import SimulatedMotors
        assert not {{"numpy", "cv2"}} & set(sys.modules), "the guardian must stay light"
        motors = SimulatedMotors({str(path)!r})
        print("open", flush=True)
        for i in range(60_000):
            motors.drive(i % 997 / 1000, -(i % 997) / 1000)
        motors.close()
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    seen = set()
    with Wires(path) as wires:
        while child.poll() is None:
            for _ in range(500):
                left, right, _, _ = wires.read()
                assert left == -right
                seen.add(left)
        assert wires.read()[:2] == (0.0, 0.0)
    child.stdout.close()
    assert child.returncode == 0
    assert len(seen) > 5


def test_the_file_outlives_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "wires"
    with Wires(path) as wires:
        wires.write(0.25, 0.5)
    with Wires(path) as wires:
        assert wires.read()[:2] == (0.25, 0.5)


def test_motors_on_wires() -> None:
    wires = Wires()
    motors = SimulatedMotors(wires)
    motors.drive(0.5, -2.0)
    assert wires.read()[:2] == (0.5, -1.0)
    for wrong in (math.nan, math.inf):
        with pytest.raises(MotorError, match="not numbers"):
            motors.drive(wrong, 0.0)
    motors.close()
    motors.close()
    assert wires.read()[:2] == (0.0, 0.0)
    with pytest.raises(MotorError, match="closed"):
        motors.drive(0.1, 0.1)


def test_wires_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(MotorError, match="cannot be opened"):
        SimulatedMotors(tmp_path / "nowhere" / "wires")


def test_lockstep_frames(world: World) -> None:
    wires = Wires()
    with SimulatedCamera(world, wires=wires) as camera, SimulatedMotors(wires) as motors:
        assert (camera.width, camera.height, camera.fps) == (64, 48, 20.0)
        motors.drive(0.7, 0.7)
        frames = [camera.read() for _ in range(10)]
    assert [frame.sequence for frame in frames] == list(range(10))
    assert [frame.time_ns for frame in frames] == [50_000_000 * i for i in range(1, 11)]
    assert world.lane[0] == pytest.approx(0.42 * (0.5 - 0.08), abs=0.01)
    assert frames[0].image.shape == (48, 64, 3)
    with pytest.raises(CameraError, match="closed"):
        camera.read()


def test_without_wires_the_world_is_told_directly(world: World) -> None:
    camera = SimulatedCamera(world)
    world.set_wheels(1.0, 1.0)
    camera.read()
    assert world.speed > 0.2


def test_real_time_paces_and_drops(world: World) -> None:
    camera = SimulatedCamera(world, fps=50.0, realtime=True)
    begin = time.monotonic()
    frames = [camera.read() for _ in range(11)]
    assert 0.18 < time.monotonic() - begin < 1.0
    assert frames[-1].sequence >= 10
    for frame in frames[1:]:
        frames_later = frame.sequence - frames[0].sequence
        assert frame.time_ns - frames[0].time_ns == frames_later * 20_000_000
    time.sleep(0.1)
    late = camera.read()
    assert late.sequence - frames[-1].sequence >= 4  # The reader was late: a gap.
    assert abs(time.monotonic_ns() - late.time_ns) < 100_000_000


def test_real_time_and_lockstep_drive_the_same(world: World) -> None:
    other = World(Track.generate(0), mount=SMALL)
    live = SimulatedCamera(world, fps=100.0, realtime=True)
    step = SimulatedCamera(other, fps=100.0)
    for w in (world, other):
        w.set_wheels(0.7, 0.35)
    last = live.read()
    begin = world.time_ns
    while last.sequence < 20:
        last = live.read()
    for _ in range(last.sequence):
        step.read()
    assert world.time_ns - begin == pytest.approx(other.time_ns, abs=1000)
    assert (world.x, world.y) == pytest.approx((other.x, other.y), abs=1e-5)


def test_a_late_reader_still_drives_each_command_from_when_it_was_given(world: World) -> None:
    wires = Wires()
    camera = SimulatedCamera(world, fps=50.0, realtime=True, wires=wires)
    camera.read()
    wires.write(1.0, 1.0)
    while world.speed < 0.3:
        camera.read()
    time.sleep(0.25)
    wires.write(0.0, 0.0)  # Told to stop only now: until then the car went on.
    distance = world.lane[0]
    camera.read()
    assert world.lane[0] - distance > 0.1


def test_faults(world: World) -> None:
    camera = SimulatedCamera(world)
    world.set_wheels(0.7, 0.7)
    camera.cover()
    assert camera.read().image.max() < 30
    camera.glare()
    assert camera.read().image.min() == 255
    camera.freeze()
    one, two = camera.read(), camera.read()
    assert one.image.tobytes() == two.image.tobytes()
    assert one.image is not two.image
    assert (two.sequence, two.time_ns) == (one.sequence + 1, one.time_ns + 50_000_000)
    camera.stall()
    before = world.time_ns
    with pytest.raises(CameraTimeoutError):
        camera.read(0.5)
    assert world.time_ns == before + 500_000_000  # The car drives on blind.
    camera.clear()
    assert camera.read().image.tobytes() != two.image.tobytes()
    assert np.ptp(camera.read().image) > 50


def test_a_real_time_stall_lasts_as_long_as_the_reader_waits(world: World) -> None:
    camera = SimulatedCamera(world, fps=50.0, realtime=True)
    camera.read()
    camera.stall()
    begin = time.monotonic()
    with pytest.raises(CameraTimeoutError):
        camera.read(0.1)
    assert 0.09 < time.monotonic() - begin < 0.5
    camera.clear()
    assert camera.read().sequence >= 4
