"""What tests of programs share: a verifier, and a collection of graphs."""

from collections.abc import Callable

import numpy as np
import pytest

import autodiff as ad
from autodiff.core.program import NUMBER
from autodiff.nodes import Node
from autodiff.plan import Program

A = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])
B = np.array([[0.7, 4.1, -1.3], [1.6, -0.35, 3.2]])


def _check_value(program: Program, number: int) -> None:
    aval, signature, arguments = program.avals[number], program.signatures[number], program.arguments[number]
    if signature is None:
        assert arguments == ()
        assert (number < program.n_inputs) != (number in program.constants)
        assert program.heads[number] == (None if aval.literal is None else NUMBER)
        if number in program.constants and aval.spec is None:
            assert np.shape(program.constants[number]) == aval.shape
        return
    assert number >= program.n_inputs
    assert number not in program.constants
    assert all(0 <= a < number for a in arguments), "an argument is used before it is made"
    assert signature.inputs == tuple(program.avals[a] for a in arguments)
    inferred = signature.primitive.infer(signature.primitive, *signature.inputs, **signature.keywords)
    assert inferred is signature.out is aval, f"{signature!r}: {inferred!r} is not {aval!r}"
    assert program.heads[number] is signature.primitive


@pytest.fixture(scope="session")
def verify() -> Callable[[Program], Program]:
    """A function that fails on a program which breaks an invariant."""

    def check(program: Program) -> Program:
        count = len(program.avals)
        assert len(program.signatures) == len(program.arguments) == len(program.heads) == count
        for number in range(count):
            _check_value(program, number)
        made = [(s, a) for s, a in zip(program.signatures, program.arguments) if s is not None]
        assert len(set(made)) == len(made), "one application is there twice"
        assert all(0 <= number < count for number in program.outputs)
        live = program.live()
        assert live == sorted(set(live))
        assert set(program.outputs) <= set(live)
        assert all(set(program.arguments[number]) <= set(live) for number in live)
        assert program.applications() == [
            (n, signature, program.arguments[n]) for n in live if (signature := program.signatures[n]) is not None
        ]
        return program

    return check


def _network(x: ad.Tensor, w: ad.Tensor) -> ad.Tensor:
    return np.mean((np.tanh(w @ x.T + np.ones((2, 1))) - B[:, :2]) ** 2)


def _written(x: ad.Tensor, w: ad.Tensor) -> ad.Tensor:
    y = x * 2
    y[0, [0, 0, 2]] = w[1]
    y[1] += w[0] * y[0]
    return y**2


GRAPHS = {
    "polynomial": lambda x, w: 3 * x**3 - x * x / 7 + w * 1.0 - (-x) + 0 * w,
    "chain": lambda x, w: np.sin(np.exp(-(x**2)) * w),
    "network": _network,
    "broadcast": lambda x, w: (x[:, None, :] - w[None]) ** 2 * np.array([1.0, 2.0, 3.0]),
    "choice": lambda x, w: np.where(x > w, np.sqrt(np.abs(x)), np.maximum(x, w)),
    "reductions": lambda x, w: np.std(x, axis=1) * np.max(w) + np.prod(x + 3, axis=0).mean() + np.var(w),
    "indices": lambda x, w: x[[0, 0, 1]] * w[:1] + x[1, ::-1],
    "written": _written,
    "shapes": lambda x, w: np.concatenate([x.T.reshape(2, 3), np.stack([w[0], x[1]])]).T.ravel()[::2],
    "einsum": lambda x, w: np.einsum("ij,kj->ik", x, w) ** 2 + np.tensordot(x, w, 2),
    "cumulative": lambda x, w: np.cumsum(x, axis=1) * np.cumprod(w, axis=0),
    "complex": lambda x, w: np.real(np.exp(1j * x) * (w + 2j)) + np.abs(x + 1j * w),
    "single": lambda x, w: x.astype(np.float32) * 2.5 + w.astype(np.float32) ** 2,
    "integers": lambda x, w: np.floor(x) * w + np.argmax(x, axis=1)[:, None],
    "scalars": lambda x, w: np.sum(x) * np.sin(np.sum(w) / 3) + np.sum(x) ** -2,
    "powers": lambda x, w: np.abs(x) ** w + np.abs(w) ** 0.5 + np.abs(x) ** -1.5 + (x + 9) ** 7,
    "stopped": lambda x, w: ad.stop_gradient(x * w) * x + np.reciprocal(w),
}


def _derivatives(function: Callable[..., ad.Tensor], order: int) -> tuple[list[Node], list[Node]]:
    x, w = ad.Tensor(A), ad.Tensor(B)
    y = function(x, w)
    if order == 0:
        return [x.node, w.node], [y.node]
    found = ad.Graph().gradient(y, [x, w], order, as_tensors=True)
    return [x.node, w.node], [y.node, *[t.node for t in found]]


@pytest.fixture(params=[f"{name}-{order}" for name in GRAPHS for order in range(3)])
def graph(request: pytest.FixtureRequest) -> tuple[list[Node], list[Node]]:
    """Inputs and outputs of a graph: a function of two arrays with its derivatives of one order."""
    name, _, order = request.param.partition("-")
    return _derivatives(GRAPHS[name], int(order))
