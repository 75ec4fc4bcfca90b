"""Times of every frame of a run, in bounded memory."""

from __future__ import annotations

import math
from collections import Counter

# 200 buckets a decade: a bucket is 1.2 % wide, so a quantile is right within 0.6 %.
_PER_DECADE = 200
_LEAST = 1e-4


class Histogram:
    """Counts positive numbers in logarithmic buckets; memory does not grow with the run."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.count = 0
        self.highest = 0.0

    def add(self, value: float) -> None:
        """Count one value. What is below 0.0001 counts as that."""
        self._counts[round(math.log10(max(value, _LEAST)) * _PER_DECADE)] += 1
        self.count += 1
        self.highest = max(self.highest, value)

    def quantile(self, share: float) -> float:
        """The value that ``share`` (0…1) of all values do not exceed; NaN when there are none."""
        wanted = share * self.count
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                return float(10 ** (bucket / _PER_DECADE))
        return math.nan

    @property
    def median(self) -> float:
        """The middle value; NaN when there are none."""
        return self.quantile(0.5)

    def facts(self) -> dict[str, float]:
        """Count, median, 95th and 99.9th percentile and highest, rounded; JSON-able."""
        if not self.count:
            return {"count": 0}
        shares = {"median": 0.5, "p95": 0.95, "p999": 0.999}
        return {
            "count": self.count,
            **{name: round(self.quantile(share), 4) for name, share in shares.items()},
            "max": round(self.highest, 4),
        }
