"""Mutation test of what guards wheels, recordings and bundles: would its tests notice?

    python -m tests.system.mutants [autcar.safety …] [--only 17] [--jobs 2]

Changes ``autcar/safety.py``, ``guardian.Watch``, what writes and reads sessions, and
``autcar/bundle.py`` in one place at a time (a comparison, a sign, a constant, a condition,
a statement left out), runs their tests on each mutant, and lists those that no test
notices. Each mutant runs in a fork, nothing on disk is changed.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import os
import resource
import signal
import sys
import time
import types
from collections.abc import Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import Phase, settings

REPOSITORY = Path(__file__).resolve().parents[2]
TIMEOUT_S, CPU_S, BYTES = 600, 30, 4 << 30
"""When a mutant counts as never ending: a busy machine must not make it so."""

TARGETS = (
    ("autcar.safety", None, "tests/autcar/test_safety.py"),
    ("autcar.guardian", "Watch", "tests/autcar/test_guardian.py"),
    ("autcar.files", None, "tests/autcar/recording/test_session.py"),
    ("autcar.recording.deletion", None, "tests/autcar/recording/test_session.py"),
    ("autcar.recording.session", None, "tests/autcar/recording/test_session.py"),
    ("autcar.bundle", None, "tests/autcar/test_bundle.py"),
)
"""Module, the class in it or None for all, and the tests that must notice."""

IN_ANOTHER_PROCESS = "kill_9"
"""Tests that start a program of their own, which is never the mutant."""

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
}

# Mutants that do what the original does: nobody could notice.
_NEVER_READ = "nothing reads it before the first arming sets it"
_ARMED_NEXT = "arming says that it is armed on the next line"
_ONCE_A_FOLDER = "a folder is listed more often, to the same end"
_LINUX = "Linux has it"
_MEAN_OF_ONE = "the mean of one is itself"
EQUIVALENT = {
    "autcar.recording.session: if hasattr(os, 'sync'):\n    os.sync() → if True": _LINUX,
    "autcar.recording.session: if names is None:\n    names = self._names[folder] = "
    "_names_in(self._root / folder) → if True": _ONCE_A_FOLDER,
    "autcar.safety: self._reset() → pass": _NEVER_READ,
    "autcar.safety: if count > 1:\n    mean = [sum(column) / count for column in "
    "zip(*self._scores, strict=True)] → if True": _MEAN_OF_ONE,
    "autcar.safety: count > 1 → count >= 1": _MEAN_OF_ONE,
    "autcar.guardian: self._sequence = -1 → pass": _NEVER_READ,
    "autcar.guardian: -1 → 1": _NEVER_READ,
    "autcar.guardian: 1 → 2": _NEVER_READ,
    "autcar.guardian: if latch:\n    self.armed = False → if True": _ARMED_NEXT,
    "autcar.guardian: False → True": _ARMED_NEXT,
}


@dataclass(frozen=True)
class Mutant:
    """One changed place: ``tree`` is the whole module with it."""

    number: int
    module: str
    tests: str
    line: int
    what: str
    tree: ast.Module


def mutants(modules: Container[str]) -> Iterator[Mutant]:
    """All of them in these modules, in the order of the source."""
    number = 0
    for module, inside, tests in TARGETS:
        if module not in modules:
            continue
        source = Path(*module.split(".")).with_suffix(".py")
        text = (REPOSITORY / source).read_text(encoding="utf-8")
        tree = ast.parse(text)
        nodes = list(ast.walk(_part(tree, inside)))
        idle = _idle(tree)
        for index, node in enumerate(nodes):
            if node in idle:
                continue
            for change in range(_changes(node)):
                changed = ast.parse(text)
                place = list(ast.walk(_part(changed, inside)))[index]
                before = ast.unparse(place)
                what = _mutate(changed, place, change)
                if what is None:
                    continue
                ast.fix_missing_locations(changed)
                yield Mutant(number, module, tests, place.lineno, f"{before} → {what}", changed)
                number += 1


def _idle(tree: ast.Module) -> set[ast.AST]:
    """What is no logic: decorators, the reasons' texts, ``strict=True``."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case (
                ast.ClassDef(decorator_list=decorators)
                | ast.FunctionDef(decorator_list=decorators)
            ):
                for decorator in decorators:
                    found |= set(ast.walk(decorator))
            case ast.Assign(value=ast.Constant(value=str())):
                found.add(node)
            case ast.keyword(arg="strict", value=value):
                found.add(value)
    return found


def _part(tree: ast.Module, name: str | None) -> ast.AST:
    if name is None:
        return tree
    return next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)


def _changes(node: ast.AST) -> int:
    if isinstance(node, ast.Compare):
        return sum(len(COMPARISONS.get(type(op), ())) for op in node.ops)
    if isinstance(node, ast.If | ast.IfExp):
        return 2
    if isinstance(node, ast.Constant):
        return 1 if isinstance(node.value, int | float) else 0
    known = ast.BinOp | ast.BoolOp | ast.UnaryOp | ast.Assign | ast.AugAssign | ast.Expr | ast.Call
    return 1 if isinstance(node, known) else 0


def _mutate(tree: ast.Module, node: ast.AST, change: int) -> str | None:
    """Change ``node`` of ``tree`` in place; returns what stands there now, None for no mutant."""
    match node:
        case ast.Compare():
            swaps = [
                (at, swap)
                for at, op in enumerate(node.ops)
                for swap in COMPARISONS.get(type(op), ())
            ]
            at, swap = swaps[change]
            node.ops[at] = swap()
        case ast.BinOp() if type(node.op) in OPERATORS:
            node.op = OPERATORS[type(node.op)]()
        case ast.BoolOp():
            node.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        case ast.UnaryOp(op=ast.Not()):
            node.op = ast.UAdd()
            return _replace(tree, node, node.operand)
        case ast.UnaryOp(op=ast.USub()):
            return _replace(tree, node, node.operand)
        case ast.If() | ast.IfExp():
            node.test = ast.Constant(bool(change))
            return f"if {bool(change)}"
        case ast.Constant(value=bool()):
            node.value = not node.value
        case ast.Constant():
            node.value = node.value + 1
        case ast.Call(func=ast.Name(id="min" | "max" as name)):
            node.func = ast.Name("max" if name == "min" else "min", ast.Load())
        case ast.Assign() | ast.AugAssign():
            return _replace(tree, node, ast.Pass())
        case ast.Expr() if not isinstance(node.value, ast.Constant):
            return _replace(tree, node, ast.Pass())
        case _:
            return None
    return ast.unparse(node)


def _replace(tree: ast.Module, old: ast.AST, new: ast.AST) -> str:
    class Replacer(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return ast.copy_location(new, old) if node is old else self.generic_visit(node)

    Replacer().visit(tree)
    return ast.unparse(new)


def notice(mutant: Mutant) -> bool:
    """Run the tests on a mutant in a fork; whether any of them failed, or never ended."""
    child = os.fork()
    if child == 0:
        _run(mutant)
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
                raise SystemExit(f"{mutant.tests} cannot be run")
            return code != 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _run(mutant: Mutant) -> None:
    """Put the mutant in the module's place and run its tests. Does not return."""
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    os.sync = lambda: None  # waits for the whole machine's disk, hundreds of times
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        # Whatever was loaded to warm up knows the original.
        for name in [name for name in sys.modules if name.split(".")[0] == "autcar"]:
            del sys.modules[name]
        original = importlib.import_module(mutant.module)
        module = types.ModuleType(mutant.module)
        module.__file__ = original.__file__
        sys.modules[mutant.module] = module
        package, _, name = mutant.module.rpartition(".")
        setattr(sys.modules[package], name, module)
        exec(compile(mutant.tree, original.__file__ or "mutant", "exec"), module.__dict__)
        settings.register_profile(
            "mutants", phases=[Phase.explicit, Phase.generate], database=None, deadline=None
        )
        settings.load_profile("mutants")
        options = [
            "-x",
            "-q",
            "-k",
            f"not {IN_ANOTHER_PROCESS}",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:timeout",
            "-o",
            "addopts=",
        ]
        code = pytest.main([*options, "--import-mode=importlib", str(REPOSITORY / mutant.tests)])
    except BaseException:
        code = 1
    os._exit(int(code))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    every = [module for module, _, _ in TARGETS]
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"{', '.join(every)} (all)")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of mutants")
    parser.add_argument("--jobs", type=int, default=2, help="at the same time (2)")
    arguments = parser.parse_args()
    os.chdir(REPOSITORY)
    modules = arguments.modules or every
    if odd := set(modules) - set(every):
        parser.error(f"{', '.join(odd)}: no such target; there are {', '.join(every)}")
    only = arguments.only
    chosen = [m for m in mutants(modules) if only is None or m.number in only]
    for module in modules:
        importlib.import_module(module)  # with NumPy and OpenCV, once for all forks
    gc.freeze()  # or each fork's collector would copy all these trees
    dead = same = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        outcomes = zip(chosen, pool.map(notice, chosen), strict=True)
        for done, (mutant, noticed) in enumerate(outcomes, 1):
            dead += noticed
            if not noticed:
                why = EQUIVALENT.get(f"{mutant.module}: {mutant.what}", "SURVIVED")
                same += why != "SURVIVED"
                print(f"{mutant.number:>4} {mutant.module}:{mutant.line}: {mutant.what}   {why}")
            if done % 25 == 0:
                print(f"… {done} of {len(chosen)}", flush=True)
    real = len(chosen) - same
    print(f"{dead} of {real} mutants noticed ({dead / max(real, 1):.1%}), {same} equivalent")
    return 0 if dead == real else 1


if __name__ == "__main__":
    sys.exit(main())
