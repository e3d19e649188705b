"""The measures that rows of the table are held to."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.differentiate import Forward
from autodiff.registry import backend_of
from autodiff.tensor import wrap
from autodiff_backends.numpy.reference import Interpreted

from .case import Case

STEP = 1e-3


class InterpretedBackend(ad.Backend):
    """NumPy without generated code: the definition that generated code is compared with."""

    name = "interpreted"

    def compile(self, program: Any) -> Any:
        return Interpreted(program)


INTERPRETED = InterpretedBackend()


def strided(a: np.ndarray) -> np.ndarray:
    """A view of every other element of a larger array."""
    big = np.full([2 * n for n in a.shape], 99, a.dtype)
    view = big[(..., *[slice(None, None, 2)] * a.ndim)]
    view[...] = a
    return view


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Fortran order": lambda a: a.copy(order="F"),
    "negative strides": lambda a: np.asarray(np.flip(np.flip(a).copy())),
    "every other element": strided,
}


def leaves(result: Any) -> list[Any]:
    """The arrays of a result that may be a tuple or list."""
    return list(result) if isinstance(result, (tuple, list)) else [result]


def away(backend: Any) -> bool:
    """Whether a backend has arrays of its own: NumPy's results are then what its results are held to."""
    return ad.get_backend(backend).home is not ad.get_backend()


def host(x: Any) -> Any:
    """A Tensor's value, or an array of any library, as NumPy's."""
    owner = None if isinstance(x, ad.Tensor) else backend_of(x)
    return np.asarray(x) if owner is None else owner.to_numpy(x)


@contextmanager
def capable(backend: Any) -> Iterator[None]:
    """What a backend declares that it cannot do is an error that says so, before anything runs."""
    try:
        yield
    except ad.errors.BackendError as error:
        missing = ad.get_backend(backend).capabilities.missing
        if not any(str(error).startswith(f"{name} is not available") for name in missing):
            raise
        pytest.skip(str(error))


def tensors(
    case: Case, arrays: Sequence[np.ndarray], dtype: Any = None, graph: ad.Graph | None = None
) -> list[ad.Tensor]:
    """Tensors on the memory of ``arrays``, so that its layout is kept; integers and booleans are constants.

    Those that are differentiated are made by the graph, if there is one: constants are then brought to its backend.
    """
    made = []
    for draw, array in zip(case.draws, arrays, strict=True):
        kind = dtype if draw.differentiable else None
        make = graph.tensor if graph is not None and draw.differentiable else ad.Tensor
        made.append(make(array, dtype=kind, copy=False, constant=not draw.differentiable))
    return made


def variables(case: Case, inputs: Sequence[Any]) -> list[Any]:
    """Those of the inputs that are differentiated."""
    return [x for draw, x in zip(case.draws, inputs, strict=True) if draw.differentiable]


def floating(x: Any) -> bool:
    return np.asarray(x).dtype.kind in "fc" if not isinstance(x, ad.Tensor) else x.dtype.kind in "fc"


def weights(case: Case, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Random weights for each floating result, complex for complex ones."""
    rng = np.random.default_rng(7)
    found = []
    for out in leaves(case(*arrays)):
        shape = np.shape(out)
        w = rng.uniform(0.5, 1.5, shape)
        found.append(w + 1j * rng.uniform(0.5, 1.5, shape) if np.iscomplexobj(out) else w)
    return found


def weighted(result: Any, w: Sequence[np.ndarray], squared: bool = False) -> Any:
    """A real number made of all floating results: their weighted sum, or that of their squares."""
    total: Any = 0.0
    for out, weight in zip(leaves(result), w, strict=True):
        if floating(out):
            parts = [(out, weight)]
            if np.iscomplexobj(weight):
                parts = [(np.real(out), weight.real), (np.imag(out), weight.imag)]
            for part, part_weight in parts:
                total = total + np.sum(part_weight * part * (part if squared else 1.0))
    return total


def difference(f: Callable[[float], Any]) -> Any:
    """f'(0) by central differences of fourth order."""
    near, far = f(STEP) - f(-STEP), f(2 * STEP) - f(-2 * STEP)
    return (8 * near - far) / (12 * STEP)


def numeric_gradient(case: Case, arrays: Sequence[np.ndarray], w: Sequence[np.ndarray]) -> list[np.ndarray]:
    """du/dx - i du/dy of the weighted sum, element by element, with NumPy alone."""
    gradients = []
    for place, draw in enumerate(case.draws):
        if not draw.differentiable:
            continue
        base = arrays[place]
        gradient = np.zeros(base.shape, base.dtype)
        for i in np.ndindex(base.shape):

            def at(step: complex, place: int = place, i: Any = i) -> Any:
                moved = [a.copy() for a in arrays]
                moved[place][i] += step
                return np.float64(weighted(case(*moved), w))

            gradient[i] = difference(at)
            if base.dtype.kind == "c":
                gradient[i] -= 1j * difference(lambda step, at=at: at(1j * step))  # type: ignore[misc]
        gradients.append(gradient)
    return gradients


@contextmanager
def independent_allowed(case: Case | None) -> Iterator[None]:
    """A gradient may be that of a result that does not depend on a variable, for rows that say so and for None."""
    with warnings.catch_warnings():
        if case is None or case.gradient == "zero" or case.independent:
            warnings.simplefilter("ignore", ad.errors.IndependentWarning)
        yield


def close(actual: Any, expected: Any, what: str, rtol: float = 1e-6, atol: float = 1e-8) -> None:
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol, err_msg=what)


def same_kind(actual: Any, expected: Any, what: str) -> None:
    """Shape and dtype are exactly those expected."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype), what


def check_value(case: Case, arrays: Sequence[np.ndarray], backend: Any = None) -> None:
    """The value is NumPy's, with its exact shape and dtype."""
    graph = ad.Graph(backend=backend)
    inputs = [graph.tensor(a, copy=False, constant=not d.differentiable) for d, a in zip(case.draws, arrays)]
    expected, actual = case(*[np.array(x) for x in inputs]), case(*inputs)
    assert len(leaves(actual)) == len(leaves(expected)), "number of results"
    if isinstance(expected, (list, tuple)):
        assert type(actual) is type(expected) or not isinstance(expected, list), "type of the result"
    for e, a in zip(leaves(expected), leaves(actual), strict=True):
        if isinstance(a, ad.Tensor) and a.node.aval.place is not None:
            assert backend_of(a.value) is (graph.backend.home if away(backend) else None), "where the value is"
        got = host(a) if isinstance(a, ad.Tensor) else a
        if isinstance(e, (np.ndarray, np.generic)):
            same_kind(got, e, f"value: got {np.asarray(got).dtype}{np.shape(got)}, NumPy gives {e.dtype}{e.shape}")
            if isinstance(a, ad.Tensor):
                assert (a.shape, a.dtype) == (e.shape, e.dtype), "what was known at record time"
            # Another library rounds differently in the precision of the arguments, whatever the result is stored in.
            given = [x.dtype for x in arrays if away(backend) and x.dtype.kind in "fc"] if e.dtype.kind in "fc" else []
            eps = max([float(np.finfo(dtype).eps) for dtype in (e.dtype, *given) if dtype.kind in "fc"], default=0.0)
            close(got, e, "value", 32 * eps, 32 * eps)
        else:
            assert got == e


def recorded_gradient(
    case: Case, arrays: Sequence[np.ndarray], w: Sequence[np.ndarray], backend: Any, dtype: Any = None
) -> list[Any]:
    """The library's gradient of the weighted sum."""
    graph = ad.Graph(backend=backend)
    inputs = tensors(case, arrays, dtype, graph)
    if dtype is not None:
        w = [x.astype(np.result_type(dtype, np.complex64) if np.iscomplexobj(x) else dtype) for x in w]
    wrt = variables(case, inputs)
    graph.add_variables(*wrt)
    with independent_allowed(case):
        gradients = graph.gradient(weighted(case(*inputs), w), wrt)
    for x, g in zip(wrt, gradients, strict=True):
        assert graph.backend.home.owns(g), "a gradient is an array of the backend"
        same = graph.backend.home.aval_of(g) == (x.shape, x.dtype)
        assert same, "a gradient has its variable's shape and dtype"
    return [host(g) for g in gradients]


def check_reverse(case: Case, arrays: Sequence[np.ndarray], backend: Any) -> None:
    """Reverse mode agrees with finite differences, in every memory layout and by both executions."""
    w = weights(case, arrays)
    gradients = recorded_gradient(case, arrays, w, backend)
    if case.gradient == "zero":
        assert not any(g.any() for g in gradients)
    if away(backend):
        for g, e in zip(gradients, recorded_gradient(case, arrays, w, None), strict=True):
            close(g, e, "gradient against NumPy's", 1e-9, 1e-11)
        return
    expected = numeric_gradient(case, arrays, w)
    for g, e in zip(gradients, expected, strict=True):
        close(g, e, "gradient against finite differences", case.rtol, 1e-7)
    for g, e in zip(recorded_gradient(case, arrays, w, INTERPRETED), gradients, strict=True):
        close(g, e, "interpreted against generated code", 1e-12, 1e-14)
    for layout, arranged in LAYOUTS.items():
        for g, e in zip(recorded_gradient(case, [arranged(a) for a in arrays], w, backend), gradients, strict=True):
            close(g, e, layout, 1e-12, 1e-14)


def check_forward(case: Case, arrays: Sequence[np.ndarray], backend: Any) -> None:
    """<J v, w> = <v, J^T w>: forward and reverse mode are transposes of each other."""
    w = weights(case, arrays)
    graph = ad.Graph(backend=backend)
    inputs = tensors(case, arrays, graph=graph)
    wrt = variables(case, inputs)
    outs = case(*inputs)
    with independent_allowed(case):
        pulled = graph.gradient(weighted(outs, w), wrt)
    directions = direction(wrt)
    reverse = sum(np.sum(np.real(v * host(g))) for v, g in zip(directions, pulled, strict=True))
    forward = 0.0
    for x, v in zip(wrt, directions, strict=True):
        tangent_of = Forward({x.node: ad.Tensor(v).node})
        tangents = [tangent_of(out.node) if floating(out) else None for out in leaves(outs)]
        for out, t in zip(leaves(outs), tangents, strict=True):
            if t is not None:
                assert (t.shape, t.dtype) == (out.shape, out.dtype), "a tangent has its output's shape and dtype"
        known = [host(wrap(t)) if t is not None else np.zeros(np.shape(o)) for o, t in zip(leaves(outs), tangents)]
        forward += np.float64(weighted(known, w))
    close(forward, reverse, "forward against reverse", 1e-9, 1e-10)


def direction(wrt: Sequence[ad.Tensor]) -> list[np.ndarray]:
    """A random direction in the space of the variables."""
    rng = np.random.default_rng(11)
    found = []
    for x in wrt:
        v = rng.uniform(-1, 1, x.shape)
        found.append(np.asarray(v + 1j * rng.uniform(-1, 1, x.shape) if x.dtype.kind == "c" else v))
    return found


def second_derivative(
    case: Case, arrays: Sequence[np.ndarray], backend: Any
) -> tuple[list[Any], list[np.ndarray], Callable[..., Any]]:
    """The gradient of a gradient along a direction, the direction, and the gradient as a function."""
    w = weights(case, arrays)
    graph = ad.Graph(backend=backend)
    inputs = tensors(case, arrays, graph=graph)
    wrt = variables(case, inputs)
    total = weighted(case(*inputs), w, squared=True)
    first = graph.gradient(total, wrt, as_tensors=True)
    replay = graph.compile(total, wrt, wrt)
    v = direction(wrt)
    along = sum(np.sum(np.real(d * g)) for d, g in zip(v, first, strict=True))
    with independent_allowed(None):
        second = graph.gradient(along, wrt) if isinstance(along, ad.Tensor) else []
    for x, hv in zip(wrt, second):
        assert graph.backend.home.aval_of(hv) == (x.shape, x.dtype)
    return [host(hv) for hv in second], v, replay


def check_second_order(case: Case, arrays: Sequence[np.ndarray], backend: Any) -> None:
    """The gradient of a gradient, along a direction, agrees with finite differences of the gradient."""
    second, v, replay = second_derivative(case, arrays, backend)
    at = variables(case, arrays)
    if away(backend):
        for hv, e in zip(second, second_derivative(case, arrays, None)[0], strict=True):
            close(hv, e, "second order against NumPy's", 1e-8, 1e-10)
        for g, e in zip(replay(*at)[1], ad.Graph().compile(*_total(case, arrays))(*at)[1], strict=True):
            close(host(g), e, "compiled gradient against NumPy's", 1e-9, 1e-11)
        return
    for i, hv in enumerate(second):
        expected = difference(lambda h, i=i: replay(*[a + h * d for a, d in zip(at, v)])[1][i])  # type: ignore[misc]
        close(hv, expected, "second order against finite differences of the first", 10 * case.rtol, 1e-6)


def _total(case: Case, arrays: Sequence[np.ndarray]) -> tuple[Any, list[Any], list[Any]]:
    """What ``Graph.compile`` takes for the weighted sum of squares, on NumPy."""
    inputs = tensors(case, arrays)
    wrt = variables(case, inputs)
    return weighted(case(*inputs), weights(case, arrays), squared=True), wrt, wrt


def check_single(case: Case, arrays: Sequence[np.ndarray], backend: Any) -> None:
    """In single precision: NumPy's value and dtype, and the double-precision gradient to its accuracy."""
    single = [a.astype("f4") if a.dtype == np.float64 else a.astype("c8") if a.dtype.kind == "c" else a for a in arrays]
    check_value(case, single, backend)
    if case.gradient != "none":
        w = weights(case, arrays)
        narrow = [x.astype("c8" if x.dtype.kind == "c" else "f4") for x in w]
        gradients = recorded_gradient(case, single, narrow, backend)
        for g, e in zip(gradients, recorded_gradient(case, arrays, w, backend), strict=True):
            close(g, e, "single against double precision", 2e-3, 2e-3)
