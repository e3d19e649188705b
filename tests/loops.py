"""Loops as Python has them: what ``scan`` and the others are held to. Python unrolls, and records each step."""

import gc
import tracemalloc

import numpy as np

import autodiff as ad
from autodiff.containers import flatten, unflatten


def scan(f, init, xs=None, length=None, reverse=False, checkpoint=False):
    leaves, structure = flatten(xs)
    leaves = [leaf for leaf in leaves if leaf is not None]
    steps = [*range(leaves[0].shape[0] if leaves else length)]
    carry, ys = init, {}
    for i in reversed(steps) if reverse else steps:
        x = unflatten(structure, iter([leaf[i] for leaf in leaves])) if leaves else None
        carry, ys[i] = f(carry, x)
    rows = [flatten(ys[i])[0] for i in steps]
    columns = [None if column[0] is None else np.stack(column) for column in zip(*rows, strict=True)]
    return carry, unflatten(flatten(ys[0])[1], iter(columns))


def fori_loop(lower, upper, body_fun, init_val, checkpoint=False):
    for i in range(lower, upper):
        init_val = body_fun(i, init_val)
    return init_val


def while_loop(cond_fun, body_fun, init_val):
    """With conditions that look at values, which only calls outside of transformations can."""
    while cond_fun(init_val):
        init_val = body_fun(init_val)
    return init_val


def steps(n):
    """A loop of so many steps, whatever the condition says: what derivatives are compared with."""

    def loop(cond_fun, body_fun, init_val):
        return fori_loop(0, n, lambda _, val: body_fun(val), init_val)

    return loop


def close(found, expected, tolerance=1e-9):
    """Both have the same structure, shapes, dtypes and numbers."""
    (ours, structure), (others, wanted) = flatten(found), flatten(expected)
    assert structure == wanted
    for x, y in zip(ours, others, strict=True):
        if x is None or y is None:
            assert x is y
            continue
        x, y = (np.asarray(v.value if isinstance(v, ad.Tensor) else v) for v in (x, y))
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_allclose(x, y, tolerance, tolerance)


def peak(function):
    """The most memory that a call takes, of one that was made before."""
    function()
    gc.collect()
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
