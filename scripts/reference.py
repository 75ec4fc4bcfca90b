"""Tables of the documentation that are made from the code when the site is built.

A page asks for one by a line ``<!-- table: NAME -->``; :data:`TABLES` has the names.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_type_hints


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def commands() -> str:
    """The 12 commands, their classes and wheel speeds."""
    from autcar.commands import CLASSES, LABELS

    rows = []
    for index, (label, command) in enumerate(zip(LABELS, CLASSES, strict=True)):
        left, right = command.wheels
        rows.append([str(index), f"`{label}`", f"{left:+.2f}", f"{right:+.2f}"])
    return table(["class", "command", "left wheel", "right wheel"], rows)


def config() -> str:
    """Every section of ``car.toml`` with its keys."""
    from autcar.config import Config

    parts = []
    for section in dataclasses.fields(Config):
        kind = section.default_factory
        parts.append(f"## [{section.name}]\n\n{_first_line(kind)}\n\n{_settings(kind)}")
        drivers = [
            f.metadata["drivers"] for f in dataclasses.fields(kind) if "drivers" in f.metadata
        ]
        for module in drivers:
            parts.extend(_drivers(module))
    return "\n\n".join(parts)


def _drivers(module: str) -> Iterable[str]:
    """The keys that each driver of ours adds to its section."""
    drivers = importlib.import_module(module).DRIVERS
    for name in drivers.names():
        kind = drivers.settings_type(name)
        if kind is not None:
            yield f'### driver = "{name}"\n\n{_settings(kind)}'


def _settings(kind: Any) -> str:
    hints = get_type_hints(kind)
    rows = []
    for known in dataclasses.fields(kind):
        if known.name == "options":
            continue
        low, high = known.metadata.get("low"), known.metadata.get("high")
        span = "" if low is None else f"{low:g} … {high:g}"
        default = json.dumps(known.default, ensure_ascii=False)
        kinds = {str: "text", int: "whole number", float: "number", bool: "true or false"}
        what = f"{kinds[hints[known.name]]} {span}".strip()
        rows.append([f"`{known.name}`", f"`{default}`", what, known.metadata.get("help", "")])
    return table(["key", "default", "value", "what it is"], rows)


def verbs() -> str:
    """Every verb of the command line, its options and examples."""
    from autcar.cli import build_parser

    return "\n\n".join(_verbs(build_parser(), 2))


def _verbs(parser: argparse.ArgumentParser, level: int) -> Iterable[str]:
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        shown = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, verb in action.choices.items():
            if name not in shown:
                continue  # meant for autcar itself
            said = verb.description or shown[name]
            parts = [f"{'#' * level} autcar {verb.prog.split(' ', 1)[1]}", _sentence(said)]
            rows = [_option(option) for option in _own_options(verb)]
            if rows:
                parts.append(table(["option", "what it does"], rows))
            if verb.epilog:
                parts.append(f"```text\n{verb.epilog.strip()}\n```")
            yield "\n\n".join(parts)
            yield from _verbs(verb, level + 1)


def _own_options(verb: argparse.ArgumentParser) -> list[argparse.Action]:
    left_out = (argparse._HelpAction, argparse._SubParsersAction)
    return [
        action
        for action in verb._actions
        if not isinstance(action, left_out) and action.help != argparse.SUPPRESS
    ]


def _option(action: argparse.Action) -> list[str]:
    value = ""
    if action.nargs != 0:
        if action.choices is not None:
            value = "{" + ",".join(map(str, action.choices)) + "}"
        else:
            metavar = action.metavar or action.dest.upper()
            value = metavar if isinstance(metavar, str) else " ".join(metavar)
    if not action.option_strings:
        return [f"`{action.metavar or value or action.dest}`", action.help or ""]
    return [f"`{' '.join([action.option_strings[-1], value]).strip()}`", action.help or ""]


def exit_codes() -> str:
    """What the command line's exit codes mean."""
    from autcar.exit_codes import EXIT_CODES

    return table(
        ["exit code", "meaning"], ([str(code), said] for code, said in EXIT_CODES.items())
    )


def manifest() -> str:
    """The keys of a bundle's ``manifest.json``."""
    from autcar.bundle import Manifest, Variant

    return "\n\n".join(
        f"{title}\n\n{_fields(kind)}"
        for title, kind in (("The manifest:", Manifest), ("Each of its variants:", Variant))
    )


def _fields(kind: Any) -> str:
    rows = []
    for known in dataclasses.fields(kind):
        default = "" if known.default is dataclasses.MISSING else f"`{known.default!r}`"
        rows.append([f"`{known.name}`", f"`{known.type}`", default])
    return table(["key", "type", "default"], rows)


def networks() -> str:
    """The built-in networks, with the work that each is for a frame of 224×168."""
    from trainer.quiet import import_tensorflow

    import_tensorflow()
    from trainer.networks import NETWORKS, build_network
    from trainer.proof.cost import cost

    rows = []
    for name, said in NETWORKS.items():
        found = cost(build_network(name, 168, 224, 12), kinds=())
        rows.append([f"`{name}`", said, f"{found.parameters:,}", f"{found.macs / 1e6:.1f}"])
    heads = ["network", "what it is", "parameters", "million multiplications a frame"]
    return table(heads, rows)


def reasons() -> str:
    """Why the wheels can be at rest."""
    from autcar.safety import Reason

    return table(
        ["`AUTCAR_REASON`", "what the car says"],
        ([f"`{reason.name}`", reason.value] for reason in Reason),
    )


def _first_line(kind: Any) -> str:
    return _sentence((inspect.getdoc(kind) or "").splitlines()[0])


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."


TABLES: dict[str, Callable[[], str]] = {
    "commands": commands,
    "config": config,
    "exit codes": exit_codes,
    "manifest": manifest,
    "networks": networks,
    "reasons": reasons,
    "verbs": verbs,
}
"""What a page may ask for."""
