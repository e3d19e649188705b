"""Values and gradients beside JAX's, of every row of the conformance table whose function JAX has by the same name.

``nox -s oracle`` runs it: it asks for JAX, and takes minutes. Where the two differ is a row of ``DIFFERENT``.
"""

from __future__ import annotations

import importlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from scipy import linalg, special

import autodiff as ad

from .conformance.case import Case
from .conformance.checks import floating, independent_allowed, leaves, weighted, weights
from .conformance.table import CASES

if not os.environ.get("ORACLE"):
    pytest.skip("nox -s oracle runs it", allow_module_level=True)

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
jnp = jax.numpy

# Where names are the same.
MODULES: list[tuple[Any, Any]] = [
    (np, jnp),
    (np.linalg, jnp.linalg),
    (np.fft, jnp.fft),
    (special, importlib.import_module("jax.scipy.special")),
    (linalg, importlib.import_module("jax.scipy.linalg")),
]

# What JAX does not take: such a row is not compared.
REFUSED = (TypeError, NotImplementedError, ValueError, AttributeError, IndexError, jax.errors.JAXTypeError)

# Rows where the two differ, and why. Ours is held to finite differences by the sweep; a row that agrees fails here.
TRIANGLES = "JAX takes the mean of the two triangles; NumPy and SciPy look at one"
DIFFERENT: dict[str, str] = {
    **dict.fromkeys((f"cholesky(i[{shape}], upper=False)" for shape in ("3,3", "2,3,3", "2,1,2,2")), TRIANGLES),
    **dict.fromkeys((f"eigvalsh({draw}, 'L')" for draw in ("i[3,3]", "i[2,2,2]", "c[3,3]")), TRIANGLES),
    **dict.fromkeys(
        ("cholesky(i[3,3], lower=False)", "cholesky(c[3,3], lower=False)", "cholesky(i[2,2,2])"), TRIANGLES
    ),
    "spence(u[3])": "JAX has NaN for the derivative beyond 1.5",
    "comb(u[3], u[3], repetition=True)": "JAX has 0 where n + k - 1 < k; SciPy goes on",
    "sign(c[])": "JAX has 0 for the derivative of z / |z|",
    "nanstd(s[])": "JAX has NaN for the derivative of a spread of 0, which is 0 here",
    "polydiv(c[3], c[2])": "JAX keeps leading zeros of the remainder, unless asked",
}


def peers() -> Iterator[tuple[Any, Callable[..., Any]]]:
    for ours, theirs in MODULES:
        for name in dir(ours):
            if not name.startswith("_") and hasattr(theirs, name) and callable(getattr(ours, name)):
                yield getattr(ours, name), getattr(theirs, name)


PEERS: list[tuple[Any, Callable[..., Any]]] = list(peers())


def peer(function: Any) -> Callable[..., Any] | None:
    return next((theirs for ours, theirs in PEERS if ours is function), None)


# Rows of one function at most.
MOST = 3


def rows() -> list[tuple[Case, Callable[..., Any]]]:
    """For each function the first row of each form of a call: the names of its keywords, and what is drawn."""
    found = []
    seen: set[Any] = set()
    count: Counter[Any] = Counter()
    for case in CASES:
        theirs = peer(case.function)
        kinds = tuple([(draw.kind, len(draw.shape)) for draw in case.draws])
        form = (case.function, tuple(sorted(case.keywords)), kinds)
        if (
            theirs is None
            or case.gradient == "none"
            or form in seen
            or 0 in [n for draw in case.draws for n in draw.shape]
        ):
            continue
        seen.add(form)
        count[case.function] += 1
        if count[case.function] <= MOST:
            found.append((case, theirs))
    return found


def _loss(result: Any, w: list[np.ndarray]) -> Any:
    """The real number that `checks.weighted` makes, in JAX's functions."""
    total: Any = 0.0
    for out, weight in zip(list(result) if isinstance(result, (tuple, list)) else [result], w, strict=True):
        if jnp.asarray(out).dtype.kind in "fc":
            total = total + jnp.sum(weight.real * jnp.real(out))
            if np.iscomplexobj(weight):
                total = total + jnp.sum(weight.imag * jnp.imag(out))
    return total


@pytest.mark.parametrize(("case", "theirs"), rows(), ids=lambda x: x.name if isinstance(x, Case) else "jax")
@pytest.mark.filterwarnings("ignore")
def test_jax_agrees(case: Case, theirs: Callable[..., Any]) -> None:
    arrays = case.arrays()
    places = [i for i, draw in enumerate(case.draws) if draw.differentiable]
    w = weights(case, arrays)

    def of(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given: Case.__call__(
            Case(function, case.args, case.keywords, case.covers, draws=case.draws), *given
        )

    try:
        values = of(theirs)(*map(jnp.asarray, arrays))
        wanted = (
            jax.grad(lambda *x: _loss(of(theirs)(*x), w), tuple(places))(*map(jnp.asarray, arrays)) if places else ()
        )
    except REFUSED as error:
        pytest.skip(f"JAX: {type(error).__name__}")
    if case.name in DIFFERENT:
        with pytest.raises((AssertionError, ValueError)):
            compare(case, arrays, w, places, values, wanted)
    else:
        compare(case, arrays, w, places, values, wanted)


def compare(
    case: Case, arrays: list[np.ndarray], w: list[np.ndarray], places: list[int], values: Any, wanted: Any
) -> None:
    """Values, and gradients of their weighted sum."""
    for mine, other in zip(leaves(case(*arrays)), leaves(values), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-8, err_msg="value")
    if not places:
        return
    with independent_allowed(case):
        found = ad.grad(lambda *x: weighted(case(*x), w), tuple(places))(*arrays)
    for mine, other in zip(found, wanted, strict=True):
        assert floating(mine)
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-7, err_msg="gradient")
