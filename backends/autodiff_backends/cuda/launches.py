"""The numbers that decide a launch, all of them here: blocks, lanes, splits, vectors. Nothing else chooses any.

They are for the GPUs of data centres (about a hundred multiprocessors of 2,048 threads); smaller ones are filled too.
"""

from __future__ import annotations

import math
from typing import NamedTuple

# Threads of every block: eight blocks of that many fill a multiprocessor, and a tree of sums is eight steps high.
THREADS = 256

# A loop over so many elements at most is done by one block, eight elements a thread, and one kernel does several such
# loops in turn: a barrier takes far less than another launch.
SMALL = 8 * THREADS
# Loops and statements of one kernel, which bound its parameters and the time to compile it.
MOST_LOOPS, MOST_STATEMENTS = 24, 192

# Contiguous elements are read and written so many bytes at a time, the most that one instruction can, if there are so
# many elements that there is work for all multiprocessors nevertheless.
VECTOR_BYTES = 16
VECTORS_FROM = 1 << 17

# Places on a side of the square that the threads of a block are, where arrays are read in different orders.
PATCH = 16

# Blocks that reductions to few results are split into, and the least elements that are then left to a lane.
BLOCKS = 1024
LEAST = 8
# Neighbouring lanes that read memory side by side: a warp.
WARP = 32

# Iterations unrolled, and statements (for each element of a vector) that these are together at most: more would not
# read more at once, only take longer to compile.
UNROLLED, LONGEST_UNROLLED = 4, 32

# Places up to here are 32-bit numbers, with room for the steps of a loop beyond its end.
LARGEST_INT = (1 << 31) - (1 << 22)


class Tiling(NamedTuple):
    """How a block and the grid share a reduction.

    Attributes
    ----------
    kept_lanes, reduced_lanes : int
        Threads of a block along kept and along reduced axes, powers of 2; their product is ``THREADS``.
    tiles : int
        Blocks along kept axes.
    chunk : int
        Elements (or vectors) along reduced axes for one block.
    splits : int
        Blocks along reduced axes.
    """

    kept_lanes: int
    reduced_lanes: int
    tiles: int
    chunk: int
    splits: int


def one_block(size: int) -> bool:
    """Whether one block does a loop."""
    return size <= SMALL


def together(loops: int, statements: int) -> bool:
    """Whether one kernel, of one block, does so many loops."""
    return loops <= MOST_LOOPS and statements <= MOST_STATEMENTS


def index_type(size: int) -> str:
    """The C++ type of places up to ``size``."""
    return "int" if size <= LARGEST_INT else "long long"


def blocks(count: int) -> int:
    """Of a loop with an iteration for each thread."""
    return max(1, -(-count // THREADS))


def vector_length(itemsize: int, size: int) -> int:
    """How many elements are one access to memory; the largest operand counts."""
    return max(1, VECTOR_BYTES // itemsize) if size >= VECTORS_FROM else 1


def unrolled(size: int, statements: int) -> int:
    """How many iterations of a reduction's loop read memory at once: several where it is long and its body short."""
    return 1 if one_block(size) else max(1, min(UNROLLED, LONGEST_UNROLLED // statements))


def tiling(kept: int, reduced: int, by_rows: bool, split: bool) -> Tiling:
    """Lanes and splits of a reduction of ``reduced`` elements (or vectors) to each of ``kept`` results.

    ``by_rows`` if neighbours in memory are neighbours along reduced axes, so that a warp or more walks along these,
    as many lanes as leave each some elements; else a warp or more walks along kept axes.
    """
    if by_rows or kept == 1:
        lanes = _power(max(reduced // LEAST, min(reduced, WARP)))
    else:
        along_kept = min(_power(2 * kept - 1), THREADS)
        lanes = min(THREADS // min(along_kept, WARP), _power(max(reduced // LEAST, 1)))
        lanes = max(lanes, min(THREADS // along_kept, _power(max(reduced, 1))))
    lanes = min(lanes, THREADS)
    tiles = -(-kept // (THREADS // lanes))
    most = -(-BLOCKS // max(tiles, 1)) if split else 1
    steps = -(-reduced // lanes)
    splits = max(1, min(most, steps // LEAST))
    chunk = -(-steps // splits) * lanes
    return Tiling(THREADS // lanes, lanes, tiles, chunk, max(1, math.ceil(reduced / chunk)) if chunk else 1)


def _power(n: int) -> int:
    """The largest power of 2 that is not above ``n``; 1 for less than 1."""
    return 1 << max(n, 1).bit_length() - 1
