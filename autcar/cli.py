"""The ``autcar`` command line.

Each verb is declared in the package that does its work, by an ``add_verbs``
function that imports nothing heavy: TensorFlow, OpenCV and NumPy are imported
when a verb runs, so ``autcar --help`` is quick on a Pi.

:mod:`autcar.exit_codes` has what its exit codes mean.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import io
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn

from autcar import __version__
from autcar.errors import AutcarError, CameraError, MotorError, ParityError, TrainingError
from autcar.exit_codes import BUG, FAILED, INTERRUPTED, OK, TERMINATED, WRONG_INPUT

_EPILOG = """\
the loop:
  autcar record                     drive and record, from a page in the browser
  autcar data check recordings      see what was recorded, and what is wrong with it
  autcar train recordings           make a bundle of what was recorded
  autcar eval BUNDLE recordings     see how good it is
  autcar drive --bundle BUNDLE      let it drive

`autcar VERB --help` explains each verb, with examples.
"""


class _Terminated(BaseException):
    """SIGTERM or SIGHUP: unwinds through every ``finally``, which stops the wheels."""


class _Parser(argparse.ArgumentParser):
    """Says what was probably meant, and where to read on."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but the verb itself refuses an option that it does not know."""
        arguments, unknown = self.parse_known_args(args, namespace)
        if unknown:
            verb = self._verb_of(arguments)
            known = [name for action in verb._actions for name in action.option_strings]
            near = difflib.get_close_matches(unknown[0].split("=")[0], known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            words = [action for action in verb._actions if not action.option_strings]
            if unknown[0][:1] != "-" and any(action.nargs in ("*", "+") for action in words):
                # argparse takes such words in one piece: an option stood between them.
                names = " ".join(str(action.metavar or action.dest) for action in words)
                hint = f" there: options go before or after {names}, not in between"
            verb.error(f"{verb.prog} takes no {' '.join(unknown)}{hint}")
        return arguments

    def _verb_of(self, arguments: argparse.Namespace) -> argparse.ArgumentParser:
        """The parser of the verb, or of the verb's action, that was typed."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                chosen = action.choices[getattr(arguments, action.dest)]
                return chosen._verb_of(arguments)  # type: ignore[no-any-return]
        return self

    def error(self, message: str) -> NoReturn:
        found = re.match(
            r"argument (VERB|ACTION): invalid choice: '(.*?)' \(choose from (.*)\)", message
        )
        if found:
            known = re.findall(r"[\w-]+", found[3])
            near = difflib.get_close_matches(found[2], known, 1)
            hint = f"; did you mean `{self.prog} {near[0]}`?" if near else ""
            message = f"there is no {found[1].lower()} {found[2]!r}{hint}"
        self.exit(WRONG_INPUT, f"autcar: {message}; see `{self.prog} --help`\n")


_MODULES = (
    "autcar.verbs.demo",
    "capture.cli",
    "autcar.verbs.data",
    "trainer.cli",
    "edge.cli",
    "autcar.verbs.improve",
    "autcar.verbs.calibrate",
    "autcar.verbs.doctor",
    "autcar.appliance.deploy",
    "autcar.classroom.cli",
    "autcar.appliance.models",
    "autcar.appliance.update",
    "autcar.appliance.service",
    "autcar.appliance.car_side",
    "edge.bench",
    "autcar.verbs.config",
    "autcar.verbs.sim",
)
"""Where verbs are declared, in the order of ``autcar --help``."""

_AT_ONCE = {
    "drive": "edge.cli",
    "record": "capture.cli",
    "service": "autcar.appliance.service",
    "car-side": "autcar.appliance.car_side",
}
"""Verbs for which a car waits: to load their own module alone saves a third of a car's start."""


def build_parser(verb: str = "") -> argparse.ArgumentParser:
    """The parser with all verbs, or with those of one module where ``verb`` is waited for."""
    parser = _Parser(
        prog="autcar",
        description="A Raspberry Pi car that learns to drive from its driver.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"autcar {__version__}")
    parser.add_argument("--verbose", action="store_true", help="log what happens, in detail")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in [_AT_ONCE[verb]] if verb in _AT_ONCE else _MODULES:
        importlib.import_module(name).add_verbs(verbs)
    return parser


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """What was typed, or ``argv``. Ends the program on a slip, saying what was meant."""
    words = sys.argv[1:] if argv is None else argv
    verb = next((word for word in words if not word.startswith("-")), "")
    return build_parser(verb).parse_args(words)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    return run_safely(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    arguments = parse(argv)
    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
    return int(arguments.run(arguments))


def run_safely(work: Callable[[], int]) -> int:
    """Run ``work`` with signals and errors turned into exit codes and clear messages.

    SIGTERM and SIGHUP unwind it like Ctrl-C does, through every ``finally``.
    """
    signal.signal(signal.SIGTERM, _on_signal)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, _on_signal)
    for stream in (sys.stdout, sys.stderr):
        # A console of Windows, or a file there, may not know ✓: a question mark is enough.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        return work()
    except (CameraError, MotorError, ParityError, TrainingError) as error:
        print(f"autcar: {error}", file=sys.stderr)
        return FAILED
    except AutcarError as error:
        print(f"autcar: {error}", file=sys.stderr)
        return WRONG_INPUT
    except BrokenPipeError:
        # The reader of our output left, as `| head` does; nothing more can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        print(f"autcar: {error}; check the path, its owner and the room left", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("autcar: interrupted", file=sys.stderr)
        return INTERRUPTED
    except _Terminated:
        return TERMINATED
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and (package := _others(error.name)):
            print(
                f"autcar: the package {package} is not installed here; what trains and draws "
                "needs `pip install 'autcar[workstation]'`",
                file=sys.stderr,
            )
            return WRONG_INPUT
        traceback.print_exc()
        print(
            "autcar: this is a fault in autcar, not in what you typed; "
            "please report the lines above",
            file=sys.stderr,
        )
        return BUG


def _others(module: str | None) -> str:
    """The package of a module, "" for one of autcar's own."""
    package = (module or "").partition(".")[0]
    return "" if package in ("autcar", "capture", "edge", "trainer") else package


def _on_signal(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated


if __name__ == "__main__":
    sys.exit(main())
