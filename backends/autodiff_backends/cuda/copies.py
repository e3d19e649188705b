"""A kernel that copies many arrays at once: what copies cost is their launches."""

from __future__ import annotations

from .launches import THREADS, VECTOR_BYTES


def copies(count: int) -> str:
    """The kernel ``copies``, called with a target, a source and a number of bytes for each of so many arrays.

    Arrays begin at a multiple of 16 bytes. The second axis of the grid is that of the arrays.
    """
    places = range(0, 3 * count, 3)
    byte = "unsigned char* __restrict__"
    parameters = ", ".join([f"{byte} p{i}, const {byte} p{i + 1}, long long p{i + 2}" for i in places])
    cases = "\n".join([f"    case {i // 3}: to = p{i}; from = p{i + 1}; size = p{i + 2}; break;" for i in places])
    return f"""struct alignas({VECTOR_BYTES}) Vector {{ unsigned int parts[{VECTOR_BYTES // 4}]; }};
extern "C" __global__ void __launch_bounds__({THREADS}) copies({parameters}) {{
    unsigned char* to = p0;
    const unsigned char* from = p1;
    long long size = 0;
    switch (blockIdx.y) {{
{cases}
    }}
    const long long first = (long long)blockIdx.x * {THREADS} + threadIdx.x, step = (long long)gridDim.x * {THREADS};
    const long long vectors = size / {VECTOR_BYTES};
    for (long long i = first; i < vectors; i += step) ((Vector*)to)[i] = ((const Vector*)from)[i];
    for (long long i = vectors * {VECTOR_BYTES} + first; i < size; i += step) to[i] = from[i];
}}
"""
