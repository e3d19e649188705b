"""Numbers in CUDA C++: names of dtypes, literals, conversions as NumPy does them."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.whole import apart

BOOL, FLOAT16, FLOAT32 = np.dtype(bool), np.dtype(np.float16), np.dtype(np.float32)

# `half` and `cplx` are defined in the prelude.
C_NAMES = {
    np.dtype("?"): "bool",
    np.dtype("i1"): "signed char",
    np.dtype("i2"): "short",
    np.dtype("i4"): "int",
    np.dtype("i8"): "long long",
    np.dtype("u1"): "unsigned char",
    np.dtype("u2"): "unsigned short",
    np.dtype("u4"): "unsigned int",
    np.dtype("u8"): "unsigned long long",
    np.dtype("f2"): "half",
    np.dtype("f4"): "float",
    np.dtype("f8"): "double",
    np.dtype("c8"): "cplx<float>",
    np.dtype("c16"): "cplx<double>",
}

_SUFFIXES = {"u4": "u", "i8": "ll", "u8": "ull"}


def arithmetic(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What is computed in: single precision for half, anything else as it is."""
    return FLOAT32 if dtype == FLOAT16 else dtype


def cast(text: str, dtype: np.dtype[Any], to: np.dtype[Any]) -> str:
    """``text`` of one dtype as another."""
    if dtype == to:
        return text
    if dtype == FLOAT16:
        return cast(f"(float){text}", FLOAT32, to)
    if to.kind == "b":
        return f"np_truth({text})"
    name = C_NAMES[to]
    if dtype.kind == "c" and to.kind != "c":
        part = np.dtype(f"f{dtype.itemsize // 2}")
        return cast(f"({text}).re", part, to)
    if to.kind == "c":
        return f"{name}({text})"
    if to == FLOAT16:
        return f"half({text})" if dtype.kind == "f" else f"half((float){text})"
    if dtype.kind == "f" and to.kind in "iu" and to.itemsize < 8 and to.str[1:] != "i4":
        # Numbers that do not fit: their lowest bits, as of the wider integers that processors convert to.
        return f"({name})({'long long' if to.str[1:] == 'u4' else 'int'}){text}"
    if dtype.kind == "f" and to.str[1:] == "u8":
        return f"np_to_unsigned({text})"
    return f"({name}){text}"


@apart
def number(literal: str, own: np.dtype[Any] | None, to: np.dtype[Any]) -> str:
    """A number of the structure in a dtype; ``own`` is the dtype that it has, None for a Python number."""
    with np.errstate(all="ignore"):
        return text_of(np.asarray(_parsed(literal), own).astype(to))


def _parsed(literal: str) -> Any:
    """The value of ``literal_text``."""
    if literal in ("True", "False"):
        return literal == "True"
    literal = literal.removeprefix("float('").removesuffix("')")
    if "j" in literal:
        return complex(literal)
    return int(literal) if literal.lstrip("-").isdigit() else float(literal)


def text_of(array: Any) -> str:
    """A literal for a 0-d array."""
    dtype = array.dtype
    if dtype.kind == "b":
        return "true" if array else "false"
    if dtype.kind == "c":
        return f"{C_NAMES[dtype]}({text_of(array.real)}, {text_of(array.imag)})"
    if dtype.kind in "iu":
        return _integer(int(array), dtype)
    if dtype == FLOAT16:
        return f"half({text_of(array.astype(FLOAT32))})"
    single = dtype == FLOAT32
    if not np.isfinite(array):
        text = "NAN_F64" if np.isnan(array) else "INF_F64"
        return ("-" if array < 0 else "") + (text.replace("64", "32") if single else text)
    text = repr(array.item()) if not single else str(array[()])
    return text + "f" if single else text


def _integer(value: int, dtype: np.dtype[Any]) -> str:
    code = dtype.str[1:]
    suffix = _SUFFIXES.get(code, "")
    if dtype.kind == "i" and value == np.iinfo(dtype).min:
        # C has no negative literals, and the positive one does not fit.
        return f"({C_NAMES[dtype]})({value + 1}{suffix} - 1)"
    text = f"{value}{suffix}"
    return text if dtype.itemsize >= 4 else f"({C_NAMES[dtype]}){text}"
