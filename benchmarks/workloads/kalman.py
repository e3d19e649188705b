"""The likelihood of a Kalman filter: products, systems and determinants of small matrices in a Python loop."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants, jax_jit
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Contestant, Row, Workload

NAME = "kalman"
STATE, SEEN = 4, 2
SIZES = {"10 steps": 10, "100 steps": 100, "400 steps": 400}
FEW = ("10 steps",)


def pose(steps: int) -> Problem:
    """How states change, how they are seen, and logarithms of the noise of both; what was seen, and identities."""
    random = np.random.default_rng(0)
    turn = np.eye(STATE) * 0.9 + random.normal(0, 0.1, (STATE, STATE))
    look = random.normal(0, 1, (SEEN, STATE))
    observed = np.cumsum(random.normal(0, 0.3, (steps, SEEN)), axis=0)
    return Problem([turn, look, np.full(STATE, -1.0), np.full(SEEN, -1.0)], [observed, np.eye(STATE), np.eye(SEEN)])


def step(xp: Any, parameters: Any, mean: Any, cov: Any, seen: Any) -> tuple[Any, Any, Any]:
    """The next mean and covariance, and the observation's likelihood."""
    turn, look, moved, noise = parameters
    mean, cov = turn @ mean, turn @ cov @ turn.T + moved
    residual = seen - look @ mean
    spread = look @ cov @ look.T + noise
    gain = xp.linalg.solve(spread, look @ cov).T
    white = xp.linalg.solve(spread, residual)
    likelihood = -0.5 * (xp.sum(residual * white) + xp.linalg.slogdet(spread)[1])
    return mean + gain @ residual, cov - gain @ look @ cov, likelihood


def prepared(xp: Any, arguments: Any) -> tuple[Any, Any, Any]:
    """The step's parameters, the observations, and the first covariance."""
    turn, look, moved, noise, observed, eye, unit = arguments
    return (turn, look, xp.exp(moved) * eye, xp.exp(noise) * unit), observed, eye


def in_loop(xp: Any, *arguments: Any) -> Any:
    """Of all observations, negative."""
    parameters, observed, cov = prepared(xp, arguments)
    mean, total = cov[0] * 0.0, 0.0
    for t in range(observed.shape[0]):
        mean, cov, likelihood = step(xp, parameters, mean, cov, observed[t])
        total = total - likelihood
    return total


def in_scan(jax: ModuleType, *arguments: Any) -> Any:
    """The loop as one operation of JAX."""
    parameters, observed, cov = prepared(jax.numpy, arguments)

    def one(state: Any, seen: Any) -> Any:
        *state, likelihood = step(jax.numpy, parameters, *state, seen)
        return tuple(state), likelihood

    _, likelihoods = jax.lax.scan(one, (cov[0] * 0.0, cov), observed)
    return -jax.numpy.sum(likelihoods)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        f"Negative log likelihood of a Kalman filter of {STATE} states and {SEEN} observations a step, and its "
        "gradients by its four parameters, float64. `jax` and `torch compile` unroll the loop and take part in the "
        "smallest case; `jax scan` says the loop in `jax.lax.scan`."
    ),
    contestants=(
        *contestants(in_loop, pose, peers=("jax", "torch", "torch compile"), only={"jax": FEW, "torch compile": FEW}),
        Contestant("jax scan", jax_jit(in_scan, pose), library="jax"),
    ),
    cases=tuple(Case(name, steps, size=steps) for name, steps in SIZES.items()),
    targets=(HELD_OUT_ROW,),
    rows=(Row("Kalman filter, 10 to 400 steps of 4 states"),),
    group=HELD_OUT,
    size_unit="steps",
    rtol=1e-7,
    max_rounds=11,
    max_first_calls=2,
)
