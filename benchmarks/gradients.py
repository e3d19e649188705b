"""Contestants for the commonest workload: the value and the gradient of one scalar function of arrays.

The function is written once, for any namespace that looks like NumPy; a library that has a better way to
write it (a fused ``logsumexp``, say) gets a version of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.compilers import NUMPY, function_on, graph_on, torch_compile
from benchmarks.workload import Contestant, Numbers, Timed

PEERS = ("jax", "torch", "torch compile", "autograd", "mygrad")


@dataclass(frozen=True, slots=True)
class Problem:
    """What a function is evaluated at.

    Parameters
    ----------
    variables : sequence of ndarray
        The first arguments: what the gradient is taken with respect to.
    data : sequence of ndarray, optional
        The further arguments.
    options : sequence, optional
        What comes after them and is no data, such as a number of steps.
    """

    variables: Sequence[Any]
    data: Sequence[Any] = ()
    options: Sequence[Any] = ()


Loss = Callable[..., Any]
"""``loss(xp, *variables, *data, *options)`` for the namespace ``xp``; gives a scalar."""

OwnLoss = Callable[..., Any]
"""``loss(module, *variables, *data, *options)`` for one library, given its module."""

Pose = Callable[[Any], Problem]
"""From a case's parameter to the problem."""

Builder = Callable[[ModuleType, Any], Timed]

BACKENDS = (NUMPY, "numba")
"""Ours that compute on the processor; what is not installed is noted as unavailable."""

# PyTorch keeps what it compiled, on disk too, so that only its first call of all compiles.
_FIRST_CALLS = {"torch compile": 1}


def contestants(
    loss: Loss,
    pose: Pose,
    *,
    own: Mapping[str, OwnLoss] | None = None,
    peers: Sequence[str] = PEERS,
    only: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Contestant, ...]:
    """Ours, define-by-run and traced, on each backend, and the peers.

    Parameters
    ----------
    loss : callable
        For NumPy's namespace and for every library without a version of its own.
    pose : callable
        From a case's parameter to the `Problem`.
    own : mapping, optional
        Versions for single libraries, by the library's name.
    peers : sequence of str, optional
        The peers that take part.
    only : mapping, optional
        Names of the cases that a peer is restricted to, because others would take it minutes.
    """
    own, only = own or {}, only or {}
    return (
        *ours(lambda backend: define_by_run(loss, pose, backend), lambda backend: traced_function(loss, pose, backend)),
        *(_peer(name, own, loss, pose, only.get(name)) for name in peers),
    )


def ours(
    recorded: Callable[[str], Builder] | None = None, traced: Callable[[str], Builder] | None = None
) -> list[Contestant]:
    """Contestants that record at each step, and that trace once, on each of our backends."""
    ways = (("autodiff", recorded), ("autodiff function", traced))
    return [
        Contestant(name if backend == NUMPY else f"{name} {backend}", way(backend), library="autodiff")
        for backend in BACKENDS
        for name, way in ways
        if way is not None
    ]


def _peer(name: str, own: Mapping[str, OwnLoss], loss: Loss, pose: Pose, cases: Sequence[str] | None) -> Contestant:
    library = name.partition(" ")[0]
    builder = _PEERS[name](own.get(library, _in(loss)), pose)
    return Contestant(name, builder, library, cases, max_first_calls=_FIRST_CALLS.get(name, 1000))


def numbers(result: tuple[Any, Sequence[Any]]) -> Numbers:
    """The value and the gradients of a step."""
    value, gradients = result
    return [np.asarray(value), *map(np.asarray, gradients)]


def _in(loss: Loss) -> OwnLoss:
    """The loss in the namespace that a library has for it."""
    names = {"jax": "numpy", "autograd": "numpy"}

    def own(module: ModuleType, *arrays: Any) -> Any:
        name = names.get(module.__name__)
        return loss(getattr(module, name) if name else module, *arrays)

    return own


def define_by_run(loss: Loss, pose: Pose, backend: str = NUMPY) -> Builder:
    """Record afresh at each step; the cached plan gives value and gradients."""

    def build(ad: ModuleType, parameter: Any) -> Timed:
        problem = pose(parameter)
        graph = graph_on(ad, backend)
        variables = [ad.Tensor(array) for array in problem.variables]
        data = [ad.Tensor(array, constant=True) for array in problem.data]
        graph.add_variables(*variables)

        def step() -> Any:
            return graph.value_and_gradient(loss(np, *variables, *data, *problem.options), variables)

        return Timed(step, numbers)

    return build


def traced_function(loss: Loss, pose: Pose, backend: str = NUMPY) -> Builder:
    """Trace once, then replay on arrays."""

    def build(ad: ModuleType, parameter: Any) -> Timed:
        problem = pose(parameter)
        places = tuple(range(len(problem.variables)))
        value_and_grad = ad.value_and_grad(lambda *a: loss(np, *a, *problem.options), argnums=places)
        function = function_on(ad, value_and_grad, backend)
        arrays = (*problem.variables, *problem.data)
        return Timed(lambda: function(*arrays), numbers)

    return build


def jax_jit(loss: OwnLoss, pose: Pose) -> Builder:
    """Compile once; the arrays are JAX's already."""

    def build(jax: ModuleType, parameter: Any) -> Timed:
        problem = pose(parameter)
        places = tuple(range(len(problem.variables)))
        function = jax.jit(jax.value_and_grad(lambda *a: loss(jax, *a, *problem.options), argnums=places))
        arrays = [jax.numpy.asarray(array) for array in (*problem.variables, *problem.data)]
        return Timed(lambda: jax.block_until_ready(function(*arrays)), numbers)

    return build


def _torch_eager(loss: OwnLoss, pose: Pose) -> Builder:
    """Define-by-run PyTorch."""

    def build(torch: ModuleType, parameter: Any) -> Timed:
        problem = pose(parameter)
        variables = [torch.as_tensor(np.asarray(array)).clone().requires_grad_() for array in problem.variables]
        data = [torch.as_tensor(np.asarray(array)) for array in problem.data]

        def step() -> Any:
            value = loss(torch, *variables, *data, *problem.options)
            return value.detach(), torch.autograd.grad(value, variables)

        return Timed(step, numbers)

    return build


def _torch_compiled(loss: OwnLoss, pose: Pose) -> Builder:
    """PyTorch with the loss compiled, and with it its backward pass."""

    def build(torch: ModuleType, parameter: Any) -> Timed:
        problem = pose(parameter)
        function = torch_compile(torch, lambda *a: loss(torch, *a, *problem.options))
        variables = [torch.as_tensor(np.asarray(array)).clone().requires_grad_() for array in problem.variables]
        data = [torch.as_tensor(np.asarray(array)) for array in problem.data]

        def step() -> Any:
            value = function(*variables, *data)
            return value.detach(), torch.autograd.grad(value, variables)

        return Timed(step, numbers)

    return build


def _hips_autograd(loss: OwnLoss, pose: Pose) -> Builder:
    """HIPS autograd, whose tensors are NumPy's arrays."""

    def build(autograd: ModuleType, parameter: Any) -> Timed:
        problem = pose(parameter)
        places = tuple(range(len(problem.variables)))
        function = autograd.value_and_grad(lambda *a: loss(autograd, *a, *problem.options), argnum=places)
        arrays = (*problem.variables, *problem.data)
        return Timed(lambda: function(*arrays), numbers)

    return build


def _mygrad_backward(loss: OwnLoss, pose: Pose) -> Builder:
    """Define-by-run MyGrad."""

    def build(mg: ModuleType, parameter: Any) -> Timed:
        problem = pose(parameter)
        variables = [mg.tensor(array) for array in problem.variables]

        def step() -> Any:
            value = loss(mg, *variables, *problem.data, *problem.options)
            value.backward()
            return value.data, [variable.grad for variable in variables]

        return Timed(step, numbers)

    return build


_PEERS: Mapping[str, Callable[[OwnLoss, Pose], Builder]] = {
    "jax": jax_jit,
    "torch": _torch_eager,
    "torch compile": _torch_compiled,
    "autograd": _hips_autograd,
    "mygrad": _mygrad_backward,
}
