"""What PyTorch computes otherwise than NumPy, put right; and what it has functions of its own for."""

from __future__ import annotations

from typing import Any

import torch

Tensor = Any

# --- elementwise -----------------------------------------------------------------------------------------------------


# Powers of two whose square makes more than 1 of the least number. Times that, and cut off, a number is its sign:
# exactly, and without comparisons, which take PyTorch three times as long as arithmetic (65,000 elements: 17 us, 5 us).
LARGE = {torch.float32: 2.0**120, torch.float64: 2.0**1000}


def sign(x: Tensor) -> Tensor:
    """PyTorch's sign of NaN is 0."""
    if x.dtype not in LARGE:
        return torch.where(torch.isnan(x), x, torch.sign(x))
    large = LARGE[x.dtype]
    # Adding 0 makes 0 of -0.
    return torch.mul(x, large).mul_(large).clamp_(-1, 1).add_(0)


def step(x: Tensor, at_zero: Tensor) -> Tensor:
    """0 below 0, 1 above, and a single number from 0 to 1 at 0; NaN stays NaN."""
    large = LARGE[x.dtype]
    return torch.add(at_zero, torch.mul(x, large), alpha=large).clamp_(0, 1)


def heaviside(x: Tensor, at_zero: Tensor) -> Tensor:
    """PyTorch's step at NaN is 0."""
    return torch.where(torch.isnan(x), x, torch.heaviside(x, at_zero))


def remainder(x: Tensor, y: Tensor) -> Tensor:
    """A remainder of 0 has the sign of the divisor."""
    rest = torch.remainder(x, y)
    return torch.where(rest == 0, torch.copysign(rest, y), rest)


def rint_complex(x: Tensor) -> Tensor:
    return torch.complex(torch.round(x.real), torch.round(x.imag))


def masked_multiply(ct: Tensor, factor: Tensor) -> Tensor:
    return torch.mul(ct, factor).masked_fill_(torch.eq(ct, 0), 0)


def lcm(x: Tensor, y: Tensor) -> Tensor:
    """PyTorch's ends the process for two zeros."""
    divisor = torch.gcd(x, y)
    divisor = torch.where(divisor == 0, torch.ones_like(divisor), divisor)
    return torch.div(torch.abs(x), divisor, rounding_mode="floor") * torch.abs(y)


def ndtr(x: Tensor) -> Tensor:
    return 0.5 * torch.special.erfc(-(0.5**0.5) * x)


def frexp(x: Tensor) -> tuple[Tensor, Tensor]:
    return tuple(torch.frexp(x))


# Bits of the fraction, the exponent that stands for 0, and the integer of the same size.
_BITS = {torch.float32: (23, 127, torch.int32), torch.float64: (52, 1023, torch.int64)}


def ldexp(x: Tensor, n: Tensor) -> Tensor:
    """``x * 2**n`` with one rounding: of three factors only the last can make a subnormal number.

    Powers of two are made of bits, and so exact on every device.
    """
    if x.dtype not in _BITS:
        return ldexp(x.to(torch.float32), n).to(x.dtype)
    fraction, bias, integer = _BITS[x.dtype]
    farthest = 2 * bias + 60
    n = torch.clamp(n, -farthest, farthest).to(integer)
    last = torch.clamp(n, 24 - bias, bias - 24)
    half = torch.bitwise_right_shift(n - last, 1)
    for part in (half, n - last - half, last):
        x = x * torch.bitwise_left_shift(part + bias, fraction).view(x.dtype)
    return x


# --- reductions and products -----------------------------------------------------------------------------------------


def prod(x: Tensor, axes: tuple[int, ...], dtype: Any) -> Tensor:
    """PyTorch multiplies along one axis at a time."""
    for axis in reversed(axes):
        x = torch.prod(x, axis, dtype=dtype)
    return x


def inv(a: Tensor) -> Tensor:
    """Singular where PyTorch's determinants are 0: these factor the transpose, ``torch.linalg.inv`` the matrix."""
    transposed = a.is_contiguous() and not a.is_complex()
    factors, pivots, info = torch.linalg.lu_factor_ex(a.mT if transposed else a)
    if bool(info.any()):
        raise torch.linalg.LinAlgError("linalg.inv: the matrix is singular")
    one = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device).expand(a.shape)
    inverse = torch.linalg.lu_solve(factors, pivots, one)
    return inverse.mT if transposed else inverse


def no_elements(x: Tensor, shape: tuple[int, ...], dtype: Any) -> Tensor:
    """An array of a shape that holds none."""
    return x.new_empty(shape, dtype=dtype)


def any_numbers(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return torch.any(torch.ne(x, 0), axes)


def all_numbers(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return torch.all(torch.ne(x, 0), axes)


def argmax_truth(x: Tensor, axis: int) -> Tensor:
    return torch.argmax(x.to(torch.uint8), axis)


def argmin_truth(x: Tensor, axis: int) -> Tensor:
    return torch.argmin(x.to(torch.uint8), axis)


def inner_product(x: Tensor, y: Tensor, axes: tuple[int, ...]) -> Tensor:
    return torch.sum(torch.mul(x, y), axes, dtype=x.dtype)


def dot(x: Tensor, y: Tensor) -> Tensor:
    """The inner product over all axes, without the products being stored."""
    return torch.dot(x.reshape(-1), y.reshape(-1))


def matmul_truth(x: Tensor, y: Tensor) -> Tensor:
    """Whether any pair is true: counted, and a count rounded is no 0."""
    return torch.ne(torch.matmul(x.to(torch.float32), y.to(torch.float32)), 0)


# Products of integers held at once.
PRODUCTS = 1 << 24


def matmul_integers(x: Tensor, y: Tensor) -> Tensor:
    """A matrix product as sums of products, since GPUs have none of integers."""
    batch = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    result = torch.zeros((*batch, x.shape[-2], y.shape[-1]), dtype=x.dtype, device=x.device)
    step = max(1, PRODUCTS // max(1, result.numel()))
    for left, right in zip(x.split(step, -1), y.split(step, -2), strict=True):
        result += torch.sum(left.unsqueeze(-1) * right.unsqueeze(-3), -2, dtype=x.dtype)
    return result


def concatenate(*arrays: Tensor, axis: int) -> Tensor:
    return torch.cat(arrays, axis)
