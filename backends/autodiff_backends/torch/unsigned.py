"""Unsigned integers of more than 8 bits in PyTorch, which has few functions of them: by way of signed ones.

Sums, products and moves are the same bits. Order is that of signed integers once the first bit is inverted. Division
is of 64 bits, with the remainder put right where the dividend does not fit a signed integer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Tensor = Any
Function = Callable[..., Any]

SIGNED = {
    getattr(torch, f"uint{bits}"): getattr(torch, f"int{bits}")
    for bits in (16, 32, 64)
    if hasattr(torch, f"uint{bits}")
}


def same_bits(function: Function) -> Function:
    """A function of unsigned integers that computes with the signed integers of the same bits."""

    def run(*operands: Any, **keywords: Any) -> Any:
        back = next(x.dtype for x in operands if _is_wide(x))
        keywords = {name: SIGNED.get(value, value) if name == "dtype" else value for name, value in keywords.items()}
        result = function(*[x.view(SIGNED[back]) if _is_wide(x) else x for x in operands], **keywords)
        return result.view(back) if result.dtype is SIGNED[back] else result

    return run


def ordered(function: Function) -> Function:
    """A function of the order of unsigned integers: a comparison, or a position."""

    def run(*operands: Any, **keywords: Any) -> Any:
        return function(*[_inverted(x, SIGNED[x.dtype]) if _is_wide(x) else x for x in operands], **keywords)

    return run


def chosen(function: Function) -> Function:
    """A function that gives one of its operands, or of the elements of one, by their order."""
    among = ordered(function)

    def run(*operands: Any, **keywords: Any) -> Any:
        back = operands[0].dtype
        return _inverted(among(*operands, **keywords), SIGNED[back]).view(back)

    return run


def _is_wide(x: Any) -> bool:
    return getattr(x, "dtype", None) in SIGNED


def _inverted(x: Tensor, signed: Any) -> Tensor:
    return torch.bitwise_xor(x.view(signed), torch.iinfo(signed).min)


def compare_mixed(x: Tensor, y: Tensor, comparison: Function) -> Tensor:
    """A comparison of int64 with uint64."""
    signed_first = x.dtype is torch.int64
    difference = torch.full((), -1 if signed_first else 1, device=x.device)
    compared = comparison(_inverted(x, torch.int64), _inverted(y, torch.int64))
    return torch.where(torch.lt(x if signed_first else y, 0), comparison(difference, 0), compared)


# --- division and powers, in 64 bits ---------------------------------------------------------------------------------


def in_64_bits(function: Function) -> Function:
    """A function of int64s with the bits of uint64s, for unsigned integers of any size."""

    def run(x: Tensor, y: Tensor) -> Tensor:
        result = function(*[z.view(torch.int64) if z.dtype is torch.uint64 else z.to(torch.int64) for z in (x, y)])
        return result.view(torch.uint64) if x.dtype is torch.uint64 else result.to(x.dtype)

    return run


def _halved(x: Tensor) -> Tensor:
    return torch.bitwise_and(torch.bitwise_right_shift(x, 1), torch.iinfo(torch.int64).max)


def _not_less(x: Tensor, y: Tensor) -> Tensor:
    return torch.ge(_inverted(x, torch.int64), _inverted(y, torch.int64))


def floor_divide(x: Tensor, y: Tensor) -> Tensor:
    divisor = torch.where(y > 0, y, 1)
    quotient = 2 * torch.div(_halved(x), divisor, rounding_mode="floor")
    quotient = quotient + _not_less(x - quotient * divisor, divisor)
    # A divisor with the first bit set goes once at most.
    quotient = torch.where(y < 0, _not_less(x, y).to(torch.int64), quotient)
    return torch.where(y == 0, 0, quotient)


def remainder(x: Tensor, y: Tensor) -> Tensor:
    return torch.where(y == 0, 0, x - floor_divide(x, y) * y)


def right_shift(x: Tensor, n: Tensor) -> Tensor:
    inside = (n > 0) & (n < 64)
    shifted = torch.bitwise_right_shift(_halved(x), torch.where(inside, n - 1, 0))
    return torch.where(n == 0, x, torch.where(inside, shifted, 0))


def power(x: Tensor, exponent: Tensor) -> Tensor:
    """By half the exponent, which a signed integer holds."""
    root = torch.pow(x, _halved(exponent))
    return root * root * torch.where(torch.bitwise_and(exponent, 1) == 1, x, 1)


def gcd(x: Tensor, y: Tensor) -> Tensor:
    """Euclid's algorithm, for all elements until the last one is done."""
    x, y = torch.broadcast_tensors(x, y)
    while bool(torch.any(y != 0)):
        done = y == 0
        x, y = torch.where(done, x, y), torch.where(done, y, remainder(x, y))
    return x


def lcm(x: Tensor, y: Tensor) -> Tensor:
    return floor_divide(x, gcd(x, y)) * y


def sign(x: Tensor) -> Tensor:
    return torch.ne(x, 0).to(x.dtype)


def reciprocal(x: Tensor) -> Tensor:
    """1 for 1; 0 for all that is greater."""
    return torch.eq(x, 1).to(x.dtype)
