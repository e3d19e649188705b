"""Sparse matrices of derivatives of random programs, held to whole ones."""

from __future__ import annotations

from typing import Any

import numpy as np

import autodiff as ad

from .compare import Wrong
from .derivatives import TOTAL, precision, variables, weighted
from .generate import generate
from .program import Program, evaluate, run
from .taylor import Unsuitable
from .ways import first, quiet


class Function:
    """A program as a function of its variables: its floating results, or one number."""

    def __init__(self, program: Program):
        self.names, self.numbers = variables(program), first(program)
        self.values = evaluate(program, program.inputs, self.numbers)
        self.program = weighted(program, self.values)
        read = {name for step in program.steps for name in step.reads if name != step.writes}
        self.ends = [n for n in program.names if self.values[n].dtype.kind in "fc" and n not in read][-3:]
        self.unit = precision(self.program, self.values)
        if not self.names or not self.ends:
            raise Unsuitable("no variables, or no results")
        self.arrays = [program.inputs[name].copy() for name in self.names]
        self.complex = any(a.dtype.kind == "c" for a in self.arrays)

    def _run(self, args: tuple[Any, ...]) -> dict[str, Any]:
        given = {n: ad.Tensor(a, constant=a.dtype.kind in "biu") for n, a in self.program.inputs.items()}
        return run(self.program, {**given, **{n: a[...] for n, a in zip(self.names, args)}}, self.numbers)

    def several(self, *args: Any) -> list[Any]:
        found = self._run(args)
        return [np.real(found[n]) if self.complex else found[n] for n in self.ends]

    def total(self, *args: Any) -> Any:
        return self._run(args)[TOTAL]


def finite(blocks: Any) -> None:
    """Zero times infinity is not a number, which is somewhere else in the products of other directions."""
    for rows in blocks:
        for block in rows:
            if not np.all(np.isfinite(np.asarray(block))):
                raise Unsuitable("infinite derivatives")


def agree(what: str, sparse: Any, dense: Any, pattern: Any, unit: float) -> None:
    """A sparse matrix has the entries of a whole one, and these are within its pattern."""
    dense = np.asarray(dense)
    whole = dense.reshape(sparse.shape)
    if pattern.shape != sparse.shape or sparse.dtype != dense.dtype:
        raise Wrong(f"{what}: {sparse!r}, {pattern.shape} and {dense.dtype}{dense.shape}")
    outside = (whole != 0) & ~pattern.toarray()
    if outside.any():
        raise Wrong(f"{what}: entries at {np.argwhere(outside)[:5].tolist()} of {whole.shape} are not in the pattern")
    if not sparse.has_canonical_format:
        raise Wrong(f"{what}: the entries are in no order")
    found = sparse.toarray()
    wrong = np.abs(found - whole) > 1e3 * unit * np.max(np.abs(whole), initial=1.0)
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0].tolist())
        raise Wrong(f"{what}: at {place} there is {found[place]!r}, and {whole[place]!r} in the whole matrix")


def check_sparse(program: Program) -> None:
    """Jacobians in all modes, and the Hessian."""
    function = Function(program)
    every = tuple(range(len(function.names)))
    with quiet():
        patterns = ad.sparsity(function.several, *function.arrays, argnums=every)
        modes = ["reverse"] if function.complex else ["auto", "forward", "reverse"]
        if not function.complex and any(function.values[n].dtype.kind == "c" for n in function.ends):
            modes = ["forward"]
        for mode in modes:
            dense = ad.jacobian(function.several, every, mode=mode)(*function.arrays)
            finite(dense)
            for chunk in (None, 2):
                found = ad.jacobian(function.several, every, mode=mode, sparse=True, chunk_size=chunk)
                for i, rows in enumerate(found(*function.arrays)):
                    for j, sparse in enumerate(rows):
                        agree(f"jacobian {mode} [{i}][{j}]", sparse, dense[i][j], patterns[i][j], function.unit)
        if function.complex or any(v.dtype.kind == "c" for v in function.values.values()):
            return
        patterns = ad.sparsity(function.total, *function.arrays, argnums=every, order=2)
        dense = ad.hessian(function.total, every)(*function.arrays)
        finite(dense)
        found = ad.hessian(function.total, every, sparse=True)(*function.arrays)
        for i in every:
            for j in every:
                agree(f"hessian [{i}][{j}]", found[i][j], dense[i][j], patterns[i][j], function.unit)


def wrong(seeds: Any) -> tuple[list[str], int]:
    """What is wrong with the programs of some seeds, and how many were looked at."""
    found, looked = [], 0
    for seed in seeds:
        with quiet():
            program = generate(seed, tame=True, steps=1 + seed % 9)
        try:
            check_sparse(program)
        except Unsuitable:
            continue
        except ad.errors.RangeError:
            continue  # integers that NumPy wraps around in silence
        except (Wrong, ad.errors.AutodiffError) as error:
            found.append(f"seed {seed}: {type(error).__name__}: {error}\n{program.source()}")
        looked += 1
    return found, looked
