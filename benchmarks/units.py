"""Figures as text: three digits, with the prefix that suits the size."""

from __future__ import annotations

from benchmarks.results import Spread

_PREFIXES: dict[str, list[tuple[float, str]]] = {
    "s": [(1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")],
    "B": [(2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")],
    "flop": [(1e12, "Tflop"), (1e9, "Gflop"), (1e6, "Mflop"), (1.0, "flop")],
    "": [(1.0, "")],
}


def format_value(value: float, unit: str) -> str:
    """Format a value of unit ``s``, ``B`` or ``flop``, alone or with a suffix as in ``s/op``, or a plain number."""
    scale, name = _scale(value, unit)
    return f"{_digits(value / scale)} {name}".rstrip()


def format_spread(spread: Spread, unit: str) -> str:
    """Format ``median [low-high] unit``, all scaled by the median's prefix."""
    scale, name = _scale(spread.median, unit)
    median, low, high = (_digits(value / scale) for value in (spread.median, spread.low, spread.high))
    quartiles = "" if low == high else f" [{low} to {high}]"
    return f"{median}{quartiles} {name}".rstrip()


def _scale(value: float, unit: str) -> tuple[float, str]:
    """The factor of the largest prefix that leaves at least one, and the unit's name with it."""
    base, slash, per = unit.partition("/")
    prefixes = _PREFIXES[base]
    scale, name = next(((scale, name) for scale, name in prefixes if abs(value) >= scale), prefixes[-1])
    return scale, f"{name}{slash}{per}"


def _digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
