"""What a rewriting row looks like, and the engine that applies rows while a program is built.

A row says where it holds. What a user wrote is computed as NumPy computes it, so only rows that give the same bits
apply there, signs of zeros, infinities and NaN included (``EXACT``), and those that choose the order of additions
inside one sum (``IN_SUMS``), or the multiplications of a small power (``POWERS``, within two units in the last place).
Derivatives may be rounded differently, and the signs of their zeros are nobody's; rows for them (``DERIVED``) turn
nothing finite into an infinity and nothing into zero that is none, whatever the data are. No row looks at data. A row
that only may leave the range (``WATCHED``) says by which values that is seen: its witnesses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import isfinite
from typing import Any

import numpy as np

from ... import ops
from ...core.avals import Aval, intern_aval
from ...core.primitives import Primitive, Signature
from ...core.program import NUMBER, Program
from ...importing import imported
from ...memo import Memo

# Where a row holds.
EXACT = "bit for bit"
IN_SUMS = "in the order of additions inside one sum"
POWERS = "within two units in the last place"
DERIVED = "in derivatives"
WATCHED = "in derivatives, if somebody looks whether its witnesses are finite"

# --- patterns --------------------------------------------------------------------------------------------------------


class Var:
    """Matches any value, the same one at each of its places."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name


class Number(Var):
    """Matches a number of the structure."""

    __slots__ = ()


x, y, z = Var("x"), Var("y"), Var("z")
c, d = Number("c"), Number("d")

Pattern = Any  # Var, a Python number, or (primitive, pattern, ...)
Replacement = Any  # the same, or a function of the numbers bound giving a number, or None if there is none
Bindings = dict[Var, int]
Guard = Callable[[Program, Bindings], bool]


def _match(program: Program, pattern: Pattern, number: int, bound: Bindings) -> bool:
    if isinstance(pattern, Var):
        known = bound.get(pattern)
        if known is not None:
            return known == number
        if isinstance(pattern, Number) and program.avals[number].literal is None:
            return False
        bound[pattern] = number
        return True
    if isinstance(pattern, tuple):
        if not program.is_primitive(number, pattern[0]):
            return False
        return _match_arguments(program, pattern, program.arguments[number], bound)
    return is_number(program, number, pattern)


def is_number(program: Program, value: int, wanted: Any) -> bool:
    """Whether a value is this number of the structure; zeros of both signs are told apart."""
    literal = program.avals[value].literal
    if literal is None or type(literal) is bool or program.avals[value].spec is not None or literal != wanted:
        return False
    return bool(wanted) or np.signbit(complex(literal).real) == np.signbit(complex(wanted).real)


def _match_arguments(program: Program, pattern: Pattern, arguments: tuple[int, ...], bound: Bindings) -> bool:
    parts = pattern[1:]
    if len(parts) == 2 and pattern[0].commutative:
        attempt = dict(bound)
        if _match(program, parts[0], arguments[0], attempt) and _match(program, parts[1], arguments[1], attempt):
            bound.update(attempt)
            return True
        arguments = (arguments[1], arguments[0])
    return all(_match(program, part, number, bound) for part, number in zip(parts, arguments, strict=True))


def _construct(program: Program, replacement: Replacement, bound: Bindings) -> int:
    if isinstance(replacement, Var):
        return bound[replacement]
    if isinstance(replacement, tuple):
        arguments = [_construct(program, part, bound) for part in replacement[1:]]
        return program.call(replacement[0], *arguments)
    return weak_number(program, replacement)


def weak_number(program: Program, value: Any) -> int:
    """A Python number of the structure."""
    return program.constant(intern_aval((), np.dtype(type(value)), True, value), value)


def holds(dtype: np.dtype[Any], value: Any) -> bool:
    """Whether a floating dtype has a number at full precision: neither infinite nor below the normal numbers."""
    least, greatest = _limits(dtype)
    return bool(value == 0 or least <= abs(value) <= greatest)


@lru_cache(16)
def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    """The least normal number and the greatest one, as far as they are doubles."""
    info = np.finfo(dtype)
    return float(info.smallest_normal), float(min(info.max, np.finfo(np.float64).max))


# Dtypes with more digits than Python's numbers have.
EXTENDED = {np.dtype(np.longdouble), np.dtype(np.clongdouble)} - {np.dtype(np.float64), np.dtype(np.complex128)}


def _exact(function: Callable[..., Any], numbers: list[Any], value: Any) -> bool:
    """Whether Python's number is the exact one."""
    if any(isinstance(number, complex) or not isfinite(number) for number in (*numbers, value)):
        return False
    fraction = imported("fractions").Fraction  # 3 ms, for extended precision only
    return bool(function(*map(fraction, numbers)) == fraction(value))


class Row:
    """One equation, read from left to right.

    Parameters
    ----------
    pattern, replacement : Pattern
    equation : str
        In words.
    exact : str
        The kinds of dtype (letters of ``dtype.kind``) for which it holds everywhere.
    derived : str
        Those for which it is applied in derivatives only.
    guard : callable, optional
        What else must be true of the values bound.
    scope : str, optional
        How exact it is where it holds everywhere.
    """

    __slots__ = ("derived", "equation", "exact", "guard", "pattern", "primitive", "replacement", "scope")

    def __init__(
        self,
        pattern: Pattern,
        replacement: Replacement,
        equation: str,
        exact: str = "",
        derived: str = "",
        guard: Guard | None = None,
        scope: str = EXACT,
    ):
        self.primitive: Primitive = pattern[0]
        self.pattern = pattern
        self.replacement = replacement
        self.equation = equation
        self.exact = exact
        self.derived = derived
        self.guard = guard
        self.scope = scope

    @property
    def name(self) -> str:
        """For messages: the equation."""
        return self.equation

    def scope_of(self, kinds: Iterable[str]) -> str | None:
        """Where it holds for values of these kinds of dtype; None if nowhere.

        A real number beside a complex one gets a zero part, whose sign a sum may change.
        """
        kinds = set(kinds)
        if kinds <= set(self.exact) and not kinds >= {"f", "c"}:
            return self.scope
        return DERIVED if kinds <= set(self.exact + self.derived) else None

    def __call__(self, program: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        bound: Bindings = {}
        if not _match_arguments(program, self.pattern, arguments, bound):
            return None
        avals = program.avals
        kinds = [avals[v].dtype.kind for v in bound.values() if avals[v].literal is None]
        scope = self.scope_of([signature.out.dtype.kind, *kinds])
        if scope is None or (scope is DERIVED and not program.derived):
            return None
        if self.guard is not None and not self.guard(program, bound):
            return None
        replacement = self._numbers(program, bound, signature.out)
        return None if replacement is None else _construct(program, replacement, bound)

    def _numbers(self, program: Program, bound: Bindings, out: Aval) -> Replacement:
        """The replacement with its numbers worked out; None if the dtype does not hold one of them."""
        replacement = self.replacement
        if not isinstance(replacement, tuple) or not callable(replacement[1]) or isinstance(replacement[1], Primitive):
            return replacement
        numbers = [program.avals[bound[v]].literal for v in (c, d) if v in bound]
        value = replacement[1](*numbers)
        if value is None or (out.dtype.kind in "fc" and not holds(out.dtype, value)):
            return None
        if out.dtype in EXTENDED and not _exact(replacement[1], numbers, value):
            return None
        return (replacement[0], value, *replacement[2:])


class Special:
    """A row that looks at parameters or shapes: a function, its first line being the equation.

    Parameters
    ----------
    primitive : Primitive
        What it applies to.
    function : callable
        Of the program, a signature and its arguments: the number of the simpler value, or None.
    scope : str
        Where it holds.
    numbers : str, optional
        Which numbers of the structure it looks at.
    """

    __slots__ = ("function", "numbers", "primitive", "scope")

    def __init__(self, primitive: Primitive, function: Function, scope: str, numbers: str = "none"):
        self.primitive = primitive
        self.function = function
        self.scope = scope
        self.numbers = numbers

    @property
    def name(self) -> str:
        """For messages: the function's, and the primitive's."""
        return f"{self.function.__name__} of {self.primitive.name}"

    @property
    def equation(self) -> str:
        """In words."""
        return (self.function.__doc__ or "").partition("\n")[0]

    def __call__(self, program: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        if self.scope in (DERIVED, WATCHED) and not program.derived:
            return None
        if self.scope is WATCHED and program.witnesses is None:
            return None
        return self.function(program, signature, arguments)


Function = Callable[[Program, Signature, "tuple[int, ...]"], "int | None"]
AnyRow = Row | Special


def _head(pattern: Pattern) -> Any:
    """What the head of a value must be for a pattern to match; None for anything."""
    if isinstance(pattern, Number) or not isinstance(pattern, (Var, tuple)):
        return NUMBER
    return pattern[0] if isinstance(pattern, tuple) else None


def _possible(row: AnyRow, heads: tuple[Any, ...], same: bool, derived: bool) -> bool:
    """Whether a row can match arguments with these heads, equal to each other or not."""
    if not isinstance(row, Row):
        return derived or row.scope not in (DERIVED, WATCHED)
    if not derived and not row.exact:
        return False
    parts = row.pattern[1:]
    if len(parts) == 2 and parts[0] is parts[1] and not same:
        return False
    wanted = tuple([_head(part) for part in parts])
    orders = (wanted, wanted[::-1]) if row.primitive.commutative else (wanted,)
    return any(all(w is None or w is h for w, h in zip(order, heads, strict=True)) for order in orders)


# Kinds of applications for which the rows worth trying are remembered.
CANDIDATES_KEPT = 1 << 12


class Rewriter:
    """The simpler value that equals an application, or None if no row applies.

    Parameters
    ----------
    rows : iterable of Row or Special
    always : mapping of str to callable
        What is tried first on elementwise primitives: by ``"broadcast"``, ``"numbers"`` or ``"number"`` among heads.
    """

    __slots__ = ("_always", "_candidates", "_rows")

    def __init__(self, rows: Iterable[AnyRow], always: Mapping[str, Function] | None = None):
        self._rows: dict[Primitive, list[AnyRow]] = {}
        for row in rows:
            self._rows.setdefault(row.primitive, []).append(row)
        self._always = dict(always or {})
        # The rows worth trying, by the heads of the arguments: trying all of them was 80% of compile time.
        self._candidates: Memo[Any, tuple[AnyRow, ...]] = Memo(CANDIDATES_KEPT)

    def __call__(self, program: Program, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        heads = program.heads
        primitive = signature.primitive
        found = tuple([heads[a] for a in arguments])
        if primitive.kind == "elementwise" and self._always:
            value = self._first(program, signature, arguments, found)
            if value is not None:
                return value
        same = len(arguments) == 2 and arguments[0] == arguments[1]
        key = (primitive, found, same, program.derived)
        candidates = self._candidates.get(key)
        if candidates is None:
            rows = self._rows.get(primitive, ())
            candidates = self._candidates.put(
                key, tuple([row for row in rows if _possible(row, found, same, program.derived)])
            )
        out = signature.out
        for row in candidates:
            value = row(program, signature, arguments)
            if value is not None:
                aval = program.avals[value]
                if aval.dtype == out.dtype and aval.weak == out.weak:
                    if aval.shape == out.shape:
                        return value
                    return program.call(ops.broadcast_to_p, value, params=(out.shape,))
        return None

    def _first(
        self, program: Program, signature: Signature, arguments: tuple[int, ...], found: tuple[Any, ...]
    ) -> int | None:
        """Moving broadcasts outward, folding numbers, one kind of number."""
        if ops.broadcast_to_p in found:
            return self._always["broadcast"](program, signature, arguments)
        if found.count(NUMBER) == len(found):
            return self._always["numbers"](program, signature, arguments)
        if NUMBER in found:
            return self._always["number"](program, signature, arguments)
        return None
