"""ADBench's bundle adjustment as one objective: cameras and points gathered by observation, and added to in reverse."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.adbench import read_bundle
from benchmarks.gradients import Problem, contestants
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Row, Workload

NAME = "reprojection"
SIZES = {"100 observations": 100, "2,000 observations": 2_000, "31,843 observations": 31_843}


def pose(count: int) -> Problem:
    """All cameras, points and weights; features, and the camera and the point of each observation."""
    bundle = read_bundle("ba1_n49_m7776_p31843.txt")
    places = [np.ascontiguousarray(column) for column in bundle.observed[:count].T]
    points = bundle.points[: places[1].max() + 1]
    return Problem([bundle.cameras, points, bundle.weights[:count]], [bundle.features[:count], *places])


def cross(xp: Any, a: Any, b: Any) -> Any:
    """Vector products of rows."""
    return xp.stack(
        (
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ),
        1,
    )


def objective(xp: Any, cameras: Any, points: Any, weights: Any, features: Any, seen_by: Any, seen: Any) -> Any:
    """Squared errors of all observations, and of the weights: Rodrigues' rotation, radial distortion."""
    camera, point = cameras[seen_by], points[seen]
    axis, x = camera[:, :3], point - camera[:, 3:6]
    angle = xp.sqrt(xp.sum(axis * axis, axis=1))[:, None]
    unit = axis / angle
    c, s = xp.cos(angle), xp.sin(angle)
    x = x * c + cross(xp, unit, x) * s + unit * (xp.sum(unit * x, axis=1)[:, None] * (1 - c))
    p = x[:, :2] / x[:, 2:]
    r2 = xp.sum(p * p, axis=1)[:, None]
    p = p * (1 + camera[:, 9:10] * r2 + camera[:, 10:11] * r2 * r2) * camera[:, 6:7] + camera[:, 7:9]
    errors = (p - features) * weights[:, None]
    return xp.sum(errors * errors) + xp.sum((1 - weights * weights) ** 2)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        "The sum of all squared errors of ADBench's bundle adjustment, 49 cameras and 7,776 points, and its gradients "
        "by cameras, points and weights, float64."
    ),
    contestants=contestants(objective, pose, peers=("jax", "torch", "torch compile")),
    cases=tuple(Case(name, count, size=count) for name, count in SIZES.items()),
    targets=(HELD_OUT_ROW,),
    rows=(Row("bundle adjustment as one objective, 100 to 31,843 observations"),),
    group=HELD_OUT,
    size_unit="observations",
    rtol=1e-7,
    max_rounds=11,
    max_first_calls=2,
)
