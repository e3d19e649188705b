"""Small programs of many fields, as scientists write them: with loops, slices, buffers and arguments written in place.

In the spirit of NPBench and PolyBench, whose kernels are such; written for these tests. Each takes arrays and numbers,
and returns arrays or changes its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy  # noqa: ICN001

import autodiff.numpy as np

# --- stencils --------------------------------------------------------------------------------------------------------


def jacobi_1d(a: Any, b: Any) -> None:
    for _ in range(3):
        b[1:-1] = 0.33333 * (a[:-2] + a[1:-1] + a[2:])
        a[1:-1] = 0.33333 * (b[:-2] + b[1:-1] + b[2:])


def heat_3d(a: Any, b: Any) -> None:
    for _ in range(2):
        for old, new in ((a, b), (b, a)):
            middle = old[1:-1, 1:-1, 1:-1]
            new[1:-1, 1:-1, 1:-1] = (
                0.125 * (old[2:, 1:-1, 1:-1] - 2.0 * middle + old[:-2, 1:-1, 1:-1])
                + 0.125 * (old[1:-1, 2:, 1:-1] - 2.0 * middle + old[1:-1, :-2, 1:-1])
                + 0.125 * (old[1:-1, 1:-1, 2:] - 2.0 * middle + old[1:-1, 1:-1, :-2])
                + middle
            )


def fdtd_2d(ex: Any, ey: Any, hz: Any, source: Any) -> None:
    for t in range(3):
        ey[0, :] = source[t]
        ey[1:, :] -= 0.5 * (hz[1:, :] - hz[:-1, :])
        ex[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
        hz[:-1, :-1] -= 0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1])


def adi(u: Any) -> None:
    n = u.shape[0]
    v, p, q = np.empty(u.shape, dtype=u.dtype), np.empty(u.shape, dtype=u.dtype), np.empty(u.shape, dtype=u.dtype)
    a, b = -0.4, 1.8
    for _ in range(2):
        for x, y in ((u.T, v), (v.T, u)):
            y[0, 1:-1] = 1.0
            p[1:-1, 0] = 0.0
            q[1:-1, 0] = y[0, 1:-1]
            for j in range(1, n - 1):
                p[1:-1, j] = -a / (a * p[1:-1, j - 1] + b)
                q[1:-1, j] = (x[j, :-2] + 0.2 * x[j, 1:-1] + x[j, 2:] - a * q[1:-1, j - 1]) / (a * p[1:-1, j - 1] + b)
            y[-1, 1:-1] = 1.0
            for j in range(n - 2, 0, -1):
                y[j, 1:-1] = p[1:-1, j] * y[j + 1, 1:-1] + q[1:-1, j]


def hdiff(field: Any, out: Any, coefficient: Any) -> None:
    ni, nj = out.shape
    lap = 4.0 * field[1:-1, 1:-1] - (field[2:, 1:-1] + field[:-2, 1:-1] + field[1:-1, 2:] + field[1:-1, :-2])
    change = lap[1:, 1:-1] - lap[:-1, 1:-1]
    flx = np.where(change * (field[2:-1, 2:-2] - field[1:-2, 2:-2]) > 0, 0, change)
    change = lap[1:-1, 1:] - lap[1:-1, :-1]
    fly = np.where(change * (field[2:-2, 2:-1] - field[2:-2, 1:-2]) > 0, 0, change)
    out[:, :] = field[2 : ni + 2, 2 : nj + 2] - coefficient * (flx[1:] - flx[:-1] + fly[:, 1:] - fly[:, :-1])


def vadv(wind: Any, position: Any, out: Any) -> None:
    """A tridiagonal system in each column."""
    levels = position.shape[1]
    c, d = np.zeros(position.shape), np.zeros(position.shape)
    for k in range(levels):
        lower = -0.25 * wind[:, k - 1] if k else 0.0
        upper = 0.25 * wind[:, k]
        c[:, k] = upper
        d[:, k] = position[:, k]
        if k:
            scale = 1.0 / (2.0 - c[:, k - 1] * lower)
            c[:, k] *= scale
            d[:, k] = (d[:, k] - d[:, k - 1] * lower) * scale
    value = d[:, -1].copy()
    out[:, -1] = value
    for k in range(levels - 2, -1, -1):
        value[:] = d[:, k] - c[:, k] * value
        out[:, k] = 3.0 * (value - position[:, k])


def cavity_flow(u: Any, v: Any, p: Any) -> None:
    dt, dx, rho, nu = 0.01, 0.5, 1.0, 0.1
    b = np.zeros_like(u)
    for _ in range(2):
        ux, vy = (u[1:-1, 2:] - u[1:-1, :-2]) / (2 * dx), (v[2:, 1:-1] - v[:-2, 1:-1]) / (2 * dx)
        b[1:-1, 1:-1] = rho * ((ux + vy) / dt - ux**2 - vy**2)
        for _ in range(2):
            pn = p.copy()
            p[1:-1, 1:-1] = 0.25 * (pn[1:-1, 2:] + pn[1:-1, :-2] + pn[2:, 1:-1] + pn[:-2, 1:-1] - dx**2 * b[1:-1, 1:-1])
            p[:, -1], p[0, :], p[:, 0], p[-1, :] = p[:, -2], p[1, :], p[:, 1], 0
        un, vn = u.copy(), v.copy()
        for x, xn, axis in ((u, un, 1), (v, vn, 0)):
            before = p[1:-1, :-2] if axis else p[:-2, 1:-1]
            after = p[1:-1, 2:] if axis else p[2:, 1:-1]
            x[1:-1, 1:-1] = (
                xn[1:-1, 1:-1]
                - un[1:-1, 1:-1] * dt / dx * (xn[1:-1, 1:-1] - xn[1:-1, :-2])
                - vn[1:-1, 1:-1] * dt / dx * (xn[1:-1, 1:-1] - xn[:-2, 1:-1])
                - dt / (2 * rho * dx) * (after - before)
                + nu * dt / dx**2 * (xn[1:-1, 2:] + xn[1:-1, :-2] + xn[2:, 1:-1] + xn[:-2, 1:-1] - 4 * xn[1:-1, 1:-1])
            )
        u[0, :], u[:, 0], u[:, -1], u[-1, :] = 0, 0, 0, 1
        v[0, :], v[-1, :], v[:, 0], v[:, -1] = 0, 0, 0, 0


def channel_flow(u: Any, p: Any) -> Any:
    """With a wall on both sides, periodic along the channel; until it changes little."""
    change, steps = 1.0, 0
    while change > 1e-3 and steps < 4:
        un = u.copy()
        u[1:-1, :] = un[1:-1, :] + 0.1 * (
            np.roll(un[1:-1, :], -1, axis=1)
            + np.roll(un[1:-1, :], 1, axis=1)
            + un[2:, :]
            + un[:-2, :]
            - 4 * un[1:-1, :]
        )
        u[1:-1, :] -= 0.05 * (p[2:, :] - p[:-2, :])
        u[0, :] = u[-1, :] = 0
        change = 1.0 if np.max(np.abs(u - un)) > 1e-3 else 0.0
        steps += 1
    return u


# --- linear algebra --------------------------------------------------------------------------------------------------


def ludcmp(a: Any, b: Any) -> tuple[Any, Any]:
    n = a.shape[0]
    x, y = np.zeros_like(b), np.zeros_like(b)
    for i in range(n):
        for j in range(i):
            a[i, j] -= a[i, :j] @ a[:j, j]
            a[i, j] /= a[j, j]
        for j in range(i, n):
            a[i, j] -= a[i, :i] @ a[:i, j]
    for i in range(n):
        y[i] = b[i] - a[i, :i] @ y[:i]
    for i in range(n - 1, -1, -1):
        x[i] = (y[i] - a[i, i + 1 :] @ x[i + 1 :]) / a[i, i]
    return x, y


def gemver(a: Any, u: Any, v: Any, x: Any, w: Any) -> None:
    a += np.outer(u, v) + np.multiply.outer(v, u)
    x += 0.7 * u @ a + v
    w += 1.5 * a @ x


def trmm(a: Any, b: Any) -> None:
    for i in range(b.shape[0]):
        for j in range(b.shape[1]):
            b[i, j] += np.dot(a[i + 1 :, i], b[i + 1 :, j])
    b *= 1.3


def symm(a: Any, b: Any, c: Any) -> None:
    c *= 0.8
    temporary = np.empty((c.shape[1],), dtype=c.dtype)
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            c[:i, j] += 1.2 * b[i, j] * a[i, :i]
            temporary[j] = b[:i, j] @ a[i, :i]
        c[i, :] += 1.2 * b[i, :] * a[i, i] + 1.2 * temporary


def syrk(a: Any, c: Any) -> None:
    for i in range(a.shape[0]):
        c[i, : i + 1] *= 0.5
        for k in range(a.shape[1]):
            c[i, : i + 1] += 1.5 * a[i, k] * a[: i + 1, k]


def doitgen(a: Any, c: Any) -> None:
    for r in range(a.shape[0]):
        a[r, :, :] = np.reshape(np.reshape(a[r], (a.shape[1], 1, a.shape[2])) @ c, (a.shape[1], a.shape[2]))


def bicg(a: Any, p: Any, r: Any) -> tuple[Any, Any]:
    s, q = np.zeros(a.shape[1]), np.zeros(a.shape[0])
    for i in range(a.shape[0]):
        s[:] += r[i] * a[i]
        q[i] += np.dot(a[i], p)
    return s, q


def contour_integral(h: Any, shifts: Any) -> Any:
    total = np.zeros((h.shape[0], 2), dtype=np.complex128)
    probe = np.eye(h.shape[0])[:, :2]
    for z in shifts:
        total += np.linalg.solve(z * np.eye(h.shape[0]) - h, probe) * (z / len(shifts))
    return np.abs(total)


# --- learning and statistics -----------------------------------------------------------------------------------------


def conv2d_bias(images: Any, weights: Any, bias: Any) -> Any:
    k = weights.shape[0]
    n, height, width, _ = images.shape
    out = np.empty((n, height - k + 1, width - k + 1, weights.shape[3]), dtype=images.dtype)
    for i in range(height - k + 1):
        for j in range(width - k + 1):
            out[:, i, j, :] = np.sum(
                images[:, i : i + k, j : j + k, :, np.newaxis] * weights[np.newaxis, :, :, :], axis=(1, 2, 3)
            )
    return out + bias


def softmax(x: Any) -> Any:
    exponents = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return exponents / np.sum(exponents, axis=-1, keepdims=True)


def mlp(x: Any, w1: Any, b1: Any, w2: Any) -> Any:
    hidden = np.maximum(x @ w1 + b1, 0)
    return softmax(hidden @ w2)


def max_pool(x: Any) -> Any:
    out = np.empty([x.shape[0] // 2, x.shape[1] // 2], dtype=x.dtype)
    for i in range(x.shape[0] // 2):
        for j in range(x.shape[1] // 2):
            out[i, j] = np.max(x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2], axis=(0, 1))
    return out


def correlation(data: Any) -> Any:
    columns = data.shape[1]
    mean, stddev = np.mean(data, axis=0), np.std(data, axis=0)
    stddev[stddev <= 0.1] = 1.0
    data -= mean
    data /= np.sqrt(data.shape[0]) * stddev
    corr = np.eye(columns, dtype=data.dtype)
    for i in range(columns - 1):
        corr[i + 1 :, i] = corr[i, i + 1 :] = data[:, i] @ data[:, i + 1 :]
    return corr


def batch_norm(x: Any, scale: Any) -> Any:
    x -= np.mean(x, axis=0, keepdims=True)
    x /= np.sqrt(np.var(x, axis=0, keepdims=True) + 1e-5)
    return x * scale


def k_means_step(points: Any, centres: Any) -> Any:
    distances = np.sum((points[:, None, :] - centres[None, :, :]) ** 2, axis=2)
    nearest = np.argmin(distances, axis=1)
    sums, counts = np.zeros(centres.shape), np.zeros(len(centres))
    np.add.at(sums, nearest, points)
    np.add.at(counts, nearest, 1.0)
    return sums / np.maximum(counts, 1.0)[:, None]


# --- signals, particles, paths ---------------------------------------------------------------------------------------


def deriche(image: Any) -> Any:
    alpha = 0.25
    k = (1.0 - np.exp(-alpha)) ** 2 / (1.0 + 2.0 * alpha * np.exp(-alpha) - np.exp(2.0 * -alpha))
    a1, a2, b1, b2 = k, k * np.exp(-alpha) * (alpha - 1.0), 2.0**-alpha, -np.exp(-2.0 * alpha)
    y1, y2 = np.empty_like(image), np.empty_like(image)
    y1[:, 0] = a1 * image[:, 0]
    y1[:, 1] = a1 * image[:, 1] + a2 * image[:, 0] + b1 * y1[:, 0]
    for j in range(2, image.shape[1]):
        y1[:, j] = a1 * image[:, j] + a2 * image[:, j - 1] + b1 * y1[:, j - 1] + b2 * y1[:, j - 2]
    y2[:, -1] = 0.0
    y2[:, -2] = a1 * image[:, -1]
    for j in range(image.shape[1] - 3, -1, -1):
        y2[:, j] = a1 * image[:, j + 1] + a2 * image[:, j + 2] + b1 * y2[:, j + 1] + b2 * y2[:, j + 2]
    return y1 + y2


def stockham_fft(x: Any) -> Any:
    """Of a length that is a power of two."""
    n = x.shape[0]
    y, length, stride = x + 0j, n, 1
    while length > 1:
        half = length // 2
        twiddle = np.exp(-2j * np.pi * np.arange(half) / length)
        pairs = np.reshape(y, (2, half, stride))
        out = np.empty((half, 2, stride), dtype=np.complex128)
        out[:, 0, :] = pairs[0] + pairs[1]
        out[:, 1, :] = (pairs[0] - pairs[1]) * twiddle[:, None]
        y = np.reshape(out, n)
        length, stride = half, stride * 2
    return np.abs(y) ** 2


def nbody(mass: Any, position: Any, velocity: Any) -> Any:
    energies = np.zeros(3)
    for step in range(3):
        x, y = position[:, 0:1], position[:, 1:2]
        dx, dy = x.T - x, y.T - y
        inverse = dx**2 + dy**2 + 0.1
        inverse[inverse > 0] = inverse[inverse > 0] ** -1.5
        acceleration = np.hstack(((dx * inverse) @ mass, (dy * inverse) @ mass))
        velocity += acceleration * 0.05
        position += velocity * 0.1
        energies[step] = 0.5 * np.sum(mass * velocity**2)
    return energies


def floyd_warshall(path: Any) -> None:
    for k in range(path.shape[0]):
        path[:] = np.minimum(path[:], np.add.outer(path[:, k], path[k, :]))


def nussinov(scores: Any) -> Any:
    """The best pairing of a sequence, with real scores of pairs."""
    n = scores.shape[0]
    table = np.zeros((n, n), scores.dtype)
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            table[i, j] = np.maximum(table[i, j - 1], table[i + 1, j])
            table[i, j] = np.maximum(table[i, j], table[i + 1, j - 1] + (scores[i, j] if i < j - 1 else 0.0))
            for k in range(i + 1, j):
                table[i, j] = np.maximum(table[i, j], table[i, k] + table[k + 1, j])
    return table[0]


def mandelbrot(real: Any, imaginary: Any) -> Any:
    c = real[None, :] + 1j * imaginary[:, None]
    z = np.zeros(c.shape, dtype=np.complex128)
    for _ in range(4):
        inside = np.less(abs(z), 2.0)
        z[inside] = z[inside] ** 2 + c[inside]
    z.imag[0] *= 2.0
    return np.abs(z) ** 2


def azimint(data: Any, radius: Any) -> Any:
    bins = 3
    furthest = radius.max()
    result = np.zeros(bins, dtype=np.float64)
    for i in range(bins):
        inside = np.logical_and(furthest * i / bins <= radius, radius <= furthest * (i + 1) / bins)
        result[i] = data[inside].mean()
    return result


def go_fast(a: Any) -> Any:
    trace = 0.0
    for i in range(a.shape[0]):
        trace += np.tanh(a[i, i])
    return a + trace


def compute(first: Any, second: Any) -> Any:
    return np.clip(first, -0.5, 0.5) * 4.0 + second * 3.0 + 9.0


def arc_distance(a: Any, b: Any) -> Any:
    temporary = np.sin((b[0] - a[0]) / 2) ** 2 + np.cos(a[0]) * np.cos(b[0]) * np.sin((b[1] - a[1]) / 2) ** 2
    return 2 * np.arctan2(np.sqrt(temporary), np.sqrt(1 - temporary))


def spmv(values: Any, x: Any, starts: Any, columns: Any) -> Any:
    y = np.empty(starts.size - 1, values.dtype)
    for row in range(starts.size - 1):
        y[row] = values[starts[row] : starts[row + 1]] @ x[columns[starts[row] : starts[row + 1]]]
    return y


def self_energies(neighbours: Any, coupling: Any, green: Any, tensor: Any, sigma: Any) -> None:
    for k in range(green.shape[0]):
        for q in range(tensor.shape[0]):
            for a in range(neighbours.shape[0]):
                for b in range(neighbours.shape[1]):
                    left = coupling[a, b] @ green[k - q, neighbours[a, b]]
                    sigma[k, a] += left @ (coupling[a, b].T * tensor[q, a, b])


def equalised(image: Any) -> Any:
    """The image weighted with its levels by rank; ranks have no derivative."""
    flat = image.copy()
    flat.shape = (-1,)
    ranks = np.sum(flat[:, None] > flat[None, :], axis=1)
    flat *= np.linspace(0.0, 1.0, flat.size)[ranks]
    flat.shape = image.shape
    return flat


class Program(NamedTuple):
    """A program and what it is called with.

    Parameters
    ----------
    function : callable
        The program.
    arguments : tuple
        Arrays and numbers.
    argnums : tuple of int
        The arguments with respect to which derivatives are taken, each by itself and all together.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    argnums: tuple[int, ...]


def _normal(*shape: int) -> Any:
    return _rng.normal(size=shape)


_rng = numpy.random.default_rng(12)
_well = _normal(5, 5) + 5 * numpy.eye(5)

PROGRAMS = [
    Program(jacobi_1d, (_normal(7), _normal(7)), (0, 1)),
    Program(heat_3d, (_normal(4, 4, 4), _normal(4, 4, 4)), (0, 1)),
    Program(fdtd_2d, (_normal(4, 5), _normal(4, 5), _normal(4, 5), _normal(3)), (0, 1, 2, 3)),
    Program(adi, (_normal(5, 5),), (0,)),
    Program(hdiff, (_normal(7, 8), numpy.zeros((3, 4)), _normal(3, 4)), (0, 2)),
    Program(vadv, (_normal(3, 4), _normal(3, 4), numpy.zeros((3, 4))), (0, 1)),
    Program(cavity_flow, (_normal(5, 5), _normal(5, 5), _normal(5, 5)), (0, 1, 2)),
    Program(channel_flow, (_normal(4, 5), _normal(4, 5)), (0, 1)),
    Program(ludcmp, (_well, _normal(5)), (0, 1)),
    Program(gemver, (_normal(4, 4), _normal(4), _normal(4), _normal(4), _normal(4)), (0, 1, 3)),
    Program(trmm, (_normal(4, 4), _normal(4, 3)), (0, 1)),
    Program(symm, (_normal(3, 3), _normal(3, 4), _normal(3, 4)), (0, 1, 2)),
    Program(syrk, (_normal(4, 3), _normal(4, 4)), (0, 1)),
    Program(doitgen, (_normal(2, 3, 4), _normal(4, 4)), (0, 1)),
    Program(bicg, (_normal(4, 3), _normal(3), _normal(4)), (0, 1, 2)),
    Program(contour_integral, (_normal(3, 3), numpy.array([4.0 + 1j, -3.0 + 4j, 5j])), (0,)),
    Program(conv2d_bias, (_normal(2, 4, 4, 2), _normal(2, 2, 2, 3), _normal(3)), (0, 1, 2)),
    Program(softmax, (_normal(2, 3, 4),), (0,)),
    Program(mlp, (_normal(3, 4), _normal(4, 5), _normal(5), _normal(5, 2)), (0, 1, 2, 3)),
    Program(max_pool, (_normal(4, 6),), (0,)),
    Program(correlation, (_normal(6, 4),), (0,)),
    Program(batch_norm, (_normal(5, 3), _normal(3)), (0, 1)),
    Program(k_means_step, (_normal(8, 2), _normal(3, 2)), (0,)),
    Program(deriche, (_normal(3, 6),), (0,)),
    Program(stockham_fft, (_normal(8),), (0,)),
    Program(nbody, (numpy.abs(_normal(4, 1)), _normal(4, 2), _normal(4, 2)), (0, 1, 2)),
    Program(floyd_warshall, (numpy.abs(_normal(5, 5)) + 0.1,), (0,)),
    Program(nussinov, (numpy.abs(_normal(5, 5)),), (0,)),
    Program(mandelbrot, (_normal(4), _normal(3)), (0, 1)),
    Program(azimint, (_normal(30), numpy.abs(_normal(30))), (0,)),
    Program(go_fast, (_normal(4, 4),), (0,)),
    Program(compute, (_normal(3, 4), _normal(3, 4)), (0, 1)),
    Program(arc_distance, (numpy.abs(_normal(2, 4)), numpy.abs(_normal(2, 4))), (0, 1)),
    Program(
        spmv,
        (_normal(6), _normal(4), numpy.array([0, 2, 2, 5, 6]), numpy.array([0, 3, 1, 2, 3, 0])),
        (0, 1),
    ),
    Program(
        self_energies,
        (
            numpy.array([[1, 2], [2, 0], [0, 1]]),
            *[_normal(*n) for n in ((3, 2, 2, 2), (2, 3, 2, 2), (2, 3, 2), (2, 3, 2, 2))],
        ),
        (1, 2, 3, 4),
    ),
    Program(equalised, (_normal(3, 4),), (0,)),
]
