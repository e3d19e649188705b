"""What CuPy has less of than NumPy, and what it lacks: composed, or refused before anything runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.core.avals import intern_aval
from autodiff.core.primitives import PRIMITIVES, Signature
from autodiff_backends.cupy import calls
from autodiff_backends.cupy.backend import CupyBackend
from autodiff_backends.cupy.calls import OVERRIDES, call_for
from autodiff_backends.cupy.namespace import FUNCTIONS, Namespace
from autodiff_backends.numpy.reference import function_for

from .cupy_modules import NAMES
from .cupy_standin import Gpu, Library, made

rng = np.random.default_rng(3)


def some(*shape: int, dtype: str = "f8") -> Any:
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else 3 * x).astype(dtype)


def signature_of(name: str, *arrays: Any, params: tuple[Any, ...] = ()) -> Signature:
    return PRIMITIVES[name].signature(tuple([intern_aval(x.shape, x.dtype) for x in arrays]), params)


def computed(name: str, *arrays: Any, params: tuple[Any, ...] = ()) -> list[np.ndarray]:
    """The outputs, of arrays on a device, checked against the reference."""
    signature = signature_of(name, *arrays, params=params)
    found = call_for(signature, Namespace(Gpu(Library())))(*[made(x) for x in arrays])
    wanted = function_for(signature)(*arrays)
    pairs = list(zip(found, wanted, strict=True)) if isinstance(wanted, tuple) else [(found, wanted)]
    for one, right in pairs:
        assert (one.shape, one.dtype) == (right.shape, right.dtype)
        np.testing.assert_allclose(np.asarray(one), right, rtol=1e-12, atol=1e-12)
    return [np.asarray(one) for one, _ in pairs]


def test_cupy_has_what_is_declared() -> None:
    for module, names in FUNCTIONS.items():
        for name in names.split():
            assert f"cupy.{module}.{name}".replace("..", ".") in NAMES


def test_what_is_declared_missing_is_what_has_no_function() -> None:
    """Of NumPy's and SciPy's linear algebra and transforms alone these two."""
    routines = {name for name, p in PRIMITIVES.items() if p.kind == "routine"}
    assert routines & set(CupyBackend.capabilities.missing) == {"logm", "sqrtm"}


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
def test_batches_of_systems_are_broadcast(dtype: str) -> None:
    for a, b in [((3, 3), (3, 2)), ((2, 1, 3, 3), (1, 4, 3, 2)), ((1, 3, 3), (5, 3, 1)), ((4, 2, 2), (1, 2, 3))]:
        system = some(*a, dtype=dtype) + 9 * np.eye(a[-1], dtype=dtype)
        right = some(*b, dtype=dtype)
        found = call_for(signature_of("solve", system, right), Namespace(Gpu(Library())))(made(system), made(right))
        np.testing.assert_allclose(
            np.asarray(found), np.linalg.solve(system, right), rtol=1e-4 if dtype == "f4" else 1e-12
        )


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2), (2, 3, 3), (2, 1, 3, 4), (0, 0), (0, 3, 3), (2, 0, 3)])
def test_factors_of_stacks(shape: tuple[int, ...]) -> None:
    computed("lu_factor", some(*shape))


@pytest.mark.parametrize("products", [1, 20, 1 << 22])
@pytest.mark.parametrize("mode", ["full", "valid"])
def test_convolutions_by_products(monkeypatch: pytest.MonkeyPatch, products: int, mode: str) -> None:
    monkeypatch.setattr(calls, "PRODUCTS", products)
    for a, v in [((7,), (3,)), ((5,), (5,)), ((1,), (1,)), ((2, 6), (2, 4)), ((2, 1, 6), (3, 2))]:
        for dtype in ("i8", "f8", "c16"):
            computed("convolve", some(*a, dtype=dtype), some(*v, dtype=dtype), params=(mode,))


def test_each_element_of_a_convolution_is_precise() -> None:
    (found,) = computed("convolve", np.array([1e12, 1.0, 1e-12]), np.array([1.0, 1e-12]), params=("full",))
    np.testing.assert_allclose(found, [1e12, 2, 2e-12, 1e-24], rtol=1e-15)


def test_what_a_release_of_cupy_lacks_is_an_error_when_a_plan_is_made() -> None:
    class Old(Library):
        __version__ = "13.0"
        linalg = SimpleNamespace()

    a = some(3, 3)
    with pytest.raises(
        ad.errors.BackendError, match=r"eig is not available on backend cupy: CuPy 13\.0 .* linalg\.eig "
    ):
        call_for(signature_of("eig", a, params=(True,)), Namespace(Gpu(Old())))
    with pytest.raises(ad.errors.BackendError, match=r"no function linalg\.logm"):
        call_for(signature_of("logm", a), Namespace(Gpu(Library())))


def test_errors_of_matrices_are_asked_for_unless_work_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, device = [], Gpu(Library())
    errstate = device.module("cupyx").errstate
    monkeypatch.setattr(
        device,
        "module",
        lambda name: SimpleNamespace(errstate=lambda linalg: asked.append(linalg) or errstate(linalg=linalg)),
    )
    for device.is_captured in (False, True):
        linalg = Namespace(device).linalg
        linalg.inv(made(np.eye(2)))
        linalg.solve(made(np.eye(2)), made(np.eye(2)))
    assert asked == ["raise", "raise", "ignore", "ignore"]


def test_singular_matrices_are_errors(cupy_called: ad.Backend) -> None:
    t = ad.Graph(backend=cupy_called).tensor(np.ones((2, 2)))
    for function in (np.linalg.inv, lambda a: np.linalg.solve(a, a), lambda a: np.linalg.cholesky(-a)):
        with pytest.raises(np.linalg.LinAlgError):
            np.asarray(function(t))


def test_cupy_has_what_cards_need() -> None:
    """What needs a function that CuPy lacks has a call of its own, or is declared missing."""
    missing = set(CupyBackend.capabilities.missing)
    for primitive in PRIMITIVES.values():
        if primitive.module != "numpy" or primitive in OVERRIDES or primitive.name in missing:
            continue
        assert all(f"cupy.{name}" in NAMES for name in primitive.needs), primitive.name
