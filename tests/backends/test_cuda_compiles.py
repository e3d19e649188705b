"""Kernels compile for GPUs of three generations: by NVRTC, which needs none."""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.core.avals import intern_aval
from autodiff.core.primitives import PRIMITIVES
from autodiff.errors import DTypeError
from autodiff.ops import COMPOSITIONS
from autodiff.plan import Program
from autodiff_backends.cuda import launches
from autodiff_backends.cuda.expressions import SPECIAL
from autodiff_backends.cuda.kernels import KernelRegion, supported
from autodiff_backends.cuda.types import C_NAMES

from .cuda_emulation import missing

ARCHITECTURES = ["sm_75", "sm_90", "sm_100"]


def _libraries() -> Iterator[Path]:
    """Where packages from PyPI keep NVRTC."""
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        yield from sorted(Path(folder).glob("*/lib/libnvrtc.so.*"))


def _nvrtc() -> Any:
    for place in _libraries():
        if "builtins" not in place.name:
            return ctypes.CDLL(str(place))
    return None


NVRTC = _nvrtc()
NO_NVRTC = missing(NVRTC, "NVRTC, NVIDIA's compiler, is not installed (pip install nvidia-cuda-nvrtc)")
pytestmark = pytest.mark.skipif(NO_NVRTC is not None, reason=str(NO_NVRTC))


def compile_for(source: str, architecture: str) -> str:
    """What the compiler says about a source; nothing is an answer without complaints."""
    return _compile(source, architecture)[0]


def assembly(source: str) -> str:
    """The PTX of a source."""
    text, ptx = _compile(source, "compute_90")
    assert text == ""
    return ptx


def _compile(source: str, architecture: str) -> tuple[str, str]:
    program = ctypes.c_void_p()
    assert NVRTC.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None) == 0
    options = [f"-arch={architecture}".encode(), b"-std=c++17"]
    failed = NVRTC.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    NVRTC.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    NVRTC.nvrtcGetProgramLog(program, log)
    text = log.value.decode().strip()
    assert text or not failed
    NVRTC.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    NVRTC.nvrtcGetPTX(program, ptx)
    NVRTC.nvrtcDestroyProgram(ctypes.byref(program))
    return text, ptx.value.decode()


def elementwise(dtype: np.dtype[Any]) -> Program:
    """Every elementwise primitive of a dtype, and every conversion of it."""
    program = Program([intern_aval((1000, 1000), dtype)] * 2)
    made = []
    for primitive in [
        p for p in PRIMITIVES.values() if p not in COMPOSITIONS and (p.module == "numpy" or p.name in SPECIAL)
    ]:
        lacking = dtype.kind != "f" and primitive.module != "numpy"
        if primitive.kind != "elementwise" or primitive.name in ("where", "astype") or lacking:
            continue
        count = 1 if primitive.numpy_ufunc is None else primitive.numpy_ufunc.nin
        try:
            made.append(program.call(primitive, *range(count)))
        except DTypeError:
            continue
    made += [
        program.call(PRIMITIVES["astype"], 0, params=(to,)) for to in C_NAMES if dtype.kind != "c" or to.kind in "bc"
    ]
    made.append(program.call(PRIMITIVES["where"], program.call(PRIMITIVES["logical_not"], 0), 0, 1))
    program.outputs = tuple(dict.fromkeys(made))
    return program


def reductions(dtype: np.dtype[Any]) -> Program:
    """Every reduction: by rows and by columns, to one number by many blocks, a small one by one block."""
    program = Program([intern_aval(shape, dtype) for shape in ((700, 900), (5, 3))])
    made = []
    for number, axes in [(0, (0,)), (0, (1,)), (0, (0, 1)), (1, (0, 1))]:
        for name in ("sum", "prod", "max", "min", "all", "any", "inner_product"):
            operands = (number, number) if name == "inner_product" else (number,)
            made.append(program.call(PRIMITIVES[name], *operands, params=(axes,)))
    program.outputs = tuple(made)
    return program


def mixture(as_program: Any, variable: Any) -> Program:
    """Products, gathers, writes, joined arrays, numbers given in calls."""
    x, y = ad.Tensor(np.ones((4000, 40))), ad.Tensor(np.ones((40, 5), np.float32))
    places, number = ad.Tensor(np.arange(40), constant=True), variable(0.5)
    z = np.tanh(x) * 2.0
    z[:, 1:4] += 1.5
    outputs = [
        x @ y[:, :1],
        z,
        z[:, [0, -1, 5]],
        np.concatenate([x, z[::-1]], axis=1),
        np.sum(x[..., None] * y, axis=1),
    ]
    products = [PRIMITIVES["multiply"](x.node, number), PRIMITIVES["add"](number, number)]
    return as_program([x, y, places, number], [*[t.node for t in outputs], *products])  # type: ignore[no-any-return]


def source_of(program: Program) -> str:
    assert all(supported(program, made) for made in program.applications())
    return KernelRegion(program).source


# All dtypes for one generation; what differs between generations is half precision and memory.
PAIRS = [
    *[(dtype, "sm_90") for dtype in C_NAMES],
    *itertools.product([np.dtype("f2"), np.dtype("f4")], ARCHITECTURES[::2]),
]


@pytest.mark.parametrize(("dtype", "architecture"), PAIRS, ids=str)
def test_elementwise_kernels_compile(dtype, architecture):
    assert compile_for(source_of(elementwise(dtype)), architecture) == ""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_mixed_programs_compile(as_program, variable, architecture):
    source = source_of(mixture(as_program, variable))
    assert "vec<" in source
    assert compile_for(source, architecture) == ""


@pytest.mark.parametrize("code", ["f2", "f4", "f8", "c8", "c16", "i8", "u1"])
def test_reductions_compile(code):
    source = source_of(reductions(np.dtype(code)))
    assert "last = atomicAdd" in source
    assert compile_for(source, "sm_90") == ""


def test_places_of_64_bits_compile(monkeypatch):
    monkeypatch.setattr(launches, "LARGEST_INT", 100)
    source = source_of(reductions(np.dtype("f4")))
    assert "const long long c0" in source
    assert compile_for(source, "sm_90") == ""


def test_a_kernel_that_is_wrong_is_refused(as_program):
    x = ad.Tensor(np.ones(5000, np.float32))
    source = source_of(as_program([x], [np.exp(x)]))
    assert compile_for(source, "sm_90") == ""
    assert 'identifier "m_exq" is undefined' in compile_for(source.replace("m_exp(a0", "m_exq(a0"), "sm_90")


def test_single_precision_stays_single(as_program):
    """Numbers in the program, functions and sums of float32 are no instruction of double precision."""
    x = ad.Tensor(np.ones(300_000, np.float32))
    source = source_of(as_program([x], [np.tanh(x * 0.1 + 1.5) ** 3, np.sum(np.exp(x) / 3), np.logaddexp(x, 2.5)]))
    assert ".f64" not in assembly(source)
    assert ".f64" in assembly(source.replace("0.1f", "0.1"))
