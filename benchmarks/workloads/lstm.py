"""Long short-term memory of ADBench: hundreds to tens of thousands of operations on 14 numbers each."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from benchmarks.adbench import read_recurrent
from benchmarks.gradients import Problem, contestants, jax_jit
from benchmarks.workload import TRACED, Case, Contestant, Row, Target, Workload

NAME = "lstm"
SIZES = {"10 steps": 10, "100 steps": 100, "1,023 steps": 1_023}
FEW, MANY = ("10 steps",), ("10 steps", "100 steps")
OURS = ("autodiff", "autodiff function")


def pose(steps: int) -> Problem:
    """Parameters of the gates and of the output; states and the first characters."""
    network = read_recurrent("lstm_l2_c1024.txt")
    return Problem([network.gates, network.output], [network.states, network.sequence[: steps + 1]], [steps])


def sigmoid(xp: Any, x: Any) -> Any:
    """1 / (1 + exp(-x)), or PyTorch's own."""
    return xp.sigmoid(x) if xp.__name__ == "torch" else 1 / (1 + xp.exp(-x))


def layer(xp: Any, weight: Any, bias: Any, hidden: Any, cell: Any, x: Any) -> tuple[Any, Any]:
    """The hidden state and the cell after one character."""
    size = hidden.shape[0]
    gates = xp.concatenate((x, hidden, x, hidden)) * weight + bias
    forget = sigmoid(xp, gates[:size])
    ingate = sigmoid(xp, gates[size : 2 * size])
    outgate = sigmoid(xp, gates[2 * size : 3 * size])
    change = xp.tanh(gates[3 * size :])
    cell = cell * forget + ingate * change
    return outgate * xp.tanh(cell), cell


def predict(xp: Any, gates: Any, output: Any, states: Any, x: Any) -> tuple[Any, list[Any]]:
    """The next character and the new states, from the present ones."""
    x = x * output[0]
    new = []
    for i in range(0, len(states), 2):
        x, cell = layer(xp, gates[i], gates[i + 1], states[i], states[i + 1], x)
        new += [x, cell]
    return x * output[1] + output[2], new


def step_loss(xp: Any, prediction: Any, target: Any) -> Any:
    """Logarithm of the likelihood of one character."""
    return xp.sum(target * (prediction - xp.log(2 + xp.sum(xp.exp(prediction)))))


def in_loop(xp: Any, gates: Any, output: Any, states: Any, sequence: Any, steps: int) -> Any:
    """Mean loss over the sequence."""
    states = [states[i] for i in range(4)]
    total = 0.0
    for t in range(steps):
        prediction, states = predict(xp, gates, output, states, sequence[t])
        total = total + step_loss(xp, prediction, sequence[t + 1])
    return -total / (steps * sequence.shape[1])


def in_scan(jax: ModuleType, gates: Any, output: Any, states: Any, sequence: Any, steps: int) -> Any:
    """The loop as one operation of JAX."""

    def step(carried: Any, characters: Any) -> Any:
        prediction, new = predict(jax.numpy, gates, output, carried, characters[0])
        return new, step_loss(jax.numpy, prediction, characters[1])

    pairs = (sequence[:-1], sequence[1:])
    _, losses = jax.lax.scan(step, [states[i] for i in range(4)], pairs)
    return -jax.numpy.sum(losses) / (steps * sequence.shape[1])


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "Loss of a recurrent network (ADBench LSTM, 2 layers of 14 numbers, 1,024 characters) and the gradients of its "
        "parameters, float64. `jax` and `torch compile` unroll the Python loop, which takes minutes and "
        "gigabytes to compile for more than a few steps; `jax scan` says the loop in `jax.lax.scan`."
    ),
    contestants=(
        *contestants(
            in_loop,
            pose,
            peers=("jax", "torch", "torch compile", "autograd"),
            only={"jax": FEW, "torch compile": FEW, "autograd": MANY},
        ),
        Contestant("jax scan", jax_jit(in_scan, pose), library="jax"),
    ),
    cases=tuple(Case(name, steps, size=steps) for name, steps in SIZES.items()),
    targets=(
        Target(0.15, contestants=TRACED, against="torch"),
        *(Target(0.2, contestants=(name,), first_call=True, cases=FEW) for name in OURS),
        *(Target(5.0, contestants=(name,), first_call=True, cases=("1,023 steps",)) for name in OURS),
    ),
    rows=tuple(Row(f"ADBench LSTM, {name}", (name,)) for name in SIZES),
    size_unit="steps",
    max_rounds=7,
    max_first_calls=2,
)
