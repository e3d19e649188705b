"""Loops of many threads over the iteration space of a group: elementwise ones, and ones that end in reductions."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from . import launches
from .bodies import Body, Nest, Walk, coordinates, totals, walk
from .expressions import accumulator, combine, initial
from .launches import Tiling, blocks, tiling, unrolled
from .types import C_NAMES, cast


class Loop(NamedTuple):
    """Lines of a kernel, and the blocks that execute them.

    Attributes
    ----------
    lines : list of str
    grid : tuple of int
    shared : int
        Bytes of shared memory that threads of a block exchange totals in.
    """

    lines: list[str]
    grid: tuple[int, ...]
    shared: int = 0


class Names(Protocol):
    """What gives arrays names."""

    def storage(self, storage: int) -> str:
        """Of a storage."""
        ...

    def partials(self, dtype: np.dtype[Any], serial: int, size: int) -> str:
        """Of a workspace for what blocks leave to the last one, for the kernel's ``serial``-th reduction."""
        ...

    def counters(self, size: int) -> str:
        """Of as many counters."""
        ...


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def elementwise(nest: Nest, names: Names, alone: bool) -> Loop:
    """A vector or an element for each thread, or several for each if one block is alone."""
    way = walk(nest, nest.kept, [], alone)
    count, vector, rest = way.iterations, way.vector, way.rest
    axis = nest.kept[-1][-1] if nest.kept else None
    body = way.around(Body(nest, names.storage, vector, axis).lines())
    if alone:
        head = f"for ({nest.index} i = threadIdx.x; i < {count}; i += {launches.THREADS}) {{"
        return Loop([head, *_indented(body), "}"], (1, 1, 1))
    lines = [f"const {nest.index} i = ({nest.index})blockIdx.x * {launches.THREADS} + threadIdx.x;"]
    lines += [f"if (i < {count}) {{", *_indented(body), "}"]
    if rest:
        place = f"const {nest.index} c{axis} = {count * vector} + i;"
        lines += [f"if (i < {rest}) {{", *_indented([place, *Body(nest, names.storage).lines()]), "}"]
    return Loop(lines, (blocks(count), 1, 1))


def reduction(nest: Nest, names: Names, alone: bool) -> Loop:
    """Lanes along kept and along reduced axes; the lanes of a result, then the blocks of a result, join their totals.

    Everything is joined in an order that depends on sizes only. Where several blocks work on one result, each leaves
    its total in a workspace, and the block that is the last to do so joins them: the one that finds, counting, that
    all others have been there. It sets the counter back.
    """
    by_rows = nest.by_rows()
    way = walk(nest, nest.reduced, nest.kept, alone or not by_rows)
    tiles = tiling(nest.n_kept, way.iterations, by_rows, not alone)
    many = tiles.splits > 1
    kept, lanes = tiles.kept_lanes, tiles.reduced_lanes
    rows = by_rows or not nest.kept
    lines = [
        f"const int r = threadIdx.x {'%' if rows else '/'} {lanes if rows else kept};",
        f"const int k = threadIdx.x {'/' if rows else '%'} {lanes if rows else kept};",
    ]
    tile = "tile" if alone else "blockIdx.x"
    inner = [
        f"const {nest.index} kept = ({nest.index}){tile} * {kept} + k;",
        *totals(nest),
        f"if (kept < {nest.n_kept}) {{",
        *_indented([*coordinates(nest, "kept", nest.kept), *_accumulation(nest, names, tiles, way)]),
        "}",
    ]
    wide = max(accumulator(s.form.dtypes[0]).itemsize for j, s in nest.members if j in nest.reductions)
    shared = launches.THREADS * wide if lanes > 1 else 0
    join = _joined_lanes(nest, lanes, 1 if rows else kept)
    inner += join
    if many:
        inner += _joined_blocks(nest, names, tiles, join)
    else:
        inner += [f"if (r == 0 && kept < {nest.n_kept}) {{", *_indented(_stores(nest, names)), "}"]
    if alone:
        lines += [f"for (int tile = 0; tile < {tiles.tiles}; ++tile) {{", *_indented(inner), "}"]
        return Loop(lines, (1, 1, 1), shared)
    return Loop(lines + inner, (tiles.tiles, tiles.splits, 1), shared)


def _accumulation(nest: Nest, names: Names, tiles: Tiling, way: Walk) -> list[str]:
    """The elements of one lane."""
    count, vector, rest = way.iterations, way.vector, way.rest
    axis = nest.reduced[-1][-1] if nest.reduced else None
    lines = []
    begin, end, step = "r", str(count), tiles.reduced_lanes
    if tiles.splits > 1:
        lines.append(f"const {nest.index} begin = ({nest.index})blockIdx.y * {tiles.chunk};")
        lines.append(f"const {nest.index} end = begin + {tiles.chunk} < {count} ? begin + {tiles.chunk} : {count};")
        begin, end = "begin + r", "end"
    if count:
        body = way.around(Body(nest, names.storage, vector, axis).lines())
        lines.append(f"#pragma unroll {unrolled(nest.size, vector * len(nest.members))}")
        lines.append(f"for ({nest.index} i = {begin}; i < {end}; i += {step}) {{")
        lines += [*_indented(body), "}"]
    if rest:
        place = f"const {nest.index} c{axis} = {count * vector} + i;"
        head = f"for (int i = r; i < {rest}; i += {step}) {{"
        lines.append(f"if (blockIdx.y == 0) {head}" if tiles.splits > 1 else head)
        lines += [*_indented([place, *Body(nest, names.storage).lines()]), "}"]
    return lines


def _joined_lanes(nest: Nest, lanes: int, apart: int) -> list[str]:
    """The totals of the lanes of a result joined in the first of them, by a tree in shared memory."""
    if lanes == 1:
        return []
    lines = []
    for j, statement in nest.members:
        if j not in nest.reductions:
            continue
        wide = accumulator(statement.form.dtypes[0])
        joined = combine(nest.reductions[j], "mine[0]", f"mine[lanes * {apart}]", wide)
        lines += [
            "{",
            f"    {C_NAMES[wide]}* mine = ({C_NAMES[wide]}*)shared + threadIdx.x;",
            # Others may still read what was exchanged before.
            "    __syncthreads();",
            f"    mine[0] = {nest.totals[j]};",
            "    __syncthreads();",
            f"    for (int lanes = {lanes // 2}; lanes > 0; lanes /= 2) {{",
            f"        if (r < lanes) mine[0] = {joined};",
            "        __syncthreads();",
            "    }",
            f"    {nest.totals[j]} = mine[0];",
            "}",
        ]
    return lines


def _joined_blocks(nest: Nest, names: Names, tiles: Tiling, join: list[str]) -> list[str]:
    """The totals of all blocks of a tile joined by the last of them."""
    first = f"r == 0 && kept < {nest.n_kept}"
    leave, take = [], []
    for serial, (j, statement) in enumerate((j, s) for j, s in nest.members if j in nest.reductions):
        wide = accumulator(statement.form.dtypes[0])
        partials = names.partials(wide, serial, tiles.splits * nest.n_kept)
        place = f"{partials}[({nest.index}){{}} * {nest.n_kept} + kept]"
        leave.append(f"{place.format('blockIdx.y')} = {nest.totals[j]};")
        take += [
            f"{nest.totals[j]} = {initial(nest.reductions[j], wide)};",
            f"if (kept < {nest.n_kept}) for (int s = r; s < {tiles.splits}; s += {tiles.reduced_lanes})",
            f"    {nest.totals[j]} = {combine(nest.reductions[j], nest.totals[j], place.format('s'), wide)};",
        ]
    counter = f"{names.counters(tiles.tiles)}[blockIdx.x]"
    finish = [
        # What other blocks wrote is read from memory from here on.
        "__threadfence();",
        *take,
        *join,
        f"if ({first}) {{",
        *_indented(_stores(nest, names)),
        "}",
        f"if (threadIdx.x == 0) {counter} = 0;",
    ]
    return [
        f"if ({first}) {{",
        *_indented(leave),
        "}",
        "__threadfence();",
        "__syncthreads();",
        f"if (threadIdx.x == 0) last = atomicAdd(&{counter}, 1) == {tiles.splits - 1};",
        "__syncthreads();",
        "if (last) {",
        *_indented(finish),
        "}",
    ]


def _stores(nest: Nest, names: Names) -> list[str]:
    """The totals as results."""
    lines = coordinates(nest, "kept", nest.kept)
    for j, statement in nest.members:
        if j in nest.reductions and nest.segment.stored[j]:
            out = statement.form.dtypes[0]
            value = cast(nest.totals[j], accumulator(out), out)
            lines.append(f"{names.storage(statement.target.storage)}[{nest.place(statement.target)}] = {value};")
    return lines
