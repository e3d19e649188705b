"""CUDA kernels without a GPU: the same text compiled as C++, blocks and threads taking turns.

Threads of a block are coroutines that change at barriers. In which order they run is drawn anew each time, so that
threads that do not wait for one another where they must are found out; so is a barrier that only some of them reach.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

COMPILER = shutil.which("g++")


def missing(tool: Any, reason: str) -> str | None:
    """Why tests are skipped: a tool is not there. Where REQUIRE_COMPILERS is set that is a failure instead."""
    return reason if tool is None and "REQUIRE_COMPILERS" not in os.environ else None


NO_COMPILER = missing(COMPILER, "g++, which compiles CUDA kernels for the processor, is not installed")

_KERNEL = re.compile(r'extern "C" __global__ void __launch_bounds__\(\d+\) (\w+)\((.*)\) \{')

_BOTH = "exp exp2 expm1 log log2 log10 log1p sqrt cbrt fabs sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh"
_BOTH += " floor ceil trunc rint erf erfc"
_TWO = "pow atan2 hypot fmod copysign nextafter"

_DECLARED = "".join(
    f"{kind} {name}{suffix}({', '.join([kind] * count)});\n"
    for names, count in ((_BOTH, 1), (_TWO, 2))
    for name in names.split()
    for kind, suffix in (("double", ""), ("float", "f"))
)

# What CUDA provides.
_BEFORE = f"""
extern "C" {{
{_DECLARED}
double ldexp(double, int); float ldexpf(float, int);
double fma(double, double, double); float fmaf(float, float, float);
}}
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(n)
#define __restrict__ __restrict
#define __shared__ static
struct Dimensions {{ unsigned int x, y, z; }};
static Dimensions threadIdx, blockIdx, blockDim, gridDim;
template <class To, class From> static inline To same_bits(From x) {{
    To y;
    __builtin_memcpy(&y, &x, sizeof(y));
    return y;
}}
static inline float __int_as_float(int x) {{ return same_bits<float>(x); }}
static inline int __float_as_int(float x) {{ return same_bits<int>(x); }}
static inline double __longlong_as_double(long long x) {{ return same_bits<double>(x); }}
static inline long long __double_as_longlong(double x) {{ return same_bits<long long>(x); }}
static inline void __threadfence() {{}}
static inline int atomicAdd(int* place, int n) {{ int before = *place; *place += n; return before; }}
static void change_thread();
#define __syncthreads() change_thread()
"""

# The threads of a block: coroutines, or a loop where a kernel has no barrier.
_AFTER = """
#include <setjmp.h>
#include <stdlib.h>
#include <ucontext.h>
typedef void (*Kernel)(void**);
static ucontext_t beginning, contexts[1024];
static jmp_buf scheduler, threads_at[1024];
static int started[1024], finished[1024], current;
static Kernel running;
static void** given;
static char* stacks;
static const int STACK = 1 << 16;
// Contexts have stacks of their own, but to change them takes a system call; jumps do not.
static void change_thread() {
    if (!_setjmp(threads_at[current])) _longjmp(scheduler, 1);
}
static void one_thread() {
    running(given);
    finished[current] = 1;
    _longjmp(scheduler, 1);
}
static void resume(int thread) {
    current = threadIdx.x = thread;
    if (_setjmp(scheduler)) return;
    if (started[thread]) _longjmp(threads_at[thread], 1);
    started[thread] = 1;
    swapcontext(&beginning, &contexts[thread]);
}
static unsigned long long state;
static unsigned int drawn(unsigned int n) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned int)(state >> 33) % n;
}
static void shuffle(int* order, int n) {
    for (int i = 0; i < n; ++i) order[i] = i;
    for (int i = n - 1; i > 0; --i) {
        int j = (int)drawn(i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}
static int one_block(int threads, int barriers) {
    int order[1024];
    if (!barriers) {
        for (int t = 0; t < threads; ++t) {
            threadIdx.x = t;
            running(given);
        }
        return 0;
    }
    for (int t = 0; t < threads; ++t) {
        started[t] = finished[t] = 0;
        getcontext(&contexts[t]);
        contexts[t].uc_stack.ss_sp = stacks + (long)t * STACK;
        contexts[t].uc_stack.ss_size = STACK;
        makecontext(&contexts[t], one_thread, 0);
    }
    for (int left = threads; left > 0;) {
        int ended = 0;
        shuffle(order, threads);
        for (int i = 0; i < threads; ++i) {
            resume(order[i]);
            ended += finished[order[i]];
        }
        if (ended != 0 && ended != threads) return 1;
        left -= ended;
    }
    return 0;
}
extern "C" int launch(
    Kernel kernel, int gx, int gy, int threads, int barriers, unsigned long long seed, void** values
) {
    if (threads > 1024) return 2;
    if (!stacks) stacks = (char*)malloc(1024l * STACK);
    int* blocks = (int*)malloc(sizeof(int) * gx * gy);
    int failed = 0;
    running = kernel;
    given = values;
    state = seed;
    blockDim.x = threads;
    gridDim.x = gx;
    gridDim.y = gy;
    shuffle(blocks, gx * gy);
    for (int i = 0; i < gx * gy && !failed; ++i) {
        blockIdx.x = blocks[i] % gx;
        blockIdx.y = blocks[i] / gx;
        failed = one_block(threads, barriers);
    }
    free(blocks);
    return failed;
}
"""

Launcher = Callable[[str, Sequence[int], Sequence[int], Sequence[Any]], None]

_loaded: dict[str, ctypes.CDLL] = {}
_lock = threading.Lock()
_folder = tempfile.TemporaryDirectory(prefix="autodiff-cuda-")


def _kernels(source: str) -> dict[str, list[str]]:
    """The types of the parameters of each kernel."""
    found = {}
    for name, parameters in _KERNEL.findall(source):
        found[name] = [re.sub(r" p\d+$", "", p).replace("__restrict__", "") for p in parameters.split(", ") if p]
    return found


def _translation_unit(source: str) -> str:
    """The kernels, and for each a function that takes its arguments from an array of pointers to them."""
    lines = [_BEFORE, source]
    for name, kinds in _kernels(source).items():
        values = ", ".join(f"*({kind}*)a[{i}]" for i, kind in enumerate(kinds))
        lines.append(f'extern "C" void run_{name}(void** a) {{ {name}({values}); }}')
    return "\n".join([*lines, _AFTER])


def compiled(source: str) -> ctypes.CDLL:
    """The library of a source, compiled once in this process."""
    text = _translation_unit(source)
    key = hashlib.sha256(text.encode()).hexdigest()[:24]
    with _lock:
        if key not in _loaded:
            place = Path(_folder.name) / key
            place.with_suffix(".cpp").write_text(text)
            # No contraction, for arithmetic that is NumPy's to the last bit; no optimization, which takes longer than
            # what is executed.
            options = ["-O0", "-std=c++17", "-ffp-contract=off", "-fPIC", "-shared", "-w"]
            command = [str(COMPILER), *options, f"{place}.cpp", "-o", f"{place}.so"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"g++ refuses a kernel:\n{done.stderr[:4000]}")
            _loaded[key] = ctypes.CDLL(f"{place}.so")
        return _loaded[key]


class EmulatedDevice:
    """What plans do things on a device through, here NumPy's arrays and kernels compiled for the processor.

    Attributes
    ----------
    xp : module
        The library of its arrays.
    launched : list of str
        The kernels that were launched.
    """

    xp = np

    def __init__(self, seed: int = 0):
        self.launched: list[str] = []
        self._random = np.random.default_rng(seed)

    def empty(self, shape: Any, dtype: Any) -> Any:
        """An array of what is no result of anything, at a multiple of 16 bytes."""
        array = self.zeros(shape, dtype)
        array.reshape(-1).view(np.uint8)[:] = 0xAB if array.dtype.kind != "b" else 1
        return array

    def zeros(self, shape: Any, dtype: Any) -> Any:
        """An array of zeros, at a multiple of 16 bytes."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        memory = np.zeros(size + 16, np.uint8)
        start = -memory.ctypes.data % 16
        return memory[start : start + size].view(dtype).reshape(shape)

    def aligned(self, array: Any) -> Any:
        """A C-contiguous copy at a multiple of 16 bytes."""
        copy = self.zeros(np.shape(array), np.asarray(array).dtype)
        copy[...] = array
        return copy

    def load(self, source: str) -> Launcher:
        """What launches the kernels of a source: by name, grid, block and arguments (arrays, NumPy numbers)."""
        library = compiled(source)
        kernels = _kernels(source)
        barriers = {name: "__syncthreads" in _text_of(source, name) for name in kernels}

        def launch(name: str, grid: Sequence[int], block: Sequence[int], arguments: Sequence[Any]) -> None:
            kinds = kernels[name]
            assert len(kinds) == len(arguments), f"{name} takes {len(kinds)} arguments, not {len(arguments)}"
            holders = [_holder(kind, value) for kind, value in zip(kinds, arguments, strict=True)]
            pointers = (ctypes.c_void_p * len(holders))(*[ctypes.addressof(h) for h in holders])
            with _lock:
                self.launched.append(name)
                seed = int(self._random.integers(1 << 62))
                failed = library.launch(
                    ctypes.cast(library[f"run_{name}"], ctypes.c_void_p),
                    *(*grid, 1)[:2],
                    block[0],
                    int(barriers[name]),
                    ctypes.c_ulonglong(seed),
                    pointers,
                )
            assert not failed, f"{name}: only some of the threads of a block reach a barrier"

        return launch


def _text_of(source: str, name: str) -> str:
    """The text of one kernel."""
    start = source.index(f" {name}(")
    return source[start : source.find('extern "C"', start)] if 'extern "C"' in source[start:] else source[start:]


def _holder(kind: str, value: Any) -> Any:
    """Memory that holds an argument, checked against its type: a pointer to an array, or a number."""
    if "*" in kind:
        assert isinstance(value, np.ndarray), f"{kind}: {type(value).__name__} is no array"
        assert value.flags.c_contiguous, f"{kind}: an array is not contiguous"
        assert value.ctypes.data % 16 == 0 or not value.size, f"{kind}: an array is not aligned"
        return ctypes.c_void_p(value.ctypes.data)
    assert isinstance(value, np.generic), f"{kind}: {type(value).__name__} is no NumPy number"
    memory = np.zeros(32, np.uint8)
    start = -memory.ctypes.data % 16
    memory[start : start + value.nbytes] = np.frombuffer(value.tobytes(), np.uint8)
    return (ctypes.c_char * 16).from_buffer(memory, start)
