"""What was measured, as plain data that goes through JSON, and the statistics made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np


@dataclass(slots=True)
class Series:
    """All samples of one metric of one contestant in one case.

    Parameters
    ----------
    case, metric, contestant : str
        What was measured.
    first : list of float
        One value for each fresh entry: includes compilation.
    warm : list of float
        One value for each round.
    tier : str
        Of ours: what answered in the last of the rounds, where that can be asked.
    """

    case: str
    metric: str
    contestant: str
    first: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    tier: str = ""

    def values(self, *, first_call: bool) -> list[float]:
        """The first calls' values, or the warm ones."""
        return self.first if first_call else self.warm


@dataclass(frozen=True, slots=True)
class Remark:
    """Why something was not measured, or not to the end.

    Parameters
    ----------
    case, contestant : str
        What it is about; no contestant if it is about all.
    text : str
        The reason.
    failed : bool
        Whether something is wrong, rather than unavailable here.
    """

    case: str
    contestant: str
    text: str
    failed: bool


@dataclass(slots=True)
class Measurement:
    """Everything that one workload's process measured."""

    workload: str
    seconds: float
    missing: list[str]
    versions: dict[str, str]
    series: list[Series]
    remarks: list[Remark] = field(default_factory=list)

    @property
    def failures(self) -> list[Remark]:
        """The remarks that say that something is wrong."""
        return [remark for remark in self.remarks if remark.failed]

    def find(self, case: str, metric: str, contestant: str) -> Series | None:
        """The series of that name, if it was measured."""
        names = (case, metric, contestant)
        return next((s for s in self.series if (s.case, s.metric, s.contestant) == names), None)

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Measurement:
        """Undo `to_json`."""
        series = [Series(**one) for one in data["series"]]
        remarks = [Remark(**one) for one in data["remarks"]]
        return cls(**{**data, "series": series, "remarks": remarks})


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread | None:
    """Median and quartiles, or None of nothing."""
    if not values:
        return None
    low, median, high = np.percentile(values, (25, 50, 75))
    return Spread(float(median), float(low), float(high))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread | None:
    """Spread of the ratio of two series, round by round.

    Values of the same round were measured within moments of one another, so a machine that slows
    down for a while changes both and leaves their ratio alone. Without rounds in common there is
    only the ratio of the medians.
    """
    if not ours or not theirs or 0 in theirs:
        return None
    if len(ours) == len(theirs):
        return spread([a / b for a, b in zip(ours, theirs, strict=True)])
    return spread([float(np.median(ours) / np.median(theirs))])
