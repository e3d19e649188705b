"""Tables with a bound: what is used stays, however much else comes by; what is compared by identity is one object."""

import gc
import sys
import threading
import weakref

import pytest

from autodiff.memo import Interned, Memo


class Thing:
    """Something that can be referred to weakly."""

    def __init__(self, name):
        self.name = name


def test_what_was_put_is_found():
    memo = Memo(8)
    assert memo.get("a") is None
    assert memo.put("a", 1) == 1
    assert memo.put("a", 2) == 1
    assert memo.get("a") == memo.hot["a"] == 1
    memo.replace("a", 3)
    assert memo.get("a") == 3
    memo.clear()
    assert memo.get("a") is None
    assert len(memo) == 0


@pytest.mark.parametrize("kept", [2, 3, 16, 17])
def test_the_bound_holds_and_the_latest_are_there(kept):
    memo = Memo(kept)
    for i in range(200):
        memo.put(i, i + 1)
        assert len(memo) <= kept
        for recent in range(max(0, i - kept // 2 + 1), i + 1):
            assert memo.get(recent) == recent + 1
    assert memo.get(0) is None


def test_what_is_asked_for_stays():
    memo = Memo(16)
    hot = memo.hot
    memo.put("loop", Thing("loop"))
    first = memo.get("loop")
    for i in range(1000):
        memo.put(i, Thing(i))
        if i % 7 == 0:
            assert memo.get("loop") is first
    assert memo.hot is hot
    assert len(memo) <= 16


def test_what_is_dropped_dies():
    memo = Memo(4)
    things = [weakref.ref(memo.put(i, Thing(i))) for i in range(100)]
    gc.disable()
    try:
        assert sum(ref() is not None for ref in things) == len(memo) <= 4
    finally:
        gc.enable()


def test_an_interned_object_is_the_one_that_is_held():
    table = Interned(4)
    held = table.put("held", Thing("held"))
    for i in range(100):
        table.put(i, Thing(i))
    assert "held" not in table.hot
    assert table.get("held") is held
    assert table.put("held", Thing("another")) is held
    gone = weakref.ref(held)
    del held
    for i in range(100):
        table.put(i, Thing(i))
    assert gone() is None
    assert table.get("held") is None
    assert len(table) <= 4
    assert len(table._alive) <= len(table)


def test_finalizers_may_use_the_table_that_drops_them():
    table = Interned(4)

    class Finalized(Thing):
        def __del__(self):
            table.get(self.name)
            if self.name < 1000:
                table.put(self.name + 1000, Thing(0))

    for i in range(1000):
        table.put(i, Finalized(i))
        assert len(table) <= 4


@pytest.mark.parametrize("kind", [Memo, Interned])
def test_threads_find_what_belongs_to_the_key(kind):
    table = kind(32)
    wrong = []
    barrier = threading.Barrier(8)

    def work(seed):
        barrier.wait()
        for i in range(4000):
            key = (i * (seed + 3)) % 97
            found = table.get(key) or table.put(key, Thing(key))
            if found.name != key or len(table) > 64:
                wrong.append(key)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert wrong == []
    table.put("last", Thing("last"))
    assert len(table) <= 32 + 8
