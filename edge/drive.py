"""What ``autcar drive`` does: open the car and a pilot, drive, tell, and end at rest."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from autcar.bundle import load_bundle, shipped_bundle
from autcar.commands import LABELS, Command
from autcar.config import Config, load_config
from autcar.errors import ConfigError
from autcar.safety import Gate, Reason
from autcar.vehicle import Vehicle, open_vehicle
from edge.histogram import Histogram

if TYPE_CHECKING:
    from autcar.simulator.follow_score import FollowScore
    from autcar.simulator.moving_car import MovingCar
    from autcar.simulator.score import Score
    from edge.cockpit import PilotCockpit
    from edge.drive_log import DriveLog
    from edge.film import Film
    from edge.loop import Loop, Tick
    from edge.pilots import Pilot
    from edge.shadow import Shadow

FAST_SECONDS = 60.0
WAY_RGB = (0, 158, 115)


def drive(arguments: argparse.Namespace) -> int:
    """Run the verb; returns the exit code."""
    if arguments.log_frames and not arguments.log:
        raise ConfigError("--log-frames keeps frames beside a log; add --log FOLDER")
    config = load_config(arguments.config)
    if arguments.seed is not None:
        config = replace(config, simulator=replace(config.simulator, seed=arguments.seed))
    seconds = arguments.seconds
    if arguments.fast and seconds is None:
        seconds = FAST_SECONDS
    with open_vehicle(config, realtime=not arguments.fast) as vehicle:
        if arguments.map and vehicle.world is None:
            raise ConfigError("--map draws the simulated car's way; this is a real car")
        film = _open_film(arguments, vehicle)
        pilot, name = _open_pilot(arguments, config, vehicle)
        shadow = _open_shadow(arguments, config, vehicle, name)
        attend = _cockpit_for(arguments, config, vehicle, name)
        print(
            f"{name} drives {_where(config, vehicle)}"
            + ("" if arguments.fast else "; Ctrl-C stops it")
        )
        log = _open_log(arguments, config, vehicle, name)
        run = drive_vehicle(
            vehicle,
            pilot,
            Gate(config.safety),
            seconds,
            StatusLine(film),
            log=log,
            shadow=shadow,
            attend=attend,
        )
        if arguments.map:
            _draw_map(vehicle, run, Path(arguments.map))
        if film:
            print(film.write())
    print(run.summary())
    if shadow:
        print(shadow.report())
    if log:
        print("\n".join(filter(None, [log.problem, f"next: autcar replay {log.folder}"])))
    if arguments.json:
        facts = run.facts() | ({"shadow": shadow.comparison.facts()} if shadow else {})
        print(json.dumps(facts))
    return 0 if run.well else 1


@dataclass
class Run:
    """How a drive went. ``score`` is the ground truth of a simulated car, else None."""

    reason: Reason | None
    frames: int
    seconds: float
    pilot_ms: Histogram
    overhead_ms: Histogram
    age_ms: Histogram
    score: Score | FollowScore | None = None

    @property
    def well(self) -> bool:
        """Whether the car drove to the end, on the track or without a bump where that is known."""
        return self.reason is None and (self.score is None or self.score.failures == 0)

    def facts(self) -> dict[str, Any]:
        """Everything measured, JSON-able."""
        return {
            "reason": self.reason.value if self.reason else None,
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "pilot_ms": self.pilot_ms.facts(),
            "overhead_ms": self.overhead_ms.facts(),
            "age_ms": self.age_ms.facts(),
            "score": self.score.facts() if self.score else None,
        }

    def summary(self) -> str:
        """A few lines for a person."""
        lines = [f"drove {self.seconds:.1f} s, {self.frames:,} frames"]
        if self.frames:
            lines.append(
                f"pilot {self.pilot_ms.median:.2f} ms a frame, everything else "
                f"{self.overhead_ms.median:.2f} ms (medians)"
            )
        if self.score:
            lines.append(self.score.summary())
        if self.reason:
            lines.append(f"stopped: {self.reason.value}")
        return "\n".join(lines)


class Listener(Protocol):
    """Hears of every turn of the loop, and of the last one."""

    def tell(self, tick: Tick, rate: float) -> None:
        """What the car just did; ``rate`` is frames a second."""

    def end(self) -> None:
        """The drive is over."""


class StatusLine:
    """One line that is rewritten five times a second; silent when not at a terminal.

    ``film`` looks on.
    """

    def __init__(self, film: Film | None = None) -> None:
        self._film = film
        self._told = 0.0
        self._shown = False
        self._speaks = sys.stdout.isatty()

    def tell(self, tick: Tick, rate: float) -> None:
        """Show what the car just did."""
        if self._film:
            self._film.see(tick)
        now = time.monotonic()
        if not self._speaks or now - self._told < 0.2:
            return
        self._told = now
        verdict = tick.verdict
        if verdict.reason is None and verdict.command is not None:
            said = f"{LABELS[verdict.command]:<22} {verdict.confidence:4.0%}"
        else:
            said = f"at rest: {verdict.reason.value}" if verdict.reason else ""
        age = f"{tick.age_ns / 1e6:5.1f} ms old" if tick.frame else "no frame"
        said += f"   {tick.remark}" if tick.remark else ""
        print(f"\r\x1b[K{said}   {age}   {rate:5.1f} frames/s", end="", flush=True)
        self._shown = True

    def end(self) -> None:
        """Leave the line standing."""
        if self._shown:
            print()


def drive_vehicle(
    vehicle: Vehicle,
    pilot: Pilot,
    gate: Gate,
    seconds: float | None,
    status: Listener | None = None,
    *,
    log: DriveLog | None = None,
    shadow: Shadow | None = None,
    attend: Callable[[Loop], PilotCockpit] | None = None,
) -> Run:
    """Arm and drive until ``seconds`` of the vehicle's clock have passed, a fault, or Ctrl-C.

    ``log`` is closed at the end, whatever that is. ``attend`` opens a cockpit for the loop:
    with a person there, a fault leaves the car at rest and does not end the drive.
    """
    from edge.loop import Loop

    loop = Loop(vehicle.camera, pilot, vehicle.wheels, gate, vehicle.clock)
    drive = _Drive(vehicle, loop, log, shadow)
    with ExitStack() as stack:
        if log:
            stack.callback(lambda: log.close(drive.run.facts()))
        if attend:
            drive.cockpit = attend(loop)
            stack.callback(drive.cockpit.close)
        loop.arm()
        return drive.until(seconds, status)


class _Drive:
    """A run while it goes on: what is done with each tick once its command is out."""

    def __init__(
        self, vehicle: Vehicle, loop: Loop, log: DriveLog | None, shadow: Shadow | None
    ) -> None:
        self.cockpit: PilotCockpit | None = None
        self._vehicle = vehicle
        self._loop = loop
        self._log = log
        self._shadow = shadow
        self.run = Run(None, 0, 0.0, Histogram(), Histogram(), Histogram())
        if vehicle.world is not None:
            self.run.score = _score_of(vehicle.world)

    def until(self, seconds: float | None, status: Listener | None) -> Run:
        run, clock = self.run, self._vehicle.clock
        began_ns = clock()
        ticks = self._loop.ticks()
        try:
            for tick in ticks:
                self._note(tick)
                run.seconds = (clock() - began_ns) / 1e9
                if status:
                    status.tell(tick, run.frames / max(run.seconds, 1e-9))
                fault = tick.verdict.reason
                run.reason = None if fault in (Reason.DISARMED, Reason.TAKEN_OVER) else fault
                if run.reason and not self.cockpit:
                    break
                if seconds is not None and run.seconds >= seconds:
                    break
        except KeyboardInterrupt:
            pass
        finally:
            ticks.close()
            if status:
                status.end()
        return run

    def _note(self, tick: Tick) -> None:
        run = self.run
        if tick.frame is not None:
            run.frames += 1
            run.pilot_ms.add(tick.pilot_ns / 1e6)
            run.overhead_ms.add(tick.overhead_ns / 1e6)
            run.age_ms.add(tick.age_ns / 1e6)
        if run.score is not None:
            run.score.update()
        person = self.cockpit.see(tick) if self.cockpit else None
        said = self._shadow.consider(tick) if self._shadow else ()
        if self._log:
            self._log.note(tick, said, person)


def _open_pilot(
    arguments: argparse.Namespace, config: Config, vehicle: Vehicle
) -> tuple[Pilot, str]:
    from edge.pilots import ConstantDecider, DecidingPilot

    if arguments.pilot == "straight":
        return DecidingPilot(
            ConstantDecider(Command("move", "medium", "forward"))
        ), "always straight"
    if arguments.pilot == "expert":
        if vehicle.world is None:
            raise ConfigError("the expert knows only the simulated car; use --pilot bundle")
        return _expert(vehicle.world, config)
    return open_bundle(arguments.bundle or shipped_bundle(), arguments.variant, config)


def open_bundle(folder: str | Path, variant: str | None, config: Config) -> tuple[Pilot, str]:
    """A bundle's pilot and its name for people; :class:`BundleError` unless it fits the car.

    Without ``variant``, the one that ``autcar bench --choose`` found fastest here.
    """
    from autcar.interpreter import find_runtime
    from autcar.variant_choice import recall

    bundle = load_bundle(folder)
    bundle.check_fits(config.camera.width, config.camera.height)
    threads = 1
    if variant is None and (choice := recall(bundle, find_runtime()[0])):
        variant, threads = choice.variant, choice.threads
    on = f", {threads} threads" if threads > 1 else ""
    if bundle.manifest.task == "follow":
        from edge.follow_pilot import BundleEyes, FollowPilot

        eyes = BundleEyes(bundle, variant, threads)
        name = f"{bundle.manifest.name} ({eyes.variant.name}, {eyes.runtime}{on})"
        return FollowPilot(eyes, eyes.labels, config.follow), name
    from edge.pilots import BundlePilot

    pilot = BundlePilot(bundle, variant, threads)
    return pilot, f"{bundle.manifest.name} ({pilot.variant.name}, {pilot.runtime}{on})"


def _expert(world: MovingCar, config: Config) -> tuple[Pilot, str]:
    """A pilot that knows the truth of a simulated world."""
    from autcar.simulator.people_world import PeopleWorld

    if isinstance(world, PeopleWorld):
        from edge.follow_pilot import knowing

        return knowing(world, config.follow), "a follower that sees the truth"
    from autcar.simulator.expert import Expert
    from autcar.simulator.world import World
    from edge.pilots import DecidingPilot

    assert isinstance(world, World)
    return DecidingPilot(Expert(world)), "the simulator's expert"


def _score_of(world: MovingCar) -> Score | FollowScore:
    from autcar.simulator.follow_score import FollowScore
    from autcar.simulator.people_world import PeopleWorld
    from autcar.simulator.score import Score
    from autcar.simulator.world import World

    if isinstance(world, PeopleWorld):
        return FollowScore(world)
    assert isinstance(world, World)
    return Score(world)


def _open_shadow(
    arguments: argparse.Namespace, config: Config, vehicle: Vehicle, driving: str
) -> Shadow | None:
    if not arguments.shadow:
        return None
    import numpy as np

    from autcar.cameras.base import Frame
    from edge.shadow import Shadow

    pilot, name = open_bundle(arguments.shadow, None, config)
    fps = 0.0 if arguments.fast else config.camera.fps
    grey = np.full((vehicle.camera.height, vehicle.camera.width, 3), 128, np.uint8)
    sample = Frame(grey, 0, vehicle.clock())
    return Shadow(pilot, (driving, name), fps, vehicle.clock, sample)


def _cockpit_for(
    arguments: argparse.Namespace, config: Config, vehicle: Vehicle, name: str
) -> Callable[[Loop], PilotCockpit] | None:
    if not arguments.cockpit:
        return None
    if arguments.fast:
        raise ConfigError("nobody can watch a car that is faster than real time; leave out --fast")
    from edge.cockpit import PilotCockpit

    def attend(loop: Loop) -> PilotCockpit:
        cockpit = PilotCockpit(config, vehicle, loop, name)
        print(f"cockpit: {cockpit.url}", flush=True)
        if cockpit.pairing is not None:
            print(f"pairing code: {cockpit.pairing.code}", flush=True)
        return cockpit

    return attend


def _open_log(
    arguments: argparse.Namespace, config: Config, vehicle: Vehicle, pilot: str
) -> DriveLog | None:
    if not arguments.log:
        return None
    from edge.drive_log import DriveLog

    about = {
        "pilot": pilot,
        "bundle": arguments.bundle if arguments.pilot == "bundle" else None,
        "shadow": arguments.shadow,
        "where": _where(config, vehicle),
        "config": asdict(config),
    }
    return DriveLog(
        arguments.log,
        about,
        camera=vehicle.camera if arguments.log_frames else None,
        quality=config.record.quality,
        free_mb=config.record.free_mb,
        patient=arguments.fast,
    )


def _open_film(arguments: argparse.Namespace, vehicle: Vehicle) -> Film | None:
    if not arguments.film:
        return None
    from edge.film import Film

    return Film(vehicle, Path(arguments.film))


def _where(config: Config, vehicle: Vehicle) -> str:
    if vehicle.world is None:
        return config.car.name
    where = "among people, walk" if config.simulator.world == "people" else "on track"
    return f"the simulated car {where} {config.simulator.seed}"


def _draw_map(vehicle: Vehicle, run: Run, path: Path) -> None:
    assert vehicle.world is not None
    assert run.score is not None
    from autcar.images import write_png
    from autcar.simulator.draw import world_map

    write_png(path, world_map(vehicle.world, run.score.line, WAY_RGB))
    print(f"the way driven: {path}")
