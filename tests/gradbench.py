"""The twelve programs of GradBench, as a user of NumPy writes them; derivatives are asked for by public names.

What each computes is published at https://github.com/gradbench/gradbench; ba, gmm, ht and lstm are ADBench's (Srajer,
Kukelova, Fitzgibbon 2018), particle and saddle are from Siskind and Pearlmutter's benchmarks of nested derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import lgamma, log, pi
from typing import Any, NamedTuple

import autodiff as ad
import autodiff.numpy as np

# --- hello, lse, llsq, det -------------------------------------------------------------------------------------------


def square(x: Any) -> Any:
    return x * x


double = ad.grad(square)


def log_sum_exp(x: Any) -> Any:
    largest = np.max(x)
    return largest + np.log(np.sum(np.exp(x - largest)))


def polynomial_fit(x: Any, n: int) -> Any:
    """Half the squared distance of a polynomial from the sign function, at n points of [-1, 1]."""
    t = np.linspace(-1.0, 1.0, n)
    powers = t[:, None] ** np.arange(len(x))
    return 0.5 * np.sum((np.sign(t) - powers @ x) ** 2)


def determinant_by_minors(a: Any) -> Any:
    """Laplace's expansion along the first row."""
    if len(a) == 1:
        return a[0, 0]
    total = 0.0
    for j in range(len(a)):
        rest = [k for k in range(len(a)) if k != j]
        total += (-1) ** j * a[0, j] * determinant_by_minors(a[1:, rest])
    return total


def determinant_by_elimination(a: Any) -> Any:
    """Gauss's elimination with pivots, in place: looks at values to choose rows."""
    a, result = np.copy(a), 1.0
    for i in range(len(a)):
        pivot = max(range(i, len(a)), key=lambda row: abs(a[row, i]))
        if pivot != i:
            a[[i, pivot]] = a[[pivot, i]]
            result = -result
        result *= a[i, i]
        a[i + 1 :, i:] -= np.outer(a[i + 1 :, i] / a[i, i], a[i, i:])
    return result


# --- gmm -------------------------------------------------------------------------------------------------------------


def _log_multigamma(a: float, d: int) -> float:
    return 0.25 * d * (d - 1) * log(pi) + sum(lgamma(a - 0.5 * j) for j in range(d))


def mixture(alphas: Any, means: Any, factors: Any, x: Any, gamma: float, m: int) -> Any:
    """The logarithm of a posterior: points of a mixture of Gaussians with a Wishart prior."""
    n, d = x.shape
    k = len(alphas)
    logarithms, below = factors[:, :d], factors[:, d:]
    roots = np.zeros((k, d, d))
    columns, rows = np.triu_indices(d, 1)
    roots[:, rows, columns] = below
    diagonal = np.arange(d)
    roots[:, diagonal, diagonal] = np.exp(logarithms)
    away = np.einsum("kij,nkj->nki", roots, x[:, None, :] - means)
    inside = alphas + np.sum(logarithms, axis=1) - 0.5 * np.sum(away**2, axis=2)
    largest = np.max(inside, axis=1)
    each = largest + np.log(np.sum(np.exp(inside - largest[:, None]), axis=1))
    degrees = d + m + 1
    prior = np.sum(0.5 * gamma**2 * (np.sum(np.exp(2 * logarithms), axis=1) + np.sum(below**2, axis=1)))
    prior -= m * np.sum(logarithms)
    constant = degrees * d * (log(gamma) - 0.5 * log(2)) - _log_multigamma(0.5 * degrees, d)
    return -n * d * 0.5 * log(2 * pi) + np.sum(each) - n * log_sum_exp(alphas) + prior - k * constant


# --- ba --------------------------------------------------------------------------------------------------------------


def rotated(axis: Any, x: Any) -> Any:
    """Rodrigues' formula; of a small angle its first terms."""
    squared = np.sum(axis**2, axis=-1, keepdims=True)
    is_small = squared < 1e-20
    angle = np.sqrt(np.where(is_small, 1.0, squared))
    unit = axis / angle
    crossed = np.cross(unit, x)
    along = unit * np.sum(unit * x, axis=-1, keepdims=True)
    turned = x * np.cos(angle) + crossed * np.sin(angle) + along * (1 - np.cos(angle))
    return np.where(is_small, x + np.cross(axis, x), turned)


def reprojected(camera: Any, point: Any, weight: Any, feature: Any) -> Any:
    """Where a camera of 11 parameters sees a point, less where it was seen; cameras and points may have more axes."""
    p = rotated(camera[..., :3], point - camera[..., 3:6])
    p = p[..., :2] / p[..., 2:]
    r2 = np.sum(p**2, axis=-1, keepdims=True)
    distortion = 1 + camera[..., 9:10] * r2 + camera[..., 10:11] * r2**2
    return (p * distortion * camera[..., 6:7] + camera[..., 7:9] - feature) * weight[..., None]


def bundle(cameras: Any, points: Any, weights: Any, observed: Any, features: Any) -> tuple[Any, Any]:
    """Errors of all observations, and of the weights."""
    seen_by, seen = observed.T
    return reprojected(cameras[seen_by], points[seen], weights, features), 1 - weights**2


def bundle_blocks(cameras: Any, points: Any, weights: Any, observed: Any, features: Any) -> tuple[Any, Any]:
    """What of the Jacobian is not zero: of each observation the block by its camera, its point and its weight."""
    seen_by, seen = observed.T
    blocks = ad.vmap(ad.jacobian(reprojected, argnums=(0, 1, 2)))(cameras[seen_by], points[seen], weights, features)
    return blocks, ad.elementwise_grad(lambda w: 1 - w**2)(weights)


# --- ht --------------------------------------------------------------------------------------------------------------


class Hand(NamedTuple):
    parents: Any
    relatives: Any
    inverse_absolutes: Any
    positions: Any
    weights: Any
    triangles: Any
    is_mirrored: bool
    correspondences: Any
    points: Any


def euler_rotation(angles: Any) -> Any:
    sx, sy, sz = np.sin(angles)
    cx, cy, cz = np.cos(angles)
    return np.array(
        [
            [cy * cz, -cx * sz + sx * sy * cz, sx * sz + cx * sy * cz],
            [cy * sz, cx * cz + sx * sy * sz, -sx * cz + cx * sy * sz],
            [-sy, sx * cy, cx * cy],
        ]
    )


def axis_rotation(axis: Any) -> Any:
    squared = np.sum(axis**2)
    if squared < 1e-8:
        return np.eye(3)
    angle = np.sqrt(squared)
    x, y, z = axis / angle
    s, c = np.sin(angle), np.cos(angle)
    return np.array(
        [
            [x * x + (1 - x * x) * c, x * y * (1 - c) - z * s, x * z * (1 - c) + y * s],
            [x * y * (1 - c) + z * s, y * y + (1 - y * y) * c, y * z * (1 - c) - x * s],
            [x * z * (1 - c) - y * s, z * y * (1 - c) + x * s, z * z + (1 - z * z) * c],
        ]
    )


def poses(theta: Any, bones: int) -> Any:
    """Rotation, scale and translation of the hand, and the angles of each bone: five fingers bend, and spread once."""
    result = np.zeros((bones + 3, 3))
    result[0], result[1], result[2] = theta[:3], 1.0, theta[3:6]
    angle, bone = 6, 5
    for _ in range(5):
        for joint in (2, 3, 4):
            result[bone, 0] = theta[angle]
            angle += 1
            if joint == 2:
                result[bone, 1] = theta[angle]
                angle += 1
            bone += 1
        bone += 1
    return result


def skinned(theta: Any, hand: Hand) -> Any:
    """The places of all vertices, one a row."""
    bones = len(hand.parents)
    pose = poses(theta, bones)
    absolutes: list[Any] = []
    for bone, parent in enumerate(hand.parents):
        turn = np.eye(4)
        turn[:3, :3] = euler_rotation(pose[bone + 3])
        relative = hand.relatives[bone] @ turn
        absolutes.append(relative if parent == -1 else absolutes[parent] @ relative)
    moved = np.stack(absolutes) @ hand.inverse_absolutes @ hand.positions
    vertices = np.sum(moved[:, :3] * hand.weights[:, None, :], axis=0).T
    if hand.is_mirrored:
        vertices = vertices * np.array([-1.0, 1.0, 1.0])
    return vertices @ (axis_rotation(pose[0]) * pose[1]).T + pose[2]


def hand_errors(theta: Any, hand: Hand) -> Any:
    return (hand.points - skinned(theta, hand)[hand.correspondences]).ravel()


def hand_errors_inside(theta: Any, us: Any, hand: Hand) -> Any:
    """Points correspond to places inside triangles, which are parameters too."""
    corners = skinned(theta, hand)[hand.triangles[hand.correspondences]]
    barycentric = np.concatenate([us, 1 - np.sum(us, axis=1, keepdims=True)], axis=1)
    return (hand.points - np.sum(barycentric[:, :, None] * corners, axis=1)).ravel()


def hand_jacobian_inside(theta: Any, us: Any, hand: Hand) -> Any:
    """Two columns for places inside triangles, as an error depends on its own only, and one for each angle."""

    def along(first: float, second: float) -> Any:
        return ad.jvp(lambda us: hand_errors_inside(theta, us, hand), (us,), (np.full(us.shape, [first, second]),))[1]

    own = np.stack([along(1.0, 0.0), along(0.0, 1.0)], axis=1)
    by_angles = ad.jacobian(lambda theta: hand_errors_inside(theta, us, hand), mode="forward")(theta)
    return np.concatenate([own, by_angles], axis=1)


# --- kmeans ----------------------------------------------------------------------------------------------------------


def clustering(centroids: Any, points: Any) -> Any:
    return np.sum(np.min(np.sum((points[:, None, :] - centroids) ** 2, axis=-1), axis=1))


def newton_direction(centroids: Any, points: Any) -> Any:
    """The gradient, divided by the diagonal of the Hessian: a product with ones, as the rest of its rows is zero."""
    slope, curvature = ad.jvp(
        ad.grad(clustering), (centroids, points), (np.ones_like(centroids), np.zeros_like(points))
    )
    return slope / curvature


# --- lstm ------------------------------------------------------------------------------------------------------------


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def characters(gates: Any, ends: Any, state: Any, sequence: Any) -> Any:
    """The mean loss of a recurrent network that predicts each character of b bits from those before."""
    layers, b = len(gates) // 2, sequence.shape[1]
    state, total = np.copy(state), 0.0
    for now, following in pairwise(sequence):
        x = now * ends[0]
        for layer in range(layers):
            weight, bias = gates[2 * layer].reshape(4, b), gates[2 * layer + 1].reshape(4, b)
            hidden, cell = state[2 * layer], state[2 * layer + 1]
            forget, change = _sigmoid(x * weight[0] + bias[0]), np.tanh(x * weight[3] + bias[3])
            enter, leave = _sigmoid(hidden * weight[1] + bias[1]), _sigmoid(x * weight[2] + bias[2])
            state[2 * layer + 1] = cell * forget + enter * change
            x = state[2 * layer] = leave * np.tanh(state[2 * layer + 1])
        guess = x * ends[1] + ends[2]
        total += np.sum(following * (guess - np.log(2 + np.sum(np.exp(guess)))))
    return -total / ((len(sequence) - 1) * b)


# --- ode -------------------------------------------------------------------------------------------------------------


def runge_kutta(x: Any, steps: int) -> Any:
    """At t = 2, y where y[0]' = x[0] and y[i]' = x[i] y[i-1]: classical Runge-Kutta steps."""

    def slope(y: Any) -> Any:
        return np.concatenate([x[:1], x[1:] * y[:-1]])

    h, y = 2 / steps, np.zeros(len(x))
    for _ in range(steps):
        k1 = slope(y)
        k2 = slope(y + h / 2 * k1)
        k3 = slope(y + h / 2 * k2)
        k4 = slope(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y[-1]


# --- particle, saddle ------------------------------------------------------------------------------------------------


def forward_gradient(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return ad.jacobian(f, mode="forward")


GRADIENTS = {"f": forward_gradient, "r": ad.grad}


def _norm(x: Any) -> Any:
    return np.sqrt(np.sum(x**2))


def argmin(f: Callable[[Any], Any], x: Any, gradient: Callable[..., Any], eta: float = 1e-5) -> Any:
    """Gradient descent, whose steps get longer after ten that went down, and shorter after one that did not."""
    fx, gx, downs = f(x), gradient(f)(x), 0
    while _norm(gx) > 1e-5:
        if downs == 10:
            eta, downs = 2 * eta, 0
            continue
        new = x - eta * gx
        if _norm(x - new) <= 1e-5:
            break
        value = f(new)
        if value < fx:
            x, fx, gx, downs = new, value, gradient(f)(new), downs + 1
        else:
            eta, downs = eta / 2, 0
    return x


def saddle(outer: str, inner: str, start: Any, eta: float = 1e-5) -> tuple[Any, Any]:
    """Where the greatest of x1^2 + y1^2 - x2^2 - y2^2 for all (x2, y2) is least."""

    def height(p: Any, q: Any) -> Any:
        return np.sum(p**2) - np.sum(q**2)

    def greatest(p: Any) -> Any:
        return argmin(lambda q: -height(p, q), start, GRADIENTS[inner], eta)

    p = argmin(lambda p: height(p, greatest(p)), start, GRADIENTS[outer], eta)
    return p, greatest(p)


def landing(w: Any, gradient: Callable[..., Any], dt: float = 1e-1) -> Any:
    """The square of where a charged particle meets y = 0: its acceleration is the slope of a potential."""
    charges = np.array([[10.0, 10.0 - w], [10.0, 0.0]])

    def potential(x: Any) -> Any:
        return np.sum(1 / np.sqrt(np.sum((x - charges) ** 2, axis=1)))

    x, v = np.array([0.0, 8.0]), np.array([0.75, 0.0])
    while True:
        acceleration = -gradient(potential)(x)
        new = x + dt * v
        if new[1] <= 0:
            return (x - x[1] / v[1] * v)[0] ** 2
        x, v = new, v + dt * acceleration


def particle(outer: str, inner: str, eta: float = 1e-5, dt: float = 1e-1) -> Any:
    """The control of a charge for which the particle lands at x = 0."""
    return argmin(lambda w: landing(w, GRADIENTS[inner], dt), 0.0, GRADIENTS[outer], eta)
