"""Every function batched: ``vmap`` of it, of its derivatives, and derivatives of that are those of one element each.

A share of all rows is taken, the same ones each time; with SWEEP=all in the environment all of them are.
"""

from __future__ import annotations

import os
import warnings
import zlib
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors
from autodiff.numpy_api.answers import ANSWERS

from . import checks
from .case import Case
from .table import CASES

ALL = os.environ.get("SWEEP") == "all"


def labels(case: Case) -> set[str]:
    """The names of what a row tests."""
    return {getattr(f, "__name__", f) for f in case.covers}


def modules(case: Case) -> set[str]:
    return {str(getattr(f, "__module__", None)) for f in case.covers}


def drawn(cases: list[Case], share: int) -> list[Case]:
    return [c for c in cases if ALL or zlib.crc32(f"batch {c.name}".encode()) % share == 0]


# What asks for values, or returns no arrays.
LOOKS = {*ANSWERS, "result_type", "Tensor.__getitem__[x > 0]", "Tensor.dtype", "Tensor.item", "Tensor.tolist"}
LOOKS |= {f"Tensor.__{name}__" for name in ["bool", "float", "int", "complex", "contains", "format", "array"]}
# Which result they have is a question of values.
LOOKS |= {"piecewise", "poly", "orth", "null_space", "trim_zeros", "unique", "unique_all", "unique_counts"}
# Whether the result is complex is one, too.
LOOKS |= {"numpy.lib.scimath"}
LOOKS |= {"unique_inverse", "unique_values", "union1d", "intersect1d", "setdiff1d", "setxor1d"}

VARIABLE = [c for c in CASES if any(d.differentiable for d in c.draws)]
ARRAYS = drawn(VARIABLE, 13)
SMOOTH = drawn([c for c in VARIABLE if c.gradient != "none" and LOOKS.isdisjoint(labels(c) | modules(c))], 23)


def elements(case: Case) -> list[list[np.ndarray]]:
    """The arguments of two elements; integers and truths, which may be places, are the same in both."""
    found = []
    for which in range(2):
        rng = np.random.default_rng(zlib.crc32(f"{case.name} {which}".encode()))
        found.append([draw.sample(rng) for draw in case.draws])
    return [found[0], [b if d.differentiable else a for d, a, b in zip(case.draws, *found, strict=True)]]


def stacked(case: Case, first: list[np.ndarray], second: list[np.ndarray]) -> list[np.ndarray]:
    return [np.stack([a, b]) if d.differentiable else a for d, a, b in zip(case.draws, first, second, strict=True)]


def axes_of(case: Case) -> tuple[int | None, ...]:
    return tuple([0 if d.differentiable else None for d in case.draws])


def close(got: Any, expected: Any, what: str, factor: float = 1e4) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype), what
    eps = float(np.finfo(expected.dtype).eps) if expected.dtype.kind in "fc" else 0.0
    np.testing.assert_allclose(got, expected, rtol=factor * eps, atol=factor * eps, err_msg=what)


@pytest.mark.parametrize("case", ARRAYS, ids=lambda c: c.name)
def test_a_batch_is_the_stack_of_its_elements(case: Case) -> None:
    first, second = elements(case)
    axes, batch = axes_of(case), stacked(case, first, second)
    each = [checks.leaves(case(*[x.copy() for x in element])) for element in (first, second)]
    try:
        found = checks.leaves(ad.vmap(case, in_axes=axes)(*batch))
    except (errors.TraceError, errors.DTypeError, errors.IndexingError):
        assert LOOKS & labels(case)
        return
    for got, one, other in zip(found, *each, strict=True):
        close(got, np.stack([one, other]), "a batch of two")
    if all(isinstance(x, (np.ndarray, np.generic)) for x in each[0]):
        empty = [x[:0] if d.differentiable else x for d, x in zip(case.draws, batch, strict=True)]
        for got, one in zip(checks.leaves(ad.vmap(case, in_axes=axes)(*empty)), each[0], strict=True):
            close(got, np.zeros((0, *np.shape(one)), np.asarray(one).dtype), "a batch of none")


@pytest.mark.parametrize("case", SMOOTH, ids=lambda c: c.name)
def test_derivatives_and_batches_change_places(case: Case) -> None:
    first, second = elements(case)
    axes, batch = axes_of(case), stacked(case, first, second)
    where = tuple([i for i, d in enumerate(case.draws) if d.differentiable])
    w = checks.weights(case, first)

    def total(*arrays: Any) -> Any:
        return checks.weighted(case(*arrays), w, squared=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.IndependentWarning)
        slopes = ad.grad(total, argnums=where)
        expected = [np.stack(two) for two in zip(slopes(*first), slopes(*second), strict=True)]
        inside = ad.vmap(slopes, in_axes=axes)(*batch)
        outside = ad.grad(lambda *arrays: np.sum(ad.vmap(total, in_axes=axes)(*arrays)), argnums=where)(*batch)
    for of_batch, by_element, e in zip(outside, inside, expected, strict=True):
        close(by_element, e, "a batch of gradients", 1e8)
        close(of_batch, e, "the gradient of a batch", 1e8)
