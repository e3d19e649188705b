"""ADBench's bundle adjustment: blocks of a Jacobian, one for each observation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.adbench import read_bundle
from benchmarks.derivatives import Derivative, Transforms, contestants
from benchmarks.workload import BEST_PEER, Case, Row, Target, Workload

NAME = "bundle_adjustment"
SIZES = {"100 observations": 100, "1,000 observations": 1_000, "31,843 observations": 31_843}


def cross(xp: Any, a: Any, b: Any) -> Any:
    """The vector product, as each library has it for vectors."""
    return xp.linalg.cross(a, b) if xp.__name__ == "torch" else xp.cross(a, b)


def reprojected(xp: Any, camera: Any, point: Any, weight: Any, feature: Any) -> Any:
    """Where a camera sees a point, less where it was seen: Rodrigues' rotation, radial distortion."""
    axis, x = camera[:3], point - camera[3:6]
    angle = xp.sqrt(xp.sum(axis**2))
    unit = axis / angle
    c, s = xp.cos(angle), xp.sin(angle)
    x = x * c + cross(xp, unit, x) * s + unit * (xp.sum(unit * x) * (1 - c))
    p = x[:2] / x[2]
    r2 = xp.sum(p**2)
    p = p * (1 + camera[9] * r2 + camera[10] * r2**2) * camera[6] + camera[7:9]
    return (p - feature) * weight


def blocks(t: Transforms) -> Any:
    """Of each observation the derivatives by its camera, its point and its weight."""
    one = t.jacobian(lambda *a: reprojected(t.xp, *a), (0, 1, 2))
    return t.vmap(one, (0, 0, 0, 0))


def chosen(count: int) -> tuple[Derivative, Sequence[Any]]:
    """All cameras, points, weights and features by observation."""
    bundle = read_bundle("ba1_n49_m7776_p31843.txt")
    seen_by, seen = bundle.observed[:count].T
    arguments = (bundle.cameras[seen_by], bundle.points[seen], bundle.weights[:count], bundle.features[:count])
    return blocks, arguments


WORKLOAD = Workload(
    name=NAME,
    summary="ADBench's bundle adjustment, 49 cameras and 7,776 points: what of the Jacobian is not zero, float64.",
    contestants=contestants(chosen, peers=("jax", "torch")),
    cases=tuple(Case(name, count, size=count) for name, count in SIZES.items()),
    targets=(Target(1.0, against=BEST_PEER),),
    rows=tuple(Row(f"bundle adjustment, {name}", (name,)) for name in SIZES),
    size_unit="observations",
    rtol=1e-8,
    max_rounds=11,
    max_first_calls=2,
)
