"""What the networks that tell each pixel's class have in common."""

from __future__ import annotations

from autcar.errors import ConfigError


def check_size(network: str, height: int, width: int, multiple: int) -> None:
    """Raise :class:`ConfigError` unless both sizes can be halved and doubled again."""
    if height % multiple or width % multiple:
        near = [max(multiple, round(size / multiple) * multiple) for size in (width, height)]
        raise ConfigError(
            f"network {network} takes images whose sides are multiples of {multiple}, not "
            f"{width}×{height}; say --size {near[0]}x{near[1]}"
        )
