"""Contestants for transformations of functions: a derivative is written once, with the names that all libraries have.

What differs is in `Transforms`: JAX chooses forward or reverse mode by name, PyTorch calls axes dimensions, and HIPS
autograd has no vmap, so that a loop over the batch takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import tiers
from benchmarks.compilers import DEFAULT, function_on, torch_compile
from benchmarks.gradients import ours
from benchmarks.workload import Contestant, Numbers, Timed, UnavailableError

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Transforms:
    """A library's namespace of arrays and its transformations.

    Parameters
    ----------
    xp : module
        The functions of arrays.
    grad, jacobian, hessian : callable
        Of a function, and of the ``argnums`` to differentiate by; the Jacobian in the mode that fits its shape.
    vmap : callable
        Of a function, and of the axis of each argument.
    hvp : callable
        ``hvp(function)(x, v)``: the Hessian times a vector.
    jvp : callable
        ``jvp(function, x, v)``: the derivative along a vector.
    """

    xp: Any
    grad: Function
    jacobian: Function
    hessian: Function
    vmap: Function
    hvp: Function
    jvp: Function


Derivative = Callable[[Transforms], Function]
"""What a workload measures: from a library's transformations to the function to call."""

Chosen = Callable[[Any], tuple[Derivative, Sequence[Any]]]
"""From a case's parameter to the derivative and its arguments."""


def of_autodiff(ad: ModuleType) -> Transforms:
    """Ours."""
    return Transforms(
        np,
        ad.grad,
        lambda f, argnums=0, forward=False: ad.jacobian(f, argnums),
        ad.hessian,
        lambda f, axes: ad.vmap(f, in_axes=axes),
        ad.hvp,
        lambda f, x, v: ad.jvp(f, (x,), (v,))[1],
    )


def of_jax(jax: ModuleType) -> Transforms:
    """JAX's, in the mode that is said."""
    return Transforms(
        jax.numpy,
        jax.grad,
        lambda f, argnums=0, forward=False: (jax.jacfwd if forward else jax.jacrev)(f, argnums),
        jax.hessian,
        lambda f, axes: jax.vmap(f, in_axes=axes),
        lambda f: lambda x, v: jax.jvp(jax.grad(f), (x,), (v,))[1],
        lambda f, x, v: jax.jvp(f, (x,), (v,))[1],
    )


def of_torch(torch: ModuleType) -> Transforms:
    """Those of ``torch.func``."""
    func = torch.func
    return Transforms(
        torch,
        func.grad,
        lambda f, argnums=0, forward=False: (func.jacfwd if forward else func.jacrev)(f, argnums),
        func.hessian,
        lambda f, axes: func.vmap(f, in_dims=axes),
        lambda f: lambda x, v: func.jvp(func.grad(f), (x,), (v,))[1],
        lambda f, x, v: func.jvp(f, (x,), (v,))[1],
    )


def of_autograd(autograd: ModuleType) -> Transforms:
    """HIPS autograd's, which differentiates by one argument here, and in reverse mode."""

    def one(transformation: Function) -> Function:
        return lambda f, argnums=0, forward=False: transformation(f, argnums)

    def missing(*_: Any, **__: Any) -> Any:
        raise UnavailableError("autograd has no such transformation")

    return Transforms(
        autograd.numpy,
        one(autograd.grad),
        one(autograd.jacobian),
        one(autograd.hessian),
        missing,
        autograd.hessian_vector_product,
        missing,
    )


def contestants(chosen: Chosen, *, peers: Sequence[str] = ("jax", "torch", "torch compile", "autograd")) -> Any:
    """Ours, called as a user calls them and traced once, and the peers."""
    every = {
        "jax": Contestant("jax", _jax(chosen)),
        "torch": Contestant("torch", _torch(chosen, compiled=False)),
        "torch compile": Contestant("torch compile", _torch(chosen, compiled=True), "torch", max_first_calls=1),
        "autograd": Contestant("autograd", _autograd(chosen)),
    }
    called = Contestant("autodiff", _called(chosen))
    traced = ours(traced=lambda backend: _traced(chosen, backend))
    return (called, *traced, *[every[name] for name in peers])


def _numbers(result: Any) -> Numbers:
    """All arrays of a result, in order."""
    if isinstance(result, (tuple, list)):
        return [number for part in result for number in _numbers(part)]
    return [np.asarray(result)]


def _called(chosen: Chosen) -> Callable[[ModuleType, Any], Timed]:
    def build(ad: ModuleType, parameter: Any) -> Timed:
        ad.Graph().clear_cache()
        derivative, arguments = chosen(parameter)
        function = derivative(of_autodiff(ad))
        return Timed(lambda: function(*arguments), _numbers)

    return build


def _traced(chosen: Chosen, backend: str = DEFAULT) -> Callable[[ModuleType, Any], Timed]:
    def build(ad: ModuleType, parameter: Any) -> Timed:
        derivative, arguments = chosen(parameter)
        function = function_on(ad, derivative(of_autodiff(ad)), backend)
        return Timed(lambda: function(*arguments), _numbers, tier=tiers.of_function(ad, function))

    return build


def _jax(chosen: Chosen) -> Callable[[ModuleType, Any], Timed]:
    def build(jax: ModuleType, parameter: Any) -> Timed:
        derivative, arguments = chosen(parameter)
        function = jax.jit(derivative(of_jax(jax)))
        arrays = [jax.numpy.asarray(x) for x in arguments]
        return Timed(lambda: jax.block_until_ready(function(*arrays)), _numbers)

    return build


def _torch(chosen: Chosen, *, compiled: bool) -> Callable[[ModuleType, Any], Timed]:
    def build(torch: ModuleType, parameter: Any) -> Timed:
        derivative, arguments = chosen(parameter)
        function = derivative(of_torch(torch))
        if compiled:
            function = torch_compile(torch, function)
        arrays = [torch.as_tensor(np.asarray(x)) for x in arguments]
        return Timed(lambda: function(*arrays), lambda result: _numbers(_detached(result)))

    return build


def _detached(result: Any) -> Any:
    if isinstance(result, (tuple, list)):
        return [_detached(part) for part in result]
    return result.detach().numpy()


def _autograd(chosen: Chosen) -> Callable[[ModuleType, Any], Timed]:
    def build(autograd: ModuleType, parameter: Any) -> Timed:
        derivative, arguments = chosen(parameter)
        function = derivative(of_autograd(autograd))
        return Timed(lambda: function(*arguments), _numbers)

    return build
