"""A car's camera, wheels and clock, opened as ``car.toml`` says, real or simulated."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from autcar.config import Config
from autcar.errors import ConfigError
from autcar.motors import DRIVERS
from autcar.wheels import DirectWheels, GuardedWheels, Wheels

if TYPE_CHECKING:
    from autcar.cameras.base import Camera
    from autcar.simulator.moving_car import MovingCar


@dataclass
class Vehicle:
    """What a driving or recording loop needs of a car. Close it, or use it as a context manager.

    ``clock`` gives the time in ns that the camera's frames are stamped with. ``world`` is
    the simulated world, None on a real car.
    """

    camera: Camera
    wheels: Wheels
    clock: Callable[[], int]
    world: MovingCar | None
    _stack: ExitStack

    def close(self) -> None:
        """Bring the wheels to rest, then release camera and motors."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_vehicle(config: Config, *, realtime: bool = True) -> Vehicle:
    """Open the car that ``config`` describes.

    With ``realtime`` the guardian process owns the motors, also the simulated ones.
    Without, the simulated world takes one step per frame, as fast as it is asked for;
    only a car that is simulated throughout can do that, any other raises
    :class:`ConfigError`.
    """
    # First of all, for the sake of its message: a name that is not known.
    DRIVERS.find(config.motors.driver)
    simulated = config.camera.driver == config.motors.driver == "simulator"
    if not realtime and not simulated:
        raise ConfigError(
            f"only a simulated car runs faster than real time; [camera] driver is "
            f"{config.camera.driver!r} and [motors] driver {config.motors.driver!r}"
        )
    if not simulated:
        return _open_real(config)
    return _open_realtime(config) if realtime else _open_lockstep(config)


def _open_realtime(config: Config) -> Vehicle:
    with ExitStack() as stack:
        wires_path = _wires_path(config, stack)
        # The guardian starts before anything heavy is imported, and opens the motors meanwhile.
        wheels = _simulated_wheels(wires_path)
        stack.callback(wheels.close)
        from autcar.cameras.simulator import SimulatedCamera
        from autcar.simulator.wires import Wires

        world = make_world(config)
        wires = Wires(wires_path)
        stack.callback(wires.close)
        camera = SimulatedCamera(world, fps=config.camera.fps, realtime=True, wires=wires)
        stack.callback(camera.close)
        if isinstance(wheels, GuardedWheels):
            wheels.ready()
        return Vehicle(camera, wheels, time.monotonic_ns, world, stack.pop_all())


def _simulated_wheels(wires_path: str) -> Wheels:
    """A guardian as on the car; where there can be none, no wheel turns that could hurt."""
    if sys.platform != "win32":
        return GuardedWheels({"driver": "simulator", "wires": wires_path}, wait=False)
    from autcar.motors.simulator import SimulatedMotors

    return DirectWheels(SimulatedMotors(wires_path))


def _open_real(config: Config) -> Vehicle:
    """A real car, or one half of it with simulated motors, to try a camera out."""
    if config.camera.driver == "simulator":
        raise ConfigError(
            f"the simulated camera sees only the simulated car, and [motors] driver is "
            f"{config.motors.driver!r}; set [camera] driver to picamera2 or opencv"
        )
    options = dict(config.motors.options)
    with ExitStack() as stack:
        if config.motors.driver == "simulator":
            options["wires"] = _wires_path(config, stack)
        wheels = GuardedWheels({"driver": config.motors.driver, **options}, wait=False)
        stack.callback(wheels.close)
        from autcar.cameras import open_camera

        camera = open_camera(config.camera)
        stack.callback(camera.close)
        wheels.ready()
        return Vehicle(camera, wheels, time.monotonic_ns, None, stack.pop_all())


def _wires_path(config: Config, stack: ExitStack) -> str:
    """The file that joins motors and world: the one in ``car.toml``, or one of its own."""
    if config.simulator.wires:
        return config.simulator.wires
    import tempfile  # here, since a real car starts sooner without it

    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="autcar-"))
    return str(Path(folder) / "wires")


def _open_lockstep(config: Config) -> Vehicle:
    from autcar.cameras.simulator import SimulatedCamera
    from autcar.motors.simulator import SimulatedMotors
    from autcar.simulator.wires import Wires

    world = make_world(config)
    with ExitStack() as stack:
        wires = Wires()
        stack.callback(wires.close)
        wheels = DirectWheels(SimulatedMotors(wires))
        stack.callback(wheels.close)
        camera = SimulatedCamera(world, fps=config.camera.fps, wires=wires)
        stack.callback(camera.close)
        return Vehicle(camera, wheels, lambda: world.time_ns, world, stack.pop_all())


def make_world(config: Config) -> MovingCar:
    """The simulated world that ``[simulator]`` and ``[camera]`` describe."""
    makers = {"track": _make_track_world, "people": _make_people_world}
    if config.simulator.world not in makers:
        raise ConfigError(
            f"[simulator] world = {config.simulator.world!r} is not known; "
            f"there are {' and '.join(makers)}"
        )
    return makers[config.simulator.world](config)


def _make_track_world(config: Config) -> MovingCar:
    from autcar.simulator.sign import parse_signs
    from autcar.simulator.track import Track
    from autcar.simulator.world import CameraMount, World

    settings = config.simulator
    track = Track.generate(settings.seed, settings.difficulty)
    for sign in parse_signs(settings.signs):
        track = track.with_sign(sign)
    return World(
        track,
        mount=CameraMount(width=config.camera.width, height=config.camera.height),
        seed=settings.seed,
        disturbance=settings.disturbance,
    )


def _make_people_world(config: Config) -> MovingCar:
    from autcar.simulator.people_world import PeopleWorld, Scene, looking_up

    settings = config.simulator
    return PeopleWorld(
        settings.seed,
        Scene(others=settings.people, difficulty=settings.difficulty),
        mount=looking_up(config.camera.width, config.camera.height),
        disturbance=settings.disturbance,
    )
