"""The cache of plans: bounded, least recently used out first, counted, safe in threads."""

import threading

import pytest

from autodiff.plan import CacheInfo, PlanCache
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
