"""Drivers by name: autcar's own, and those that other packages bring by entry point."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
from collections.abc import Mapping
from typing import Any

from autcar.errors import ConfigError


class Drivers:
    """The camera or the motor drivers.

    ``section`` is their section of ``car.toml`` and ``group`` the entry point group in
    which another package names its own. ``ours`` maps names to ``module:class``; a
    driver's module is imported when it is asked for, and entry points are looked up
    only for names that are not ours.
    """

    def __init__(self, section: str, group: str, ours: Mapping[str, str]) -> None:
        self._section = section
        self._group = group
        self._ours = ours

    def names(self) -> list[str]:
        """Every driver that could be opened, ours first."""
        return [*self._ours, *(name for name in self._others() if name not in self._ours)]

    def find(self, name: str) -> Any:
        """The driver's class. Raises :class:`ConfigError` for a name that is not known."""
        if name in self._ours:
            module, _, attribute = self._ours[name].partition(":")
            return getattr(importlib.import_module(module), attribute)
        others = self._others()
        if name not in others:
            known = [*self._ours, *others]
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ConfigError(f"[{self._section}] driver {name!r} is not known; {hint}")
        try:
            return others[name].load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"[{self._section}] driver {name!r} of {others[name].value} cannot be loaded: "
                f"{error}; reinstall its package"
            ) from error

    def settings(self, name: str) -> dict[str, dataclasses.Field[Any]]:
        """The driver's own keys in its section: the fields of its ``Settings``, if it has any."""
        kind = self.settings_type(name)
        return {} if kind is None else {field.name: field for field in dataclasses.fields(kind)}

    def settings_type(self, name: str) -> Any:
        """The dataclass of the driver's own settings, or None."""
        return getattr(self.find(name), "Settings", None)

    def _others(self) -> dict[str, Any]:
        from importlib.metadata import entry_points

        return {point.name: point for point in entry_points(group=self._group)}


def setting(default: Any, text: str, low: float | None = None, high: float | None = None) -> Any:
    """A field of a driver's ``Settings``: its default, its line in ``car.toml``, its range."""
    return dataclasses.field(default=default, metadata={"help": text, "low": low, "high": high})
