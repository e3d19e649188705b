"""Every table has a bound: memory is flat however many shapes, constants, graphs, functions and threads there are."""

import collections
import functools
import gc
import os
import sys
import threading
import tracemalloc
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
import pytest

import autodiff as ad
import autodiff.optim
from autodiff import background
from autodiff.memo import Memo
from autodiff.plan import execute, workspaces
from autodiff.transforms.calls import ENGINE

NIGHTLY = "NIGHTLY" in os.environ
# Steps until tables are full, and after that.
WARM, COUNT = (40_000, 60_000) if NIGHTLY else (200, 200)
GROWTH = 24 << 20 if NIGHTLY else 192 << 10


def shaped(i: int) -> None:
    """Shapes never met before: recorded, evaluated, differentiated in each of the ways."""
    place = i * 7919 % 99_991  # large and small ones in turn
    x = ad.Tensor(np.full((1 + place % 47, 1 + place // 47 % 47, 1 + place // 2209), 0.5))
    y = np.sum(np.sin(x) * x, axis=0)
    way = i % 4
    if way == 0:
        GRAPH.gradient(y, [x])
    elif way == 1:
        y.value
    elif way == 2:
        (d,) = GRAPH.gradient(y, [x], as_tensors=True)
        np.mean(d**2)
    else:
        ad.grad(lambda a: np.sum(a * np.tanh(a)))(x.value)


def constants(i: int) -> None:
    """Numbers that are data, and those that are structure: beside integers, in indices, and as static arguments."""
    x = ad.Tensor(np.arange(4.0))
    k = ad.Tensor(np.arange(4))
    way = i % 4
    if way == 0:
        GRAPH.gradient(np.sum(x**2 * (i * 1e-3) + i), [x])
    elif way == 1:
        (k + (100 + i)).value
    elif way == 2:
        long = ad.Tensor(np.zeros(i + 8))
        np.sum(long[i : i + 4] * x)
    else:
        STATIC(np.ones(3), i)


def graphs(i: int) -> None:
    """Graphs, each with its own cache, and structures never met before."""
    x = ad.Tensor(np.array([0.5, 1.5]))
    y = x
    for bit in range(17):
        y = np.sin(y) if i >> bit & 1 else y * 1.5
    ad.Graph().gradient(y, [x])


def functions(i: int) -> None:
    """Functions and classes made in a loop."""
    kind = type("Kind", (), {"__eq__": lambda a, b: a is b, "__hash__": lambda a: 1})
    ad.function(lambda x, kind: np.sum(x * i))(np.ones(3), kind())
    ad.grad(lambda x: np.sum(x**3))(np.ones(3))
    METHOD(np.ones(3), kind())


def threads(i: int) -> None:
    """Threads, each of which records, evaluates and differentiates."""

    def work() -> None:
        x = ad.Tensor(np.full(1000, float(i)))
        y = np.sum(x**2)
        GRAPH.gradient(y, [x])
        float(np.sum(x * i))
        with ad.Graph(backend="numpy") as graph:
            graph.gradient(np.sum(ad.Tensor([1.0]) * x), [x])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def buffers(i: int) -> None:
    """Plans with buffers of 100 kB, each of another length."""
    x = ad.Tensor(np.ones(12_000 + i % 4_000))
    product = np.cumsum(np.cumsum(x * 2) * x)
    GRAPH.gradient(np.sum(np.cumsum(product * x)), [x])


def wrong(i: int) -> None:
    """Calls that fail."""
    x = ad.Tensor(np.ones((i + 2, 3)))
    for bad in (
        lambda: x + np.ones(i + 4),
        lambda: x[i + 2],
        lambda: GRAPH.gradient(x > 0, [x]),
        lambda: x @ np.ones(5),
    ):
        with pytest.raises(ad.AutodiffError):
            bad()


GRAPH = ad.Graph(cache_size=64)
STATIC = ad.function(lambda x, k: np.sum(x) * k)
METHOD = ad.function(lambda x, kind: np.sum(x))
SCENARIOS: list[Callable[[int], Any]] = [shaped, constants, graphs, functions, threads, buffers, wrong]


def memos() -> list[Memo[Any, Any]]:
    """All tables of the process; those, too, that tests/conftest.py has taken from the collector."""
    gc.unfreeze()
    return [thing for thing in gc.get_objects() if issubclass(type(thing), Memo)]


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In the short run tables are small, so that they are full soon."""
    if NIGHTLY:
        yield
        return
    for memo in memos():
        monkeypatch.setattr(memo, "_most_hot", min(memo._most_hot, 32))
    caches = [execute.evaluations, ENGINE.cache, STATIC._cache, METHOD._cache]
    for cache in caches:
        cache.clear()
        monkeypatch.setattr(cache, "capacity", 32)
    # What other tests have left does not count.
    ad.set_buffer_limit(0)
    ad.set_buffer_limit(4 << 20)
    yield
    ad.set_buffer_limit(None)


def held() -> int:
    """Bytes of the process, whose buffers have filled their bound when tables are full.

    In the short run they have not, and are not counted: those that Python and NumPy have allocated, which shows single
    entries.
    """
    background.wait()
    gc.collect()
    if NIGHTLY:
        return int(psutil.Process().memory_info().rss)
    return tracemalloc.get_traced_memory()[0] - workspaces.kept.nbytes


@pytest.fixture
def _traced() -> Iterator[None]:
    if NIGHTLY:
        yield
        return
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.alone
@pytest.mark.usefixtures("_small", "_traced")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_memory_is_flat(scenario: Callable[[int], Any], capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ad.RetraceWarning)
        sizes = [held()]
        for steps in (range(WARM), range(WARM, WARM + COUNT)):
            for i in steps:
                scenario(i)
            sizes.append(held())
    with capsys.disabled():
        if NIGHTLY:
            print(f"\n{scenario.__name__}: {', '.join(f'{size >> 20}' for size in sizes)} MiB")  # noqa: T201
    assert sizes[2] - sizes[1] < GROWTH
    assert workspaces.kept.nbytes <= workspaces.kept.limit


# --- tables ----------------------------------------------------------------------------------------------------------

# Functions that remember without a bound: they have no arguments, or names of NumPy, SciPy and C.
WITHOUT_BOUND = {"_composite", "_names", "memory_bytes", "random"}
WITHOUT_BOUND |= {"_c_library", "_new_builtin", "_numpy_table", "address_of", "holds", "library", "processor"}
WITHOUT_BOUND |= {"bits", "has_compiler", "part"}


def globals_() -> Iterator[tuple[str, Any]]:
    """What is in the modules of both packages, and in the objects that are there."""
    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] in ("autodiff", "autodiff_backends"):
            for name, value in list(vars(module).items()):
                yield f"{module_name}.{name}", value
                if type(value).__module__.partition(".")[0] in ("autodiff", "autodiff_backends"):
                    slots = [slot for kind in type(value).__mro__ for slot in vars(kind).get("__slots__", ())]
                    for inner in [*slots, *getattr(value, "__dict__", {})]:
                        if not inner.startswith("__"):
                            yield f"{module_name}.{name}.{inner}", getattr(value, inner, None)


def tables() -> dict[str, int]:
    """The sizes of all containers, by where they are."""
    weak = (weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet)
    kinds = (dict, list, set, collections.deque, *weak)
    return {name: len(value) for name, value in globals_() if isinstance(value, kinds) and not name.endswith("__")}


@pytest.mark.alone
@pytest.mark.usefixtures("_small")
def test_no_table_grows() -> None:
    def every(steps: range) -> dict[str, int]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ad.RetraceWarning)
            for scenario in SCENARIOS:
                for i in steps:
                    scenario(i)
        background.wait()
        gc.collect()
        return tables()

    before = every(range(1000, 1150))
    after = every(range(1150, 1300))
    assert len(after) > 100
    # Those of generations are between half and all of their size.
    assert {name: (before.get(name, 0), size) for name, size in after.items() if size > before.get(name, 0) + 64} == {}


def test_no_function_remembers_without_a_bound() -> None:
    remembering = type(functools.cache(abs))
    found = {value for _, value in globals_() if type(value) is remembering}
    assert len(found) >= 5
    assert {f.__name__ for f in found if f.cache_parameters()["maxsize"] is None} <= WITHOUT_BOUND
