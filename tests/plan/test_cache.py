"""The cache of plans: bounded, least recently used out first, counted, safe in threads."""

import threading

import numpy as np
import pytest

import autodiff as ad
from autodiff.plan import CacheInfo, PlanCache
from autodiff.plan import cache as plan_cache
from autodiff.plan.cache import DEFAULT_CAPACITY


def get(cache, key):
    return cache.get(key, lambda: f"plan {key}")


def test_counts():
    cache = PlanCache(4)
    assert get(cache, "a") == "plan a"
    assert get(cache, "a") == "plan a"
    assert get(cache, "b") == "plan b"
    info = cache.info()
    assert isinstance(info, CacheInfo)
    assert info[:4] == (1, 2, 2, 4)
    assert info.compile_seconds >= 0
    assert PlanCache().capacity == DEFAULT_CAPACITY


def test_a_hit_does_not_compile():
    cache = PlanCache(4)
    get(cache, "a")
    assert cache.get("a", lambda: pytest.fail("compiled again")) == "plan a"


def test_least_recently_used_goes_first():
    cache = PlanCache(3)
    for key in ("a", "b", "c", "a", "b", "d"):  # c is the oldest
        get(cache, key)
    assert cache.values() == ["plan a", "plan b", "plan d"]
    assert cache.info()[:4] == (2, 4, 3, 3)
    get(cache, "c")  # a goes
    assert cache.values() == ["plan b", "plan d", "plan c"]


def test_hits_of_what_is_gone_still_count():
    cache = PlanCache(1)
    for key in ("a", "a", "a", "b", "c"):
        get(cache, key)
    assert cache.info()[:3] == (2, 3, 1)


def test_clear():
    cache = PlanCache(2)
    get(cache, "a")
    get(cache, "a")
    cache.clear()
    assert cache.info() == (0, 0, 0, 2, 0.0)
    assert cache.values() == []
    get(cache, "a")
    assert cache.info()[:2] == (0, 1)


def test_a_failed_compilation_leaves_no_entry():
    cache = PlanCache(2)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            cache.get("a", lambda: 1 // 0)
    assert cache.info()[:3] == (0, 0, 0)
    assert get(cache, "a") == "plan a"


def test_compiling_may_use_the_cache():
    cache = PlanCache(4)
    assert cache.get("outer", lambda: get(cache, "inner") + "!") == "plan inner!"
    assert cache.info()[:3] == (0, 2, 2)


def test_values_that_are_none_are_kept():
    cache = PlanCache(2)
    cache.get("a", lambda: None)
    assert cache.get("a", lambda: pytest.fail("compiled again")) is None


class Sized:
    def __init__(self, n_operations):
        self.n_operations = n_operations


def test_plans_have_a_part_of_the_memory(monkeypatch):
    monkeypatch.setattr(plan_cache, "memory_bytes", lambda: 100_000 * plan_cache.BYTES_AN_OPERATION)
    cache = PlanCache(100)
    cache.get("first", lambda: Sized(1))
    for size in range(0, 1_000_000, 1000):
        cache.get(size, lambda size=size: Sized(size))
        cache.get("first", lambda: pytest.fail("compiled again"))
        operations = sum(value.n_operations for value in cache.values())
        assert operations <= 100_000 // plan_cache.PART_OF_MEMORY or len(cache.values()) <= plan_cache.ALWAYS_KEPT
        # A few are kept, however long they are.
        assert cache.get(max(0, size - 5000), lambda: pytest.fail("compiled again")).n_operations == max(0, size - 5000)
    assert cache.info().misses == 1001


def test_histories_that_grow_do_not_take_all(monkeypatch):
    monkeypatch.setattr(plan_cache, "memory_bytes", lambda: 2_000 * 8 * plan_cache.BYTES_AN_OPERATION)
    graph = ad.Graph()
    w = x = ad.Tensor(np.ones(3))
    for _ in range(120):
        w = np.sin(w)
        graph.gradient(w, [x])
        graph.gradient(w, [x], as_tensors=True)
    assert plan_cache.ALWAYS_KEPT <= graph.cache_info().entries < 60
    assert sum(value.n_operations for value in graph._gradients.cache.values()) > 1_000


def test_threads():
    cache = PlanCache(8)
    wrong = []
    barrier = threading.Barrier(8)

    def work(seed):
        barrier.wait()
        for i in range(2_000):
            key = (i * (seed + 1)) % 16
            if get(cache, key) != f"plan {key}":
                wrong.append(key)
            if i % 500 == 499 and seed == 0:
                cache.clear()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert cache.info().entries <= 8
