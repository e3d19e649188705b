"""A program while it grows: the values of its names so far, and draws of operands from them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from . import data
from .program import EXACT, Slack, Step, literal

NAME = re.compile(r"\b[xvk]\d+\b")
# A rounding or two of complex numbers, whose parts NumPy's own loops round differently for different strides.
COMPLEX_PRODUCT, COMPLEX_QUOTIENT, COMPLEX_FUNCTION = Slack(2, 1), Slack(4, 2), Slack(8, 4)


class Growing:
    """Values by name, and which of them are exact: the same bits whoever computes them."""

    def __init__(self, rng: random.Random, tame: bool, arguments: bool = False):
        self.arguments = arguments
        self.rng = rng
        self.tame = tame
        self.values: dict[str, np.ndarray] = {}
        self.exact: dict[str, bool] = {}
        self.numbers: dict[str, tuple[Any, Any]] = {}
        self.count = 0

    # --- names ---

    def fresh(self) -> str:
        return f"v{self.count}"

    def pick(self, fits: Callable[[np.ndarray], bool] = lambda a: True, written: bool = False) -> str:
        """A name whose value fits, the newer the likelier; raises LookupError if there is none."""
        names = [
            name
            for name, value in self.values.items()
            if fits(value) and not (written and not self.arguments and name[0] == "x")
        ]
        if not names:
            raise LookupError
        if self.rng.random() < 0.6:
            names = names[-4:]
        return self.rng.choice(names)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[name]

    # --- numbers ---

    def number(self, changing: float = 0.2) -> str:
        """A number as it stands in the source, or the name of one that changes from call to call."""
        value = data.number(self.rng, self.tame)
        if type(value) in (int, float, complex, bool) and self.rng.random() < changing:
            return self.argument(value)
        return literal(value)

    def argument(self, value: Any, other: Any = None) -> str:
        """A name for a Python number that is an argument: at the second call it is another one of its type."""
        if other is None:
            other = value
            for _ in range(20):
                drawn = data.number(self.rng, self.tame)
                if type(drawn) is type(value):
                    other = drawn
                    break
            if type(value) is complex:
                other = complex(value.real, -value.imag)
            if type(value) is int and self.rng.random() < 0.2:
                other = float(value)
        name = f"k{len(self.numbers)}"
        self.numbers[name] = (value, other)
        return name

    def integer(self, low: int, high: int, changing: float = 0.15) -> str:
        """An integer that is a static argument: an axis, a bound, a count."""
        value = self.rng.randint(low, high)
        return self.argument(value, self.rng.randint(low, high)) if self.rng.random() < changing else str(value)

    # --- parameters ---

    def axis(self, a: np.ndarray, several: bool = True, none: bool = True) -> str:
        choice = self.rng.random()
        if none and (choice < 0.25 or not a.ndim):
            return "None"
        if not a.ndim:
            return "0"
        if several and choice < 0.45:
            axes = self.rng.sample(range(a.ndim), self.rng.randint(0 if choice < 0.3 else 1, a.ndim))
            return repr(tuple(i - a.ndim if self.rng.random() < 0.3 else i for i in axes))
        return self.integer(-a.ndim, a.ndim - 1)

    def mask(self, shape: tuple[int, ...]) -> str:
        """A boolean array that broadcasts to a shape: written out, or a value."""
        fitting = [n for n, v in self.values.items() if v.dtype == bool and v.shape == shape and self.exact[n]]
        if fitting and self.rng.random() < 0.5:
            return self.rng.choice(fitting)
        cut = shape[self.rng.randint(0, len(shape)) :] if self.rng.random() < 0.2 else shape
        return literal(data.array(self.rng, cut, np.dtype(bool), False))

    def partner(self, a: np.ndarray) -> str:
        """Something that broadcasts with ``a``: a value, or a number."""
        if self.rng.random() < 0.3:
            return self.number()

        def fits(b: np.ndarray) -> bool:
            return all(m == n or m == 1 or n == 1 for m, n in zip(a.shape[::-1], b.shape[::-1]))

        return self.pick(fits)

    # --- steps ---

    def step(self, expression: str, slack: Slack = EXACT, jumps: bool = False, bounded: str = "") -> Step:
        reads = tuple(dict.fromkeys(NAME.findall(expression)))
        name = self.fresh()
        return Step(f"{name} = {expression}", reads, name, slack, jumps, (bounded,) if bounded else ())

    def statement(self, text: str, target: str, slack: Slack = EXACT, jumps: bool = False) -> Step:
        reads = tuple(dict.fromkeys([target, *NAME.findall(text)]))
        return Step(text, reads, target, slack, jumps)

    def is_complex(self, *texts: str) -> bool:
        """Whether any operand is complex, so that rounding is of the number, not of its parts."""
        for text in texts:
            if text in self.values:
                found = self.values[text].dtype.kind == "c"
            elif text in self.numbers:
                found = isinstance(self.numbers[text][0], complex)
            else:
                found = "complex" in text
            if found:
                return True
        return False


Maker = Callable[[Growing], Step | None]
