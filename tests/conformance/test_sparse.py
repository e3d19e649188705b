"""Every function: its sparse Jacobian and Hessian are the whole ones, and within their patterns.

A share of all rows is taken, the same ones each time; with SWEEP=all in the environment all of them are.
"""

from __future__ import annotations

import os
import warnings
import zlib
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.containers import flatten

from ..fuzz.sparse import agree, finite
from ..fuzz.taylor import Unsuitable
from .case import Case
from .table import CASES

pytest.importorskip("scipy.sparse")

ALL, SHARE = os.environ.get("SWEEP") == "all", 131
VARIABLE = [c for c in CASES if c.gradient != "none" and any(d.differentiable for d in c.draws)]
DRAWN = [c for c in VARIABLE if ALL or zlib.crc32(f"sparse {c.name}".encode()) % SHARE == 0]


def floating(case: Case, is_complex: bool, args: tuple[Any, ...]) -> list[Any]:
    """The floating results of a call; their real parts where an argument is complex."""
    found = [leaf for leaf in flatten(case(*args))[0] if isinstance(leaf, ad.Tensor) and leaf.dtype.kind in "fc"]
    return [np.real(leaf) if is_complex else leaf for leaf in found]


@pytest.mark.parametrize("case", DRAWN, ids=lambda c: c.name)
def test_sparse_matrices_are_the_whole_ones(case: Case) -> None:
    arrays = case.arrays()
    places = tuple([i for i, d in enumerate(case.draws) if d.differentiable])
    is_complex = any(arrays[i].dtype.kind == "c" for i in places)

    def several(*args: Any) -> list[Any]:
        return floating(case, is_complex, args)

    def total(*args: Any) -> Any:
        # Each element has a weight of its own, and second derivatives.
        parts = [np.real(leaf) for leaf in several(*args)]
        return sum(
            [np.sum(np.sin(y) * np.arange(1, 1 + y.size).reshape(y.shape)) for y in parts], 0.0 * np.sum(args[0])
        )

    for order, transform, function in [(1, ad.jacobian, several), (2, ad.hessian, total)]:
        if order == 2 and is_complex:
            continue
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            given = [[a.copy() for a in arrays] for _ in range(3)]
            whole = transform(function, places)(*given[0])
            sparse = transform(function, places, sparse=True)(*given[1])
            patterns = ad.sparsity(function, *given[2], argnums=places, order=order)
            try:
                finite(whole)
            except Unsuitable:
                continue
            for i, row in enumerate(whole):
                for j, block in enumerate(row):
                    agree(f"order {order}, [{i}][{j}]", sparse[i][j], block, patterns[i][j], 1e-13)
