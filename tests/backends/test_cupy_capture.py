"""Launches captured as CUDA graphs, on a device that records them and replays them."""

from __future__ import annotations

import gc
import threading
import warnings
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

import autodiff as ad
from autodiff_backends.cupy.capture import CAPTURED, CAPTURING_CALL, MAX_BYTES, MAX_STREAMS, MIN_LAUNCHES, pays
from autodiff_backends.cupy.device import CupyDevice
from autodiff_backends.cupy.plan import CupyPlan, KernelPlan
from autodiff_backends.numpy.reference import Interpreted

from .cuda_emulation import NO_COMPILER
from .cupy_standin import Gpu, Library

needs_compiler = pytest.mark.skipif(NO_COMPILER is not None, reason=str(NO_COMPILER))

# So many elements that no two loops are one launch.
STEPS, ROWS, WIDTH = 30, 350, 6


def recurrence(h, w, x, steps=STEPS):
    """An unrolled recurrent network: its last state, and a number."""
    for t in range(steps):
        h = np.tanh(h @ w + x[t])
    return h, np.sum(h * h)


def values(seed):
    """A first state, weights and inputs."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=size) * 0.3 for size in ((ROWS, WIDTH), (WIDTH, WIDTH), (STEPS, ROWS, WIDTH))]


@pytest.fixture(scope="module")
def network(as_program):
    leaves = [ad.Tensor(value) for value in values(0)]
    return as_program(leaves, recurrence(*leaves))


def check(found, seed):
    for one, wanted in zip(found, recurrence(*values(seed)), strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-10, atol=1e-12)


def called(plan, times=CAPTURING_CALL):
    """A plan that was called so often."""
    for _ in range(times):
        plan(*values(0))
    return plan


@needs_compiler
def test_numbers_are_those_of_numpy_before_and_after(network):
    device = Gpu()
    plan = KernelPlan(network, device)
    assert plan.n_launches == 2 * STEPS
    assert plan.source.startswith(CAPTURED)
    found = []
    for call in range(1, 6):
        given = values(call)
        # In whichever way they lie in memory.
        given[0] = np.asfortranarray(given[0])
        found.append(plan(*given))
        assert device.captures == (call >= CAPTURING_CALL)
        assert len(device.launched) == plan.n_launches * (call + (call >= CAPTURING_CALL))
    for call, one in enumerate(found, 1):
        check(one, call)
    arrays = [array for one in found for array in one]
    for i, one in enumerate(arrays):
        assert not any(np.may_share_memory(one, other) for other in arrays[:i])


@needs_compiler
def test_gradients_on_a_device(as_program):
    """Regions of kernels between library calls; arrays that say where they are; sums that blocks share."""
    leaves = [ad.Tensor(value) for value in values(0)]
    large = ad.Tensor(np.eye(ROWS))
    loss = np.sum(recurrence(large @ leaves[0], *leaves[1:])[0] ** 2)
    gradients = ad.Graph().gradient(loss, leaves, as_tensors=True)
    program = as_program([*leaves, large], [loss, *gradients])
    library = Library()
    device = Gpu(library, 1)
    with device.scope():
        plan = CupyPlan(program, device, "test")
        given = [library.array(value) for value in (*values(0), large.value)]
        found = [plan(*given) for _ in range(CAPTURING_CALL + 1)]
    assert device.captures == 1
    assert CAPTURED in plan.source
    for one, first, wanted in zip(found[-1], found[0], Interpreted(program)(*values(0), large.value), strict=True):
        assert one.number == 1
        np.testing.assert_array_equal(one, first)
        np.testing.assert_allclose(np.asarray(one), wanted, rtol=1e-9, atol=1e-9)


@needs_compiler
def test_each_stream_has_its_own(network):
    device = Gpu()
    plan = KernelPlan(network, device)
    for seed in range(4):
        for handle in (1, 2):
            device.handle = handle
            check(plan(*values(seed + handle)), seed + handle)
    assert device.captures == 2
    one, other = (plan._captures._streams[handle].bound for handle in (1, 2))
    for array in (*one.inputs.values(), *one.outputs, one.memory):
        assert not any(np.shares_memory(array, x) for x in (*other.inputs.values(), *other.outputs, other.memory))


@needs_compiler
def test_streams_that_come_and_go_are_not_captured_again_and_again(network):
    device = Gpu()
    plan = KernelPlan(network, device)
    for _ in range(CAPTURING_CALL + 1):
        for device.handle in range(MAX_STREAMS + 1):
            plan(*values(0))
    assert device.captures == 0
    assert len(plan._captures._streams) == MAX_STREAMS


@needs_compiler
def test_a_stream_in_use_stays_captured(network):
    device = Gpu()
    plan = called(KernelPlan(network, device))
    captured = plan._captures._streams[0]
    for other in range(1, MAX_STREAMS + 2):
        for device.handle in (other, 0):
            check(plan(*values(other)), other)
    assert plan._captures._streams[0] is captured
    assert device.captures == 1


@needs_compiler
def test_threads_on_one_stream(network):
    plan = called(KernelPlan(network, Gpu()))
    found = {}

    def work(seed):
        found[seed] = [plan(*values(seed)) for _ in range(3)]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(threads)
    for seed, results in found.items():
        for one in results:
            check(one, seed)


@needs_compiler
@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ({"broken": RuntimeError("cudaErrorStreamCaptureInvalidated")}, r"captured.*RuntimeError: cudaErrorStream"),
        ({"broken": MemoryError("Out of memory")}, r"captured.*MemoryError: Out of memory"),
        ({"lost": 1}, r"other numbers"),
        ({"lost": 2 * STEPS}, r"other numbers"),
    ],
    ids=str,
)
def test_what_goes_wrong_is_found_out_at_once(network, trouble, message):
    device = Gpu()
    vars(device).update(trouble)
    plan = called(KernelPlan(network, device), CAPTURING_CALL - 1)
    with pytest.warns(RuntimeWarning, match=rf"backend 'cupy'.*one by one.*{message}"):
        found = plan(*values(0))
    check(found, 0)
    assert gc.isenabled()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(4):
            check(plan(*values(seed)), seed)
    assert device.captures == 1
    assert not plan._captures._streams


@needs_compiler
def test_what_the_user_captures_has_plain_launches(network):
    device = Gpu()
    plan = called(KernelPlan(network, device))
    device.is_captured = True
    device.launched.clear()
    kept = plan._captures._streams[device.handle].bound.outputs[0].copy()
    check(plan(*values(5)), 5)
    assert len(device.launched) == plan.n_launches
    np.testing.assert_array_equal(plan._captures._streams[device.handle].bound.outputs[0], kept)
    other = called(KernelPlan(network, device), CAPTURING_CALL + 1)
    assert device.captures == 1
    assert not other._captures._streams


@needs_compiler
def test_numbers_that_are_not_numbers_are_compared_too(network):
    device = Gpu()
    plan = KernelPlan(network, device)
    given = values(0)
    given[0][0, 0] = np.nan
    for _ in range(CAPTURING_CALL + 1):
        state, total = plan(*given)
    assert np.isnan(state[0]).all()
    assert not np.isnan(state[1:]).any()
    assert np.isnan(total)
    assert device.captures == 1


@needs_compiler
def test_nothing_keeps_a_plan_that_is_not_needed(network):
    plan = called(KernelPlan(network, Gpu()))
    reference = weakref.ref(plan)
    gc.disable()
    try:
        del plan
        assert reference() is None
    finally:
        gc.enable()


@needs_compiler
def test_few_launches_and_numbers_of_python_are_not_captured(as_program, variable):
    leaves = [ad.Tensor(value) for value in values(0)]
    few = KernelPlan(as_program(leaves, recurrence(*leaves, steps=MIN_LAUNCHES // 2 - 1)), Gpu())
    factor = variable(0.5)
    state, total = recurrence(*leaves)
    scaled = ad.ops.multiply(total.node, factor)
    number = KernelPlan(as_program([*leaves, factor], [state, scaled]), Gpu())
    assert few.n_launches < MIN_LAUNCHES < number.n_launches
    for plan in (few, number):
        assert plan._captures is None
        assert CAPTURED not in plan.source


@pytest.mark.parametrize(
    ("launches", "copies", "nbytes", "wanted"),
    [
        (MIN_LAUNCHES, 7, MAX_BYTES, True),
        (MIN_LAUNCHES - 1, 2, 8, False),
        (MIN_LAUNCHES, 8, 8, False),
        (100, 49, 8, True),
        (100, 50, 8, False),
        (100, 2, MAX_BYTES + 1, False),
    ],
)
def test_when_it_pays(launches, copies, nbytes, wanted):
    assert pays(launches, copies, nbytes) is wanted


# --- what is asked of CuPy -------------------------------------------------------------------------------------------


class Stream:
    """A stream of CuPy that says what is done to it."""

    def __init__(self, log, ptr):
        self.log, self.ptr = log, ptr

    def use(self):
        self.log.append(f"use {self.ptr}")

    def begin_capture(self):
        self.log.append("begin")

    def end_capture(self):
        self.log.append("end")
        return SimpleNamespace(launch=lambda: self.log.append("replay"))


@pytest.fixture
def log():
    return []


@pytest.fixture
def device(log):
    def stream(*, non_blocking):
        assert non_blocking
        return Stream(log, 9)

    cuda = SimpleNamespace(
        Stream=stream,
        get_current_stream=lambda: Stream(log, cuda.handle),
        runtime=SimpleNamespace(streamIsCapturing=lambda handle: handle == 9),
        handle=0,
    )
    return CupyDevice(SimpleNamespace(cuda=cuda), 0)


def test_a_graph_is_captured_on_a_stream_of_its_own(device, log):
    replay = device.capture(lambda: log.append("launch"))
    assert log == ["use 9", "begin", "launch", "end", "use 0"]
    replay()
    assert log[-1] == "replay"


def test_a_capture_that_fails_is_ended(device, log):
    with pytest.raises(ZeroDivisionError):
        device.capture(lambda: 1 / 0)
    assert log == ["use 9", "begin", "end", "use 0"]


@pytest.mark.parametrize(("handle", "wanted"), [(0, False), (7, False), (9, True)])
def test_whether_the_user_captures(device, handle, wanted):
    device.xp.cuda.handle = handle
    assert device.capturing() is wanted


def test_copies_are_the_drivers(device):
    """Of what is contiguous; else of a copy that is."""

    def array(contiguous, place):
        found = SimpleNamespace(flags=SimpleNamespace(c_contiguous=contiguous), nbytes=24)
        found.data = SimpleNamespace(ptr=place, copied=[])
        found.data.copy_from_device_async = lambda source, nbytes: found.data.copied.append((source.ptr, nbytes))
        found.copy = lambda: array(True, place + 16)
        return found

    target = array(True, 0)
    for contiguous in (True, False):
        device.copy_into(target, array(contiguous, 64))
    assert target.data.copied == [(64, 24), (80, 24)]


def test_cupy_has_what_is_asked_for():
    cupy = pytest.importorskip("cupy")
    for holder, name in (
        (cupy.cuda.Stream, "begin_capture"),
        (cupy.cuda.Stream, "end_capture"),
        (cupy.cuda.Graph, "launch"),
        (cupy.cuda.runtime, "streamIsCapturing"),
        (cupy.cuda.MemoryPointer, "copy_from_device_async"),
    ):
        assert callable(getattr(holder, name))
