"""Two pilots on the same frames: where they disagree, and what each would have done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from autcar.commands import CLASSES, LABELS
from edge.pilots import Scores

_SHOWN = 6
_APART_S = 0.25
"""Two disagreements that are nearer than this are one episode."""


@dataclass(slots=True)
class Episode:
    """Disagreement without a longer pause: seconds of the run, frames, and who said what most."""

    start_s: float
    end_s: float
    said: Counter[tuple[int, int]]

    @property
    def frames(self) -> int:
        """On how many frames the two disagreed."""
        return self.said.total()


class Comparison:
    """Adds up how the pilot ``one`` and the pilot ``other`` (their names) differ."""

    def __init__(self, one: str, other: str) -> None:
        self.one, self.other = one, other
        self.frames = 0
        self.pairs: Counter[tuple[int, int]] = Counter()
        self.episodes: list[Episode] = []
        self._steering = 0.0
        self._distance = 0.0

    def add(self, seconds: float, one: Scores, other: Scores) -> None:
        """Compare 12 scores each for one frame, ``seconds`` into the run."""
        first, second = _likeliest(one), _likeliest(other)
        self.frames += 1
        self.pairs[first, second] += 1
        self._steering += abs(_steering(first) - _steering(second))
        self._distance += sum(abs(a - b) for a, b in zip(one, other, strict=True)) / 2
        if first == second:
            return
        if not self.episodes or seconds - self.episodes[-1].end_s > _APART_S:
            self.episodes.append(Episode(seconds, seconds, Counter()))
        self.episodes[-1].end_s = seconds
        self.episodes[-1].said[first, second] += 1

    @property
    def agreement(self) -> float:
        """On which share of the frames both chose the same command; NaN without frames."""
        same = sum(count for (one, other), count in self.pairs.items() if one == other)
        return same / self.frames if self.frames else float("nan")

    def facts(self) -> dict[str, Any]:
        """Everything, JSON-able. ``steering`` is the mean difference of right − left wheel."""
        frames = max(self.frames, 1)
        return {
            "frames": self.frames,
            "agreement": round(self.agreement, 4) if self.frames else None,
            "steering": round(self._steering / frames, 4),
            "score_distance": round(self._distance / frames, 4),
            "disagreements": [
                {"one": LABELS[one], "other": LABELS[other], "frames": count}
                for (one, other), count in self._disagreements()
            ],
            "episodes": len(self.episodes),
        }

    def report(self) -> str:
        """What a person wants to know, in some lines."""
        if not self.frames:
            return f"{self.other} was never asked"
        lines = [
            f"{self.other} agrees with {self.one} on {self.agreement:.1%} of {self.frames:,} "
            f"frames; steering differs by {self._steering / self.frames:.2f} on average "
            f"(0.35 is straight against light)"
        ]
        for (one, other), count in self._disagreements()[:_SHOWN]:
            lines.append(f"{count:>7,} frames: {LABELS[one]}, the other {LABELS[other]}")
        longest = sorted(self.episodes, key=lambda episode: -episode.frames)[:_SHOWN]
        for episode in sorted(longest, key=lambda episode: episode.start_s):
            (one, other), _ = episode.said.most_common(1)[0]
            lines.append(
                f"  {episode.start_s:7.2f}…{episode.end_s:.2f} s, {episode.frames} frames, "
                f"mostly {LABELS[one]}, the other {LABELS[other]}"
            )
        return "\n".join(lines)

    def _disagreements(self) -> list[tuple[tuple[int, int], int]]:
        return [(pair, count) for pair, count in self.pairs.most_common() if pair[0] != pair[1]]


def _likeliest(scores: Scores) -> int:
    return max(range(len(scores)), key=scores.__getitem__)


def _steering(index: int) -> float:
    left, right = CLASSES[index].wheels
    return right - left
