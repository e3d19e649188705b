"""The emulated device finds the mistakes that only threads in another order, or a device, would show."""

from __future__ import annotations

import numpy as np
import pytest

from .cuda_emulation import NO_COMPILER, EmulatedDevice

pytestmark = pytest.mark.skipif(NO_COMPILER is not None, reason=str(NO_COMPILER))

HEAD = 'extern "C" __global__ void __launch_bounds__(64) '


def reversed_by(barrier: str) -> str:
    """A kernel that reverses 64 numbers through shared memory."""
    return f"""{HEAD}reverse(const double* __restrict__ p0, double* __restrict__ p1) {{
    __shared__ double all[64];
    all[threadIdx.x] = p0[threadIdx.x];
    {barrier}
    p1[threadIdx.x] = all[63 - threadIdx.x];
    __syncthreads();
}}
"""


def launch_reversed(source: str) -> bool:
    device = EmulatedDevice()
    x, y = device.aligned(np.arange(64.0)), device.empty(64, float)
    device.load(source)("reverse", (1, 1, 1), (64, 1, 1), [x, y])
    assert device.launched == ["reverse"]
    return bool((y == x[::-1]).all())


def test_a_missing_barrier_is_found_out():
    assert launch_reversed(reversed_by("__syncthreads();"))
    assert not launch_reversed(reversed_by(""))


def test_a_barrier_that_some_threads_do_not_reach_is_found_out():
    with pytest.raises(AssertionError, match="only some of the threads"):
        launch_reversed(reversed_by("__syncthreads(); if (threadIdx.x < 32) __syncthreads(); else return;"))


def test_blocks_come_in_another_order_each_time():
    source = (
        HEAD + "order(int* p0, int* p1) { if (threadIdx.x == 0) p1[atomicAdd(p0, 1)] = blockIdx.x + 3 * blockIdx.y; }"
    )
    device = EmulatedDevice()
    launch = device.load(source)
    found = []
    for _ in range(5):
        counter, order = device.zeros(1, np.int32), device.empty(6, np.int32)
        launch("order", (3, 2, 1), (32, 1, 1), [counter, order])
        assert sorted(order) == list(range(6))
        found.append(tuple(order.tolist()))
    assert len(set(found)) > 1


@pytest.mark.parametrize("wrong", ["too few", "a number", "not contiguous", "not aligned"])
def test_arguments_are_checked(wrong):
    device = EmulatedDevice()
    launch = device.load(reversed_by("__syncthreads();"))
    x = device.aligned(np.arange(130.0))
    arguments = {
        "too few": [x],
        "a number": [x, np.float64(1)],
        "not contiguous": [x, x[::2]],
        "not aligned": [x, x[1:65]],
    }[wrong]
    with pytest.raises(AssertionError):
        launch("reverse", (1, 1, 1), (64, 1, 1), arguments)


def test_a_kernel_that_is_no_cpp_is_refused():
    with pytest.raises(RuntimeError, match="undeclared"):
        EmulatedDevice().load(HEAD + "wrong(double* p0) { p0[0] = undeclared; }")
