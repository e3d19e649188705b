"""Random expressions as data: steps of which each gives NumPy's bits, over numbers of all magnitudes."""

from typing import Any, NamedTuple

import numpy as np

import autodiff as ad

from .numbers import wild

SHAPES = [(3,), (1,), (), (2, 3), (1, 3), (2, 1)]

# Numbers of the source: some are part of the structure and some are data, of all magnitudes, Python's integers too.
NUMBERS = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.7, -1e-3, 300.0, 1e25, 1e-25, 1e200, -1e200, 1e-200, 1e308, 5e-324,
           0, 1, -1, 2, 7, -64, 1000, 10**9, 10**10, 2**32, -(2**53) - 1, 2**62, 10**18]  # fmt: skip


class Step(NamedTuple):
    """One instruction: a name, the places of two operands, and a number."""

    name: str
    first: int
    second: int
    number: Any


# Each gives NumPy's bits, however it is computed.
EXACT = {
    "negative": lambda x, y, n: -x,
    "square": lambda x, y, n: x**2,
    "inverse": lambda x, y, n: x**-1,
    "same": lambda x, y, n: x**1,
    "modulus": lambda x, y, n: abs(x),
    "add": lambda x, y, n: x + y,
    "subtract": lambda x, y, n: x - y,
    "multiply": lambda x, y, n: x * y,
    "divide": lambda x, y, n: x / y,
    "again": lambda x, y, n: (x + y) + x,
    "number added": lambda x, y, n: x + n,
    "number before": lambda x, y, n: n + x,
    "number subtracted": lambda x, y, n: x - n,
    "subtracted from number": lambda x, y, n: n - x,
    "scaled": lambda x, y, n: x * n,
    "scaled before": lambda x, y, n: n * x,
    "divided": lambda x, y, n: x / n,
    "number divided": lambda x, y, n: n / x,
    "opposite": lambda x, y, n: x * -1,
    "chosen": lambda x, y, n: np.where(x == y, x, y * n),
    "turned": lambda x, y, n: np.reshape(x, np.shape(x)[::-1]) if np.ndim(x) == 2 else x * 1,
    "transposed": lambda x, y, n: np.transpose(np.transpose(x)) * n,
}
# NumPy's own complex products differ with the memory that they are in: a fused product here, none there.
ROUNDED_COMPLEX = {"square", "inverse", "multiply", "divide", "number divided", "scaled", "scaled before", "divided",
                   "opposite", "chosen", "turned", "transposed"}  # fmt: skip
ROOTS = {"root": lambda x, y, n: np.sqrt(abs(x)), "power": lambda x, y, n: abs(x) ** 0.5}


def exact_for(dtype, names=None):
    """The steps that give NumPy's bits in a dtype; sums stand for those that do not."""
    names = EXACT if names is None else names
    if np.dtype(dtype).kind != "c":
        return names
    return {name: names["add"] if name in ROUNDED_COMPLEX else step for name, step in names.items()}


class Program(NamedTuple):
    """Steps and the seed and shapes of the data."""

    steps: list[Step]
    dtype: str
    shapes: list[tuple[int, ...]]
    seed: int


def random_program(seed, dtypes=("float32", "float64"), most=8):
    """A program of its seed."""
    rng = np.random.default_rng(seed)
    names = sorted(EXACT)
    steps = [
        Step(names[rng.integers(len(names))], *map(int, rng.integers(30, size=2)), NUMBERS[rng.integers(len(NUMBERS))])
        for _ in range(rng.integers(1, most + 1))
    ]
    shapes = [SHAPES[i] for i in rng.integers(len(SHAPES), size=2)]
    return Program(steps, dtypes[rng.integers(len(dtypes))], shapes, seed)


def data(program, shapes=None):
    rng = np.random.default_rng(program.seed)
    return [wild(rng, shape, program.dtype) for shape in shapes or program.shapes]


def run(program, names, arrays):
    """The last value; what does not fit each other, or a number that does not fit a dtype, is left out."""
    values = list(arrays)
    for step in program.steps:
        x, y = values[step.first % len(values)], values[step.second % len(values)]
        try:
            np.broadcast_shapes(np.shape(x), np.shape(y))
        except ValueError:
            y = x
        value = names[step.name](x, y, step.number)
        # A result without axes is a scalar in NumPy, whose arithmetic is another one.
        values.append(value if isinstance(value, ad.Tensor) else np.asarray(value))
    return values[-1]
