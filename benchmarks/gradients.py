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

from benchmarks import tiers
from benchmarks.compilers import DEFAULT, function_on, graph_on, loaded, torch_compile
from benchmarks.places import CPU, Place
from benchmarks.workload import LAUNCHES, Contestant, Numbers, Timed


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
    compared : int, optional
        Every so many-th row of each gradient must agree: of the largest, not all need to come to the host.
    """

    variables: Sequence[Any]
    data: Sequence[Any] = ()
    options: Sequence[Any] = ()
    compared: int = 1

    def numbers(self, result: tuple[Any, Sequence[Any]], on_host: Callable[[Any], Any] = np.asarray) -> Numbers:
        """The value and the gradients of a step, which ``on_host`` makes NumPy's arrays of."""
        value, gradients = result
        if self.compared > 1:
            gradients = [gradient[:: self.compared] for gradient in gradients]
        return [on_host(value), *map(on_host, gradients)]


Loss = Callable[..., Any]
"""``loss(xp, *variables, *data, *options)`` for the namespace ``xp``; gives a scalar."""

OwnLoss = Callable[..., Any]
"""``loss(module, *variables, *data, *options)`` for one library, given its module."""

Pose = Callable[[Any], Problem]
"""From a case's parameter to the problem."""

Builder = Callable[[ModuleType, Any], Timed]

# PyTorch keeps what it compiled, on disk too, so that only its first call of all compiles.
_FIRST_CALLS = {"torch compile": 1}


def contestants(
    loss: Loss,
    pose: Pose,
    *,
    own: Mapping[str, OwnLoss] | None = None,
    peers: Sequence[str] | None = None,
    only: Mapping[str, Sequence[str]] | None = None,
    place: Place = CPU,
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
        The peers that take part; by default, all of the place.
    only : mapping, optional
        Names of the cases that a peer is restricted to, because others would take it minutes.
    place : Place, optional
        Where they compute.
    """
    own, only = own or {}, only or {}
    return (
        *ours(
            lambda backend: define_by_run(loss, pose, backend, place),
            lambda backend: traced_function(loss, pose, backend, place),
            place,
        ),
        *(
            _peer(name, own.get(_library(name), _in(loss)), pose, only.get(name), place)
            for name in (place.peers if peers is None else peers)
        ),
    )


def ours(
    recorded: Callable[[str], Builder] | None = None,
    traced: Callable[[str], Builder] | None = None,
    place: Place = CPU,
) -> list[Contestant]:
    """Contestants that record at each step, and that trace once, on each of our backends there.

    Where there is a default, the other backends take part in the last of these ways only, which shows what the tiers
    of the default do alone. What is not installed is noted as unavailable.
    """
    ways = [(name, way) for name, way in (("autodiff", recorded), ("autodiff function", traced)) if way is not None]
    return [
        Contestant(f"{name} {backend}".rstrip(), way(backend), library="autodiff", chosen=backend)
        for backend in place.backends
        for name, way in (ways if backend == DEFAULT or DEFAULT not in place.backends else ways[-1:])
    ]


def _peer(name: str, loss: OwnLoss, pose: Pose, cases: Sequence[str] | None, place: Place) -> Contestant:
    builder = _PEERS[name](loss, pose, place)
    return Contestant(name, builder, _library(name), cases, max_first_calls=_FIRST_CALLS.get(name, 1000))


def _library(peer: str) -> str:
    return peer.partition(" ")[0]


def _in(loss: Loss) -> OwnLoss:
    """The loss in the namespace that a library has for it."""
    names = {"jax": "numpy", "autograd": "numpy"}

    def own(module: ModuleType, *arrays: Any) -> Any:
        name = names.get(module.__name__)
        return loss(getattr(module, name) if name else module, *arrays)

    return own


def define_by_run(loss: Loss, pose: Pose, backend: str = DEFAULT, place: Place = CPU) -> Builder:
    """Record afresh at each step; the cached plan gives value and gradients."""

    def build(ad: ModuleType, parameter: Any) -> Timed:
        problem = pose(parameter)
        graph = graph_on(ad, backend, place.backends[backend])
        variables = [graph.tensor(array) for array in problem.variables]
        data = [graph.tensor(array, constant=True) for array in problem.data]
        graph.add_variables(*variables)

        def record() -> Any:
            return loss(np, *variables, *data, *problem.options)

        def step() -> Any:
            return graph.value_and_gradient(record(), variables)

        def launches() -> dict[str, float]:
            return {LAUNCHES: graph.explain(record(), variables).launches}

        return _of_ours(step, problem, graph.backend, place, tiers.of_graph(graph, record, variables), launches)

    return build


def traced_function(loss: Loss, pose: Pose, backend: str = DEFAULT, place: Place = CPU) -> Builder:
    """Trace once, then replay on arrays of the backend's."""

    def build(ad: ModuleType, parameter: Any) -> Timed:
        problem = pose(parameter)
        places = tuple(range(len(problem.variables)))
        value_and_grad = ad.value_and_grad(lambda *a: loss(np, *a, *problem.options), argnums=places)
        function = function_on(ad, value_and_grad, backend, place.backends[backend])
        computing = loaded(ad, backend, place.backends[backend])
        arrays = [
            computing.home.asarray(array) if isinstance(array, np.ndarray) else array
            for array in (*problem.variables, *problem.data)
        ]
        return _of_ours(lambda: function(*arrays), problem, computing, place, tiers.of_function(ad, function))

    return build


def _of_ours(
    step: Callable[[], Any],
    problem: Problem,
    backend: Any,
    place: Place,
    tier: tiers.Tier,
    launches: Callable[[], Mapping[str, float]] = dict,
) -> Timed:
    """An entry whose results are arrays of the backend's."""

    def numbers(result: Any) -> Numbers:
        return problem.numbers(result, backend.home.to_numpy)

    if not place.queued:
        return Timed(step, numbers, tier=tier)
    return Timed(step, numbers, launches, lambda _result: backend.synchronize(), tier)


def jax_jit(loss: OwnLoss, pose: Pose, place: Place = CPU) -> Builder:
    """Compile once; the arrays are JAX's already."""

    def build(jax: ModuleType, parameter: Any) -> Timed:
        problem = pose(parameter)
        places = tuple(range(len(problem.variables)))
        function = jax.jit(jax.value_and_grad(lambda *a: loss(jax, *a, *problem.options), argnums=places))
        device = place.jax_device(jax)
        arrays = [jax.device_put(np.asarray(array), device) for array in (*problem.variables, *problem.data)]
        if place.queued:
            return Timed(lambda: function(*arrays), problem.numbers, wait=jax.block_until_ready)
        return Timed(lambda: jax.block_until_ready(function(*arrays)), problem.numbers)

    return build


def torch_eager(loss: OwnLoss, pose: Pose, place: Place = CPU) -> Builder:
    """Define-by-run PyTorch."""

    def build(torch: ModuleType, parameter: Any) -> Timed:
        problem = pose(parameter)
        return _of_torch(torch, lambda *a: loss(torch, *a, *problem.options), problem, place)

    return build


def _torch_compiled(loss: OwnLoss, pose: Pose, place: Place) -> Builder:
    """PyTorch with the loss compiled, and with it its backward pass."""

    def build(torch: ModuleType, parameter: Any) -> Timed:
        problem = pose(parameter)
        compiled = torch_compile(torch, lambda *a: loss(torch, *a, *problem.options))
        return _of_torch(torch, compiled, problem, place)

    return build


def _of_torch(torch: ModuleType, function: Callable[..., Any], problem: Problem, place: Place) -> Timed:
    """PyTorch's value and gradients of a function of its tensors."""
    variables = [place.tensor(torch, np.asarray(array)).clone().requires_grad_() for array in problem.variables]
    data = [place.tensor(torch, np.asarray(array)) for array in problem.data]

    def step() -> Any:
        value = function(*variables, *data)
        return value.detach(), torch.autograd.grad(value, variables)

    def numbers(result: Any) -> Numbers:
        return problem.numbers(result, lambda tensor: tensor.cpu().numpy())

    return Timed(step, numbers, wait=place.waiting(torch))


def _hips_autograd(loss: OwnLoss, pose: Pose, _place: Place) -> Builder:
    """HIPS autograd, whose tensors are NumPy's arrays."""

    def build(autograd: ModuleType, parameter: Any) -> Timed:
        problem = pose(parameter)
        places = tuple(range(len(problem.variables)))
        function = autograd.value_and_grad(lambda *a: loss(autograd, *a, *problem.options), argnum=places)
        arrays = (*problem.variables, *problem.data)
        return Timed(lambda: function(*arrays), problem.numbers)

    return build


def _mygrad_backward(loss: OwnLoss, pose: Pose, _place: Place) -> Builder:
    """Define-by-run MyGrad."""

    def build(mg: ModuleType, parameter: Any) -> Timed:
        problem = pose(parameter)
        variables = [mg.tensor(array) for array in problem.variables]

        def step() -> Any:
            value = loss(mg, *variables, *problem.data, *problem.options)
            value.backward()
            return value.data, [variable.grad for variable in variables]

        return Timed(step, problem.numbers)

    return build


_PEERS: Mapping[str, Callable[[OwnLoss, Pose, Place], Builder]] = {
    "jax": jax_jit,
    "torch": torch_eager,
    "torch compile": _torch_compiled,
    "autograd": _hips_autograd,
    "mygrad": _mygrad_backward,
}
