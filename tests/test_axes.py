"""Which axes belong together, held to computation: what is computed in blocks is the whole, and nothing else can be."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import linalg

import autodiff as ad
from autodiff import ops
from autodiff.axes import AxisLabels, axis_labels, carried, extent, takes_whole
from autodiff.core.avals import INDEX_DTYPE, LINE, Aval, intern_aval, several
from autodiff.core.parameters import Axes, Axis, DType, Output, Permutation, Shape
from autodiff.core.primitives import PRIMITIVES, Primitive, Signature
from autodiff.errors import BackendError, DTypeError
from autodiff.operator import Operator
from autodiff_backends.dask.blocks import block_aval, block_index, block_params, is_cut_by
from autodiff_backends.numpy.reference import function_for

# Of each static parameter that has nothing to do with axes.
STATIC: dict[str, Any] = {
    "u": 1,
    "v": 0,
    "r": 1,
    "origin": True,
    "polynomial": (((0,), 1),),
    "order": 1,
    "size": 8,
    "axis": 0,
    "norm": "ortho",
    "n": 5,
    "lower": True,
    "upper": False,
    "transposed": True,
    "vectors": True,
    "mode": "reduced",
    "full_matrices": False,
    "compute_uv": True,
}
OTHERS = {("convolve", "mode"): "full"}


def definite(a: np.ndarray) -> np.ndarray:
    """Matrices that are symmetric and positive definite."""
    return a @ a.swapaxes(-1, -2) + 4 * np.eye(a.shape[-1])


def each(function: Any, a: np.ndarray) -> np.ndarray:
    """A function of one matrix, of each."""
    return np.array([function(x) for x in a.reshape(-1, *a.shape[-2:])]).reshape(a.shape)


# What no plan computes, and what not every matrix has.
MEANT = {
    "place": lambda x: x,
    "in_range": lambda positions, line: positions % 8,
    "cholesky": lambda a: np.linalg.cholesky(definite(a)),
    "logm": lambda a: each(linalg.logm, definite(a)),
    "sqrtm": lambda a: each(linalg.sqrtm, definite(a)),
    # Four diagonals, of which one is above.
    "solve_banded": lambda ab, b: linalg.solve_banded((2, 1), ab + 9 * (np.arange(4)[:, None] == 1), b),
}

# Slopes are computed from a function's value and its argument, which have one shape; what is too small beside singular
# values is one number for each matrix.
ALIKE = (
    *(ops.tanh_slope, ops.tan_slope, ops.complex_tanh_slope, ops.complex_tan_slope),
    *(ops.pinv_p, ops.lstsq_p),
)

LEADING = [((), (), ()), ((4,), (4,), (4,)), ((2, 1, 4), (4, 1), (1,)), ((4,), (2, 4), (1, 1))]
SHAPES = [(4,), (6, 4), (2, 1, 6)]


class Sample(NamedTuple):
    """An application, its operands, and which entries of its index take a whole axis."""

    signature: Signature
    values: list[Any]
    whole: tuple[bool, ...] | None = None

    @property
    def labels(self) -> AxisLabels:
        return axis_labels(self.signature, self.whole)


# --- applications of any primitive, by its card ----------------------------------------------------------------------


def n_operands(primitive: Primitive) -> int:
    if primitive.numpy_ufunc is not None:
        return primitive.numpy_ufunc.nin
    if primitive.core is not None:
        return primitive.core.count(",") + 1
    function = primitive.meaning or ops.COMPOSITIONS[primitive]
    given = inspect.signature(function).parameters.values()
    names = [p.name for p in given if p.kind is not p.VAR_KEYWORD and p.name not in ("xp", *primitive.params)]
    return 2 if names == ["arrays"] else len(names)


def shapes_of(primitive: Primitive) -> Iterator[tuple[tuple[int, ...], ...]]:
    if Output in primitive.params.values():
        yield from [((4, 2), (4,), (4, 6)), ((2, 4, 3), (2, 4, 1)), ((6,), (6,))]
        return
    count = n_operands(primitive)
    if primitive.kind == "elementwise" or primitive.core is not None:
        core = (primitive.core or "," * (count - 1)).partition("->")[0].split(",")
        sizes = {".": 4, **dict(zip("ijkl", (2, 4, 6, 8), strict=True))}
        for leading in LEADING[:2] if primitive in ALIKE else LEADING:
            yield tuple([(*a, *[sizes[c] for c in names]) for a, names in zip(leading, core, strict=False)])
    else:
        shapes = [(24,), (4, 6), (2, 3, 4), (6, 1, 4)] if Shape in primitive.params.values() else SHAPES
        yield from [(shape,) * count for shape in shapes]


def params_of(primitive: Primitive, shape: tuple[int, ...]) -> Iterator[tuple[Any, ...]]:
    axes = range(len(shape))
    divisors = [n for n in range(1, 25) if not 24 % n]
    choices: dict[Any, list[Any]] = {
        Axis: [*axes],
        Axes: [s for n in axes for s in itertools.combinations(axes, n + 1)],
        Permutation: [*itertools.permutations(axes)],
        Shape: [(*more, *[6 if n == 1 else n for n in shape]) for more in ((), (2,))]
        if primitive.core is not None
        else [s for n in (1, 2, 3) for s in itertools.product(divisors, repeat=n) if math.prod(s) == math.prod(shape)],
        DType: [np.dtype(np.float32)],
        Output: [0, 1],
    }
    yield from itertools.product(
        *[
            choices[kind] if kind in choices else [OTHERS.get((primitive.name, name), STATIC.get(name))]
            for name, kind in primitive.params.items()
        ]
    )


def drawn(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """An array without equal elements."""
    values = rng.permutation(math.prod(shape)).reshape(shape)
    return values + 1 if dtype == "i" else values / math.prod(shape) + 0.1 if dtype == "f" else values % 2 == 0


def applied(primitive: Primitive, shapes: Sequence[tuple[int, ...]], params: tuple[Any, ...]) -> Sample:
    """An application to numbers, or to what else it takes."""
    rng = np.random.default_rng(len(shapes))
    for dtype in "fib":
        values = [drawn(rng, shape, dtype) for shape in shapes]
        avals = [intern_aval(v.shape, v.dtype) for v in values]
        if primitive is ops.in_range:
            avals[1], values[1] = LINE, "here"
        if Output in primitive.params.values():
            avals, values = [several(avals)], [tuple(values)]
        if primitive in (ops.lu_slogdet_p, ops.lu_solve_p, ops.lu_det_p):
            # Factors and exchanges of square matrices.
            factors = (values[0][..., None] + np.eye(values[0].shape[-1]), np.zeros(values[0].shape, np.int32))
            avals[0], values[0] = several([intern_aval(x.shape, x.dtype) for x in factors]), factors
        if primitive in (ops.sort_p, ops.argsort_p):
            # Blocks of elements that are all below those of the next one are no test.
            values[0] = -values[0]
        if primitive in (ops.partition_p, ops.argpartition_p, ops.ranked_p):
            values[1] = (values[1] * values[1].size).astype(np.int64) % 4
            avals[1] = intern_aval(avals[1].shape, values[1].dtype)
        if primitive is ops.searchsorted_p:
            values[0] = np.sort(values[0], -1)
        if primitive is ops.where_p:
            values[0] = values[0] > 0.5
            avals[0] = intern_aval(avals[0].shape, values[0].dtype)
        try:
            return Sample(primitive.signature(tuple(avals), params), values)
        except DTypeError:
            continue
    raise AssertionError(f"what does {primitive.name} take?")


def indexed(primitive: Primitive) -> Iterator[Sample]:
    """Indices of every form of two axes, and of new ones."""
    rng = np.random.default_rng(3)
    x = drawn(rng, (4, 6), "f")
    kinds = {
        "whole": lambda n: (n, slice(0, n, 1)),
        "part": lambda n: (2, slice(1, 3, 1)),
        "first": lambda n: (2, slice(0, 2, 1)),
        "reversed": lambda n: (n, slice(n - 1, None, -1)),
        "integer": lambda n: ("i", 1),
        "array": lambda n: ("a", None),
    }
    for pair, new, together in itertools.product(
        itertools.product(kinds, kinds), ((), (0,), (1,), (2,), (0, 2)), (((4,), (4,)), ((2, 1), (4,)))
    ):
        entries = [kinds[kind](n) for kind, n in zip(pair, x.shape, strict=True)]
        for place in new:
            entries.insert(place, ("n", None))
        spec, idx = tuple([form for form, _ in entries]), tuple([value for _, value in entries])
        arrays = [rng.integers(0, 4, shape) for shape in together[: spec.count("a")]]
        if not arrays and together != ((4,), (4,)):
            continue
        form = intern_aval((), INDEX_DTYPE, spec=spec)
        own = [intern_aval(v.shape, v.dtype) for v in (x, *arrays)]
        read = ops.index.signature((own[0], form, *own[1:]))
        whole = takes_whole(form, idx)
        if primitive is ops.index:
            yield Sample(read, [x, idx, *arrays], whole)
        else:
            values = drawn(rng, read.out.shape, "f")
            avals = (own[0], form, read.out, *own[1:])
            yield Sample(primitive.signature(avals), [x, idx, values, *arrays], whole)


def samples(primitive: Primitive) -> list[Sample]:
    pytest.importorskip(primitive.module)
    if primitive.kind == "indexing":
        return [*indexed(primitive)]
    return [
        applied(primitive, shapes, params)
        for shapes in shapes_of(primitive)
        for params in params_of(primitive, shapes[0])
    ]


# --- in blocks -------------------------------------------------------------------------------------------------------


def computed(signature: Signature, values: Sequence[Any]) -> list[Any]:
    """The outputs."""
    with np.errstate(all="ignore"):
        found = (MEANT.get(signature.primitive.name) or function_for(signature))(*values)
    return [np.asarray(x) for x in (found if signature.out.parts else (found,))]


def block(aval: Aval, value: Any, axis: int | None, rows: int, k: int) -> Any:
    if axis is None:
        return value
    if aval.parts:
        return tuple([np.split(x, rows, axis)[k] for x in value])
    if aval.spec is not None:
        return block_index(value, axis, aval.spec[axis] // rows)
    return np.split(value, rows, axis)[k]


class Cut(NamedTuple):
    """Which axis of each operand and of the result is cut; None for those that are not."""

    operands: tuple[int | None, ...]
    out: int | None


def in_blocks(sample: Sample, cut: Cut, rows: int) -> Any:
    """The result from those for so many blocks; None if they do not fit together."""
    (signature, values, _), labels = sample, sample.labels
    if cut.out is None and labels.base is not None:
        values = [np.zeros_like(v) if i == labels.base else v for i, v in enumerate(values)]
    operands = [*zip(signature.inputs, values, cut.operands, strict=True)]
    avals = tuple([block_aval(aval, axis, rows, 1) for aval, _, axis in operands])
    if signature.primitive in (ops.index_add, ops.index_set):
        x, idx, written, *arrays = avals
        if ops.index.signature((x, idx, *arrays)).out is not written:
            return None
    own = signature.primitive.signature(avals, block_params(signature, cut.out, rows, 1))
    wanted = block_aval(signature.out, cut.out, rows, 1)
    shapes = [aval.shape for aval in wanted.parts or (wanted,)]
    blocks = [computed(own, [block(*operand, rows, k) for operand in operands]) for k in range(rows)]
    if own.out is not wanted or any([x.shape for x in outputs] != shapes for outputs in blocks):
        return None
    together = functools.partial(np.concatenate, axis=cut.out)
    if cut.out is None:
        together = functools.partial(functools.reduce, labels.combine)
    return [together(parts) for parts in zip(*blocks, strict=True)]


def whole(sample: Sample, cut: Cut) -> list[Any]:
    values = list(sample.values)
    if cut.out is None and sample.labels.base is not None:
        values[sample.labels.base] = np.zeros_like(values[sample.labels.base])
    return computed(sample.signature, values)


def is_whole(sample: Sample, cut: Cut, rows: int = 2) -> bool:
    try:
        found = in_blocks(sample, cut, rows)
    except (ValueError, IndexError):
        return False
    return found is not None and all(map(is_close, found, whole(sample, cut)))


is_close = functools.partial(np.allclose, rtol=1e-12, atol=0, equal_nan=True)


def cuts(labels: AxisLabels) -> dict[int, Cut]:
    """What each label says is cut together."""
    place = lambda own, label: own.index(label) if label in own else None  # noqa: E731
    known = {label for own in (*labels.operands, labels.out) for label in own if label is not None}
    return {n: Cut(tuple([place(own, n) for own in labels.operands]), place(labels.out, n)) for n in known}


def axes_of(aval: Aval) -> list[int]:
    """The axes, or the entries of an index, that two blocks can be made of."""
    sizes = extent(aval) if aval.spec is None or aval.parts else [n if type(n) is int else 0 for n in aval.spec]
    return [i for i, n in enumerate(sizes) if n and n % 2 == 0]


# Those of SciPy are ufuncs, one of which stands for all: others take orders that are integers.
OF_SCIPY = set(ops.special.CARDS) | {p.name for p in vars(ops.special).values() if isinstance(p, Primitive)}
# Loops and branches, and what is called, are taken whole.
NOT_CUT = {"flow", "call"}
EVERY = pytest.mark.parametrize(
    "primitive",
    [p for p in PRIMITIVES.values() if p.name not in OF_SCIPY - {"erf"} | NOT_CUT],
    ids=lambda p: p.name,
)


def test_nothing_passes_through_a_call():
    f = ad.primitive(lambda x, y: (x, y), infer=lambda x, y: (x, y))
    op = f(ad.Tensor(np.ones((2, 4))), ad.Tensor(np.ones(4)))[0].node.inputs[0]
    assert axis_labels(op.signature) == (((None, None), (None,)), (None,) * len(extent(op.aval)), None, None)


@EVERY
def test_what_is_cut_along_a_label_is_computed_block_by_block(primitive):
    checked = 0
    for sample in samples(primitive):
        labels = sample.labels
        for label, cut in cuts(labels).items():
            for rows in (2, 3, 4):
                if is_cut_by(sample.signature, labels, label, rows):
                    assert all(map(is_close, in_blocks(sample, cut, rows), whole(sample, cut))), (sample.signature, cut)
                    checked += 1
    assert checked


@EVERY
def test_nothing_else_can_be_cut(primitive):
    for sample in samples(primitive):
        labels, signature = sample.labels, sample.signature
        result = np.concatenate([x.ravel() for x in computed(signature, sample.values)])
        if len(np.unique(result)) < result.size or np.isnan(result).any():
            continue  # equal elements may be taken for each other
        operands = itertools.product(*[[None, *axes_of(aval)] for aval in signature.inputs])
        results = [*axes_of(signature.out), *([None] if labels.combine else [])]
        possible = itertools.starmap(Cut, itertools.product([axes for axes in operands if any_cut(axes)], results))
        said = {cut for label, cut in cuts(labels).items() if is_cut_by(signature, labels, label, 2)}
        assert {cut for cut in possible if is_whole(sample, cut)} == said, signature


def any_cut(axes: Sequence[int | None]) -> bool:
    return any(axis is not None for axis in axes)


# --- what the structure knows, and what goes along -------------------------------------------------------------------


def signature_of(primitive: Primitive, *shapes: tuple[int, ...], params: tuple[Any, ...] = ()) -> Signature:
    return primitive.signature(tuple([intern_aval(shape, np.dtype(float)) for shape in shapes]), params)


def test_an_index_takes_a_whole_axis_only_if_the_structure_says_so():
    x = intern_aval((4, 6), np.dtype(float))
    value = (slice(0, 4, 1), slice(0, 6, 1))
    known = intern_aval((), INDEX_DTYPE, literal=value, spec=(4, 6))
    unknown = intern_aval((), INDEX_DTYPE, spec=(4, 6))
    assert axis_labels(ops.index.signature((x, known))).out == (0, 1)
    assert axis_labels(ops.index.signature((x, unknown))).out == (None, None)
    assert axis_labels(ops.index.signature((x, unknown)), takes_whole(unknown, value)).out == (0, 1)


@pytest.mark.parametrize(
    ("signature", "position", "along", "expected"),
    [
        (signature_of(ops.add, (4, 3), (3,)), 1, ("b",), (None, "b")),
        (signature_of(ops.add, (4, 3), (3,)), 0, ("b", None), ("b", None)),
        (signature_of(ops.add, (4, 3), (3,)), 0, ("b", "c"), ("b", "c")),
        (signature_of(ops.matmul_p, (2, 5), (7, 5, 3)), 0, ("b", None), (None, "b", None)),
        (signature_of(ops.matmul_p, (2, 5), (7, 5, 3)), 0, (None, "b"), None),
        (signature_of(ops.matmul_p, (2, 5), (7, 5, 3)), 1, ("b", None, "c"), ("b", None, "c")),
        (signature_of(ops.sum_p, (2, 5), params=((0,),)), 0, (None, "b"), ("b",)),
        (signature_of(ops.sum_p, (2, 5), params=((0,),)), 0, ("b", None), None),
        (signature_of(ops.argmax, (2, 5), params=(0,)), 0, (None, "b"), ("b",)),
        (signature_of(ops.cumsum_p, (2, 5), params=(0,)), 0, ("b", None), None),
        (signature_of(ops.transpose_p, (2, 5, 3), params=((2, 0, 1),)), 0, ("b", None, "c"), ("c", "b", None)),
        (signature_of(ops.reshape_p, (4, 6), params=((4, 2, 3),)), 0, ("b", None), ("b", None, None)),
        # The axis of 6 and that of 2 are cut together, and are not the same.
        (signature_of(ops.reshape_p, (4, 6), params=((4, 2, 3),)), 0, (None, "b"), None),
        (signature_of(ops.reshape_p, (4, 1, 6), params=((4, 6, 1),)), 0, ("b", None, "c"), ("b", "c", None)),
        (signature_of(ops.broadcast_to_p, (4, 1), params=((2, 4, 6),)), 0, ("b", None), (None, "b", None)),
        (signature_of(ops.solve_p, (2, 3, 3), (2, 3, 5)), 1, ("b", None, "c"), ("b", None, "c")),
        (signature_of(ops.solve_p, (2, 3, 3), (2, 3, 5)), 1, (None, "b", None), None),
    ],
    ids=repr,
)
def test_what_runs_along_an_axis_runs_along_that_of_the_result(signature, position, along, expected):
    assert carried(signature, position, along) == expected


def test_a_card_that_does_not_say_which_axes_belong_together_is_an_error():
    mystery = Operator("mystery", lambda primitive, x: x)
    try:
        with pytest.raises(BackendError, match=r"the card of 'mystery' does not say .* core="):
            axis_labels(signature_of(mystery, (2, 3)))
    finally:
        del PRIMITIVES["mystery"]
