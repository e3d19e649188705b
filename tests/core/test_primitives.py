"""Cards: what stands on a primitive is true of it, and one that has nothing but its card runs on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.core.avals import INDEX_DTYPE, Aval, intern_aval, several
from autodiff.core.parameters import Axis, Static
from autodiff.core.primitives import PRIMITIVES, Primitive
from autodiff.operator import Operator
from autodiff.rules import TABLE
from autodiff.rules.rows import Linear
from autodiff.tensor import node_of, wrap
from autodiff_backends.array_api.calls import missing
from autodiff_backends.numpy.reference import function_for

# Programs have no places, and positions are checked before a plan is made.
# What is called is a parameter of "call" (tests/test_primitive.py).
EXECUTED = [p for p in PRIMITIVES.values() if p.name not in ("place", "in_range", "call")]
# NumPy has none of SciPy's functions; loops and branches mean what their bodies do.
BEYOND = ("logm", "sqrtm", "lu_factor", "flow")
MEANT = [p for p in EXECUTED if p.meaning is not None and p.module == "numpy" and p.name not in BEYOND]
# NumPy's backend has these from SciPy, which computes them in another way; its expm is exact to 1e-13 only.
OTHERWISE = {"expm": 1e-12, "solve_sylvester": 1e-14, "solve_banded": 1e-14}

PARAMS: dict[str, tuple[Any, ...]] = {
    "astype": (np.dtype(np.float32),),
    "broadcast_to": ((2, 2, 3),),
    "concatenate": (1,),
    "convolve": ("full",),
    "reshape": ((3, 2),),
    **dict.fromkeys(("fft", "ifft", "rfft"), (1, "ortho")),
    "part": (1,),
    "svd": (False, True),
    "eig": (True,),
    "eigh": (True, True),
    "irfft": (3, 1, "ortho"),
    "lu_solve": (True,),
    "qr": ("r",),
    "solve_banded": (1, 1),
    "solve_triangular": (True,),
    "transpose": ((1, 0),),
    **{p.name: ((1,),) for p in PRIMITIVES.values() if p.kind == "reduction"},
    **dict.fromkeys(("argmax", "argmin", "cumsum", "cumprod"), (1,)),
    **dict.fromkeys(("sort", "argsort"), (1, True)),
    "searchsorted": (True,),
}

MATRIX = np.array([[0.5, -1.5, 2.0], [0.0, 3.0, -0.25]])
POSITIONS = np.array([1, 0, 1])
WITH_ARRAY = (intern_aval((), INDEX_DTYPE, spec=("a", 3)), (None, slice(0, 3, 1)))


def arguments(primitive: Primitive) -> tuple[list[Aval], list[Any]]:
    """Operands that a primitive takes: what is known of them, and their values."""
    values: list[Any]
    if primitive.kind == "indexing":
        form, idx = WITH_ARRAY
        written = [] if primitive is ops.index else [np.arange(9.0).reshape(3, 3)]
        values = [MATRIX, idx, *written, POSITIONS]
        avals = [form if v is idx else intern_aval(v.shape, v.dtype) for v in values]
        return avals, values
    twos = ("masked_multiply", "inner_product", "matmul", "concatenate", "convolve", "of_parts")
    count = {"where": 3, **dict.fromkeys(twos, 2)}.get(primitive.name, 1)
    values = [MATRIX, MATRIX + 1, MATRIX * 2][:count]
    if primitive is ops.part_p:
        return [several([intern_aval(MATRIX.shape, MATRIX.dtype)] * 2)], [(MATRIX, MATRIX + 1)]
    if primitive in (ops.lu_solve_p, ops.lu_slogdet_p, ops.lu_det_p):
        a, exchanges = np.array([[2.0, 1.0], [0.5, 3.0]]), np.zeros(2, np.int32)
        known = several([intern_aval(x.shape, x.dtype) for x in (a, exchanges)])
        rest = [MATRIX] if primitive is ops.lu_solve_p else []
        return [known, *[intern_aval(x.shape, x.dtype) for x in rest]], [(a, exchanges), *rest]
    if primitive.name in ("solve", "solve_triangular"):
        values = [np.array([[2.0, 0.0], [0.5, 3.0]]), MATRIX]
    elif primitive.name in ("cholesky", "cofactors", "det", "eig", "eigh", "inv", "lu", "slogdet", "expm"):
        values = [np.array([[2.0, 0.5], [0.5, 3.0]])]
    elif primitive is ops.solve_sylvester_p:
        values = [np.array([[2.0, 0.5], [0.5, 3.0]]), np.eye(3), MATRIX]
    elif primitive is ops.solve_banded_p:
        values = [np.array([[0.0, 0.5], [2.0, 3.0], [0.25, 0.0]]), MATRIX]
    elif primitive in (ops.fft_p, ops.ifft_p, ops.irfft_p):
        values = [MATRIX[:, :2] + 1j]
    elif primitive in (ops.partition_p, ops.argpartition_p, ops.ranked_p):
        # All ranks: which order elements have between those that are asked for is nobody's word.
        values = [MATRIX, np.arange(3)]
    elif primitive is ops.searchsorted_p:
        values = [np.sort(MATRIX[0]), MATRIX]
    elif primitive.name == "where":
        values[0] = MATRIX > 0
    elif primitive.name == "root_of_squares":
        values = [MATRIX**2]
    elif primitive.name == "matmul":
        values[1] = MATRIX.T.copy()
    return [intern_aval(v.shape, v.dtype) for v in values], values


@pytest.mark.parametrize("primitive", EXECUTED, ids=lambda p: p.name)
def test_every_primitive_is_a_ufunc_or_means_something_or_is_composed(primitive):
    assert primitive.numpy_ufunc is not None or primitive.meaning is not None or primitive in ops.COMPOSITIONS


@pytest.mark.parametrize("primitive", MEANT, ids=lambda p: p.name)
def test_meanings_are_what_numpy_computes(primitive):
    if primitive.name in ("cumsum", "cumprod") and not hasattr(np, "cumulative_sum"):
        pytest.skip("this NumPy does not have the standard's names of running sums")
    avals, values = arguments(primitive)
    signature = primitive.signature(tuple(avals), PARAMS.get(primitive.name, ()))
    found = signature.function(np)(*values)
    expected = function_for(signature)(*values)
    assert primitive.several == bool(signature.out.parts)
    if not signature.out.parts:
        found, expected = (found,), (expected,)
    avals = signature.out.parts or (signature.out,)
    for one, other, aval in zip(found, expected, avals, strict=True):
        np.testing.assert_allclose(one, other, rtol=OTHERWISE.get(primitive.name, 0), atol=0)
        assert np.asarray(one).dtype == aval.dtype
        assert np.shape(one) == aval.shape
    given = [x for v in values for x in (v if isinstance(v, tuple) else (v,)) if isinstance(x, np.ndarray)]
    shared = any(np.shares_memory(one, v) for one in found for v in given)
    # NumPy has the parts of complex arrays as views, too.
    assert shared == signature.is_view or primitive.name in ("real", "imag")


@pytest.mark.parametrize("primitive", [p for p in EXECUTED if p.reduces is not None], ids=lambda p: p.name)
def test_partial_results_are_combined_by_what_a_primitive_reduces_with(primitive):
    if primitive.kind != "reduction":
        pytest.skip("along one axis of two operands, or at positions: held to the backends' tests")
    avals, values = arguments(primitive)
    whole = function_for(primitive.signature(tuple(avals), ((0, 1),)))(*values)
    parts = [[v[i : i + 1] for v in values] for i in range(2)]
    own = tuple([intern_aval((1, 3), a.dtype) for a in avals])
    combined = primitive.reduces(*[function_for(primitive.signature(own, ((0, 1),)))(*part) for part in parts])
    np.testing.assert_allclose(combined, whole, rtol=1e-15)


# --- a primitive that nothing but its card is known of ---------------------------------------------------------------


@pytest.fixture
def roll() -> Iterator[Primitive]:
    """A primitive as someone would add it: a card and a row."""

    def infer(primitive: Primitive, x: Aval, *, shift: int, axis: int) -> Aval:
        return intern_aval(x.shape, x.dtype)

    primitive = Operator(
        "roll",
        infer,
        params={"shift": Static, "axis": Axis},
        meaning=lambda xp, x, shift, axis: xp.roll(x, shift, axis=axis),
        needs=("roll",),
    )
    TABLE[primitive] = Linear(primitive, (lambda ct, out, x, shift, axis: primitive(ct, shift=-shift, axis=axis),))
    yield primitive
    del PRIMITIVES["roll"], TABLE[primitive]


def test_a_card_is_enough_for_every_backend(backend, roll):
    t = ad.Tensor(MATRIX).to(backend.name) if backend.name != "emulated" else ad.Tensor(MATRIX)
    graph = ad.Graph(backend=backend)
    graph.add_variables(t)
    y = np.sum(wrap(roll(node_of(t), shift=1, axis=1)) * t**3)
    weights = np.roll(MATRIX, 1, axis=1)
    first = 3 * MATRIX**2 * weights + np.roll(MATRIX**3, -1, axis=1)
    for _ in range(3):
        (found,) = graph.gradient(y, [t])
        np.testing.assert_allclose(backend.home.to_numpy(found), first, rtol=1e-14)


def test_what_a_library_lacks_is_an_error_before_anything_runs(roll):
    assert "roll" not in missing(np)
    without = SimpleNamespace(
        __name__="without", **{k: v for k, v in vars(np).items() if k not in ("roll", "__name__")}
    )
    assert missing(without)["roll"] == "without has no function roll"
