"""``autcar record``, driven by hand."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace

from autcar.config import Config, load_config
from autcar.errors import ConfigError, RuntimeMissingError
from autcar.vehicle import open_vehicle
from capture.daemon import Daemon
from capture.recorder import Recorder


def drive_by_hand(arguments: argparse.Namespace) -> int:
    """Serve the inputs that were asked for until they end; returns the exit code."""
    config = configured(arguments)
    steps = None
    if arguments.script:
        from capture.script import read_script

        steps = read_script(arguments.script)
    with open_vehicle(config) as vehicle, Daemon(config, vehicle, arguments.output) as daemon:
        driven = True
        try:
            with ExitStack() as inputs:
                open_inputs(config, arguments, daemon, inputs)
                if steps is not None:
                    from capture.script import run_script

                    daemon.first_frame(5.0)
                    daemon.recorder.record()
                    driven = run_script(daemon.helm, steps, lambda s: daemon.wait(s))
                else:
                    daemon.wait(arguments.seconds)
        except KeyboardInterrupt:
            # How a person ends a recording: nothing went wrong.
            print()
        finally:
            daemon.close()
            _summarise(daemon.recorder)
    if not driven:
        print(f"the script was ended: {daemon.helm.state.reason}")
    return 0 if driven else 1


def configured(arguments: argparse.Namespace) -> Config:
    """``car.toml`` with what the command line overrides."""
    if arguments.keyboard and sys.platform == "win32":
        raise ConfigError("--keyboard needs a terminal of Linux or macOS; use the page")
    config = load_config(arguments.config)
    cockpit = config.cockpit
    if arguments.listen is not None:
        cockpit = replace(cockpit, listen=arguments.listen)
    if arguments.port is not None:
        cockpit = replace(cockpit, port=arguments.port)
    if arguments.pair:
        cockpit = replace(cockpit, pair=True)
    simulator = config.simulator
    if arguments.seed is not None:
        simulator = replace(simulator, seed=arguments.seed)
    return replace(config, cockpit=cockpit, simulator=simulator)


def open_inputs(
    config: Config, arguments: argparse.Namespace, daemon: Daemon, inputs: ExitStack
) -> str | None:
    """Open what was asked for until ``inputs`` ends; returns the cockpit's URL, if it has one."""
    url = None
    if not arguments.no_cockpit and arguments.script is None:
        try:
            from autcar.cockpit.server import Cockpit
        except ImportError as error:
            raise RuntimeMissingError(
                f"the cockpit needs {error.name}; install it with `pip install 'autcar[car]'`, "
                f"or drive from this terminal: autcar record --keyboard --no-cockpit"
            ) from error
        cockpit = Cockpit(
            config.car.name,
            daemon.helm,
            daemon.feed,
            config.cockpit,
            recorder=daemon.recorder,
            recordings=daemon.recorder.folder,
        )
        url = cockpit.start()
        inputs.callback(cockpit.close)
        print(f"cockpit: {url}", flush=True)
        if cockpit.pairing is not None:
            print(f"pairing code: {cockpit.pairing.code}", flush=True)
    if config.cockpit.remote_port:
        from capture.remote import RemoteServer

        listen, port = config.cockpit.remote_listen, config.cockpit.remote_port
        inputs.enter_context(RemoteServer(daemon.helm, daemon.recorder, listen, port))
        print(f"AutCar's remote protocol: {listen} port {port}", flush=True)
    if arguments.gamepad:
        from capture.gamepad import Gamepad

        inputs.enter_context(Gamepad(daemon.helm, daemon.recorder, arguments.gamepad))
    if arguments.keyboard:
        from capture.keyboard import HELP, Keyboard

        print(HELP, flush=True)
        inputs.enter_context(Keyboard(daemon.helm, daemon.recorder))
    return url


def _summarise(recorder: Recorder) -> None:
    status = recorder.status()
    if status.note:
        print(status.note)
    if recorder.open_session is None:
        print("nothing was recorded")
        return
    print(f"{status.frames:,} frames in {recorder.open_session}")
    for label, count in sorted(status.counts.items()):
        print(f"  {label:<24}{count:>6}")
    for reason, count in status.dropped.items():
        print(f"  dropped: {count} × {reason}")
    print(f"next: autcar data check {recorder.open_session}")
