"""The verb ``autcar models``, on the car: which drives, and how another takes its place."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from autcar.errors import AutcarError

_EXAMPLES = """\
examples, on the car:
  autcar models list             what is there, and which drives
  autcar models use NAME         drive another one; taken back unless it is ready and healthy
  autcar models rollback         drive the one before
  autcar models remove NAME      delete one that does not drive

a new model comes from the workstation: autcar deploy user@car models/mine
"""

HEALTHY_S = 3.0
"""How long a model must do well before it is kept."""


def add_verbs(verbs: Any) -> None:
    """Add ``models``."""
    parser = verbs.add_parser(
        "models",
        help="on the car: list, switch, take back and remove models",
        description="List, switch, take back and remove the models on this car.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shown = _action(actions, "list", "what is there, and which drives", _list)
    shown.add_argument("--json", action="store_true", help="one line of JSON a model")
    for name, text in (
        ("use", "drive another one, and take it back unless it is ready and healthy"),
        ("remove", "delete one that does not drive"),
    ):
        action = _action(actions, name, text, _use if name == "use" else _remove)
        action.add_argument(
            "name", metavar="NAME", help="as `autcar models list` shows it, or 'shipped'"
        )
    _action(actions, "rollback", "drive the one before", _rollback)


def _action(actions: Any, name: str, text: str, run: Any) -> Any:
    parser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    return parser


class SwitchError(AutcarError, RuntimeError):
    """A model that was tried and taken back; the old one drives."""


def switch(name: str, *, forced: tuple[str, ...] = (), by: str = "") -> str:
    """Make ``name`` the model that drives; returns a sentence about it.

    Where the driving service is in use, ``name`` is on trial first: a service that is not
    ready, or not healthy for :data:`HEALTHY_S`, brings the old model back and raises
    :class:`SwitchError`. Until the trial is over a power cut brings the old one back, too.
    """
    from autcar.appliance.model_store import ModelStore
    from autcar.appliance.service import UNITS, ServiceError, health, systemctl

    store, unit = ModelStore(), UNITS["drive"]
    before = store.current()
    store.find(name)
    if health(unit)["state"] not in ("active", "failed", "activating"):
        store.switch(name)
        store.note(name, "switched", forced, by)
        return f"{name} drives from the next start of {unit} on; it was not tried"
    refuse_while_driving()
    # Outside of the try: who does not get the trial must not take back somebody else's.
    with store.trial(name) as link:
        try:
            systemctl("reset-failed", unit, check=False)
            systemctl("restart", unit)
            _see_healthy(store.find(name).name)
            store.switch(name)
        except BaseException as error:
            # Ctrl-C or a connection that ends, too: nobody judged what the service runs now.
            said = str(error) or type(error).__name__
            if isinstance(error, ServiceError) and "Job for" in said:
                # systemd did try; anything else, as sudo's refusal, speaks for itself.
                said = f"the service did not become ready: {health(unit)['status'] or error}"
            link.unlink(missing_ok=True)
            systemctl("reset-failed", unit, check=False)
            systemctl("restart", unit, check=False)
            store.note(name, f"taken back: {said}", forced, by)
            if not isinstance(error, AutcarError):
                raise
            state = health(unit)["state"]
            raise SwitchError(
                f"{name} was taken back, {before} drives again (its service is {state}): {said}"
            ) from error
    store.note(name, "drives", forced, by)
    return f"{name} is ready and healthy; it drives from now on, once armed"


def refuse_while_driving() -> None:
    """Raise :class:`SwitchError` when the running service is armed."""
    from autcar.appliance.control import ControlError, ask

    try:
        armed = ask("status")["armed"]
    except ControlError:
        return
    if armed:
        raise SwitchError("the car is driving; `autcar service disarm` it first, then try again")


def _see_healthy(folder: str) -> None:
    """Watch a service that just became ready. Raises :class:`SwitchError` unless it does well."""
    from autcar.appliance import places
    from autcar.appliance.control import ask
    from autcar.config import load_config

    wanted = 0.5 * load_config(places.config()).camera.fps
    frames, until = -1, time.monotonic() + HEALTHY_S
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(0.5, left))
        facts = ask("status")
        if facts["folder"] != folder:
            raise SwitchError(f"the service runs {facts['folder']} instead of {folder}")
        if facts["frames"] < frames:
            raise SwitchError("the service started anew by itself")
        if facts["frames"] == frames:
            raise SwitchError("the service has stopped looking at frames")
        frames = facts["frames"]
    if facts["fps"] < wanted:
        raise SwitchError(f"only {facts['fps']} frames a second, at least {wanted:g} are needed")


def _list(arguments: argparse.Namespace) -> int:
    from autcar.appliance.model_store import SHIPPED, ModelStore, as_dict

    store = ModelStore()
    models = store.models()
    if arguments.json:
        for model in models:
            print(json.dumps(as_dict(model)))
        return 0
    print(f"{'*' if store.current() == SHIPPED else ' '} {SHIPPED:<44} comes with autcar")
    for model in models:
        notes = [f"{model.size / 1000:,.0f} kB"]
        notes += ["the one before"] * model.previous + ["on trial"] * model.on_trial
        if model.forced:
            notes.append(f"forced past: {', '.join(model.forced)}")
        if model.problem:
            notes.append(model.problem)
        print(f"{'*' if model.current else ' '} {model.name:<44} {'; '.join(notes)}")
    return 0


def _use(arguments: argparse.Namespace) -> int:
    print(switch(arguments.name))
    return 0


def _rollback(_arguments: argparse.Namespace) -> int:
    from autcar.appliance.model_store import ModelStore, ModelStoreError

    previous = ModelStore().previous()
    if previous is None:
        raise ModelStoreError("no model drove before this one; see `autcar models list`")
    print(switch(previous))
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    from autcar.appliance.model_store import ModelStore

    ModelStore().remove(arguments.name)
    print(f"{arguments.name} is gone")
    return 0
