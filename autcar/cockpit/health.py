"""What the computer tells of itself: temperature, under-voltage and battery, where it does."""

from __future__ import annotations

from pathlib import Path

_SYS = Path("/sys")
_UNDER_VOLTAGE_NOW, _UNDER_VOLTAGE_BEFORE = 1 << 0, 1 << 16


def health(root: Path = _SYS) -> dict[str, float | bool]:
    """``temperature_c``, ``under_voltage`` (now), ``was_under_voltage``, ``battery_percent``.

    Each only where the computer has it; reads a few small files of the kernel's.
    """
    found: dict[str, float | bool] = {}
    if (millidegrees := _number(root / "class/thermal/thermal_zone0/temp")) is not None:
        found["temperature_c"] = round(millidegrees / 1000, 1)
    throttled = _number(root / "devices/platform/soc/soc:firmware/get_throttled", 16)
    if throttled is not None:
        found["under_voltage"] = bool(throttled & _UNDER_VOLTAGE_NOW)
        found["was_under_voltage"] = bool(throttled & _UNDER_VOLTAGE_BEFORE)
    for battery in sorted(root.glob("class/power_supply/*/capacity")):
        if (percent := _number(battery)) is not None:
            found["battery_percent"] = percent
            break
    return found


def _number(path: Path, base: int = 10) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8").strip(), base)
    except (OSError, ValueError):
        return None
