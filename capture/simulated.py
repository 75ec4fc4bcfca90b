"""Record the simulated car while its expert drives it, faster than real time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from autcar.config import Config
from autcar.progress import Progress
from autcar.recording.session import SessionWriter
from autcar.simulator.mount import CameraMount
from autcar.simulator.scenarios import record_plan

# Simulated recordings carry simulated times, so that the same seed writes the same bytes.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def record_expert(
    config: Config, folder: str | Path, seed: int, frames: int, progress: Progress
) -> SessionWriter:
    """Write one session of ``frames`` frames below ``folder`` and return its closed writer.

    The expert drives the track of ``seed`` both ways round, is pushed about and placed
    badly so that recoveries are recorded, and parks, so that all 12 commands occur. The
    same seed writes the same bytes.
    """
    now = _EPOCH
    camera = config.camera
    with SessionWriter(
        folder,
        width=camera.width,
        height=camera.height,
        fps=camera.fps,
        car=f"{config.car.name} (simulated)",
        name=f"simulated_{seed:04d}",
        quality=config.record.quality,
        clock=lambda: now,
    ) as writer:
        plan = record_plan(
            seed,
            frames,
            difficulty=config.simulator.difficulty,
            mount=CameraMount(width=camera.width, height=camera.height),
            fps=camera.fps,
        )
        for frame, command in plan:
            now = _EPOCH + timedelta(microseconds=frame.time_ns // 1000)
            writer.write(frame, command, "expert")
            progress.step("recording", writer.frames, frames)
    return writer
