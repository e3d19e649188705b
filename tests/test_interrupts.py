"""Interrupts anywhere, of each thing that a user does: afterwards it has happened or it has not, and all goes on.

The nightly session (``NIGHTLY=1``) interrupts at every place that ``interrupting.points`` finds, and 10,000 times at
random; otherwise it is a seeded part of both.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import os
import pickle
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import background, places, watching, whole
from autodiff.nodes import Constant, Variable
from autodiff.plan import execute
from autodiff.plan.watch import Watched

from .conftest import kernels_everywhere
from .interrupting import Interrupt, interrupted, points

NIGHTLY = bool(os.environ.get("NIGHTLY"))
# Interrupts of one kind of call, and random ones of all kinds.
PLACES = 10**9 if NIGHTLY else 40
RANDOM = 10_000 if NIGHTLY else 250

# An exception in what Python calls when an object dies goes nowhere.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

A = np.linspace(0.1, 1.1, 6).reshape(2, 3)
B = np.linspace(-0.5, 0.7, 6).reshape(2, 3)


class Case:
    """A thing that a user does. It is made anew for each interrupt."""

    def call(self) -> Any:
        """Do it: what is interrupted."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise an error unless it has happened or has not, and all that is left agrees."""

    def again(self) -> None:
        """Do it to the end, and raise an error if a value is wrong."""
        raise NotImplementedError


def agrees(tensor: ad.Tensor) -> None:
    """A handle and its slot tell of the same version."""
    node, slot = tensor._node, tensor._slot
    if slot is None:
        return
    if slot.value is not None:
        assert isinstance(node, (Variable, Constant))
        assert node.value is slot.value
        assert node.slot is slot
    else:
        assert slot.node() is node
        assert node.renamed is slot


class InPlace(Case):
    """``t += 1``, ``t *= t``, ``t[...] = v``, of a variable and of a result."""

    def __init__(self) -> None:
        self.x = ad.Tensor(A)
        self.y = self.x * 2.0
        self.graph = ad.Graph()
        self.done = 0

    def call(self) -> None:
        for t in (self.x, self.y):
            t += 1.0
            t *= t
            t[0] = 3.0
            t[1, 1:] = t[0, 1:]

    def check(self) -> None:
        states = [A]
        states += [A + 1, (A + 1) ** 2]
        states.append(np.vstack([[3.0] * 3, states[-1][1]]))
        states.append(np.vstack([[3.0] * 3, [states[-1][1, 0], 3.0, 3.0]]))
        doubled = [2 * A, 2 * A + 1, (2 * A + 1) ** 2]
        doubled.append(np.vstack([[3.0] * 3, doubled[-1][1]]))
        doubled.append(np.vstack([[3.0] * 3, [doubled[-1][1, 0], 3.0, 3.0]]))
        for t, possible in ((self.x, states), (self.y, doubled)):
            agrees(t)
            assert any(np.array_equal(t.value, p) for p in possible)

    def again(self) -> None:
        for t in (self.x, self.y):
            before = t.value.copy()
            result = np.sum(np.sin(t) * t)
            (gradient,) = self.graph.gradient(result, [t])
            np.testing.assert_allclose(gradient, np.sin(before) + before * np.cos(before), rtol=1e-12)
            t *= 2.0
            agrees(t)
            np.testing.assert_array_equal(t.value, 2 * before)


class Assigned(Case):
    """``assign`` and its kin."""

    def __init__(self) -> None:
        self.x = ad.Tensor(A)
        self.y = self.x * 1.0
        self.z = ad.Tensor(2.0)

    def call(self) -> None:
        self.x.assign(B)
        self.y.assign(B)
        self.z.assign(3)
        self.x.assign_add(1.0)
        self.x.assign_sub(B)

    def check(self) -> None:
        for t, possible in ((self.x, [A, B, B + 1, B + 1 - B]), (self.y, [A, B]), (self.z, [2.0, 3.0])):
            agrees(t)
            assert any(np.array_equal(t.value, p) for p in possible)

    def again(self) -> None:
        self.call()
        np.testing.assert_array_equal(self.x.value, B + 1 - B)
        (gradient,) = ad.Graph().gradient(np.sum(self.x**2), [self.x])
        np.testing.assert_array_equal(gradient, 2 * (B + 1 - B))


class Blocks(Case):
    """``with graph:`` blocks, nested, left by an exception."""

    def __init__(self) -> None:
        self.other = ad.Graph(backend="array_api_strict")
        self.host = ad.Graph(backend="numpy")

    def call(self) -> None:
        with self.other as entered:
            assert entered is self.other
            with contextlib.suppress(ValueError), self.host:
                assert ad.Tensor(A).node.aval.place is self.host.backend
                raise ValueError
            assert ad.Tensor(A).node.aval.place is self.other.backend.home
        self.other.tensor(A)

    def again(self) -> None:
        assert ad.Tensor(A).node.aval.place is None
        self.call()
        assert ad.Tensor(A).node.aval.place is None


class Gradients(Case):
    """Plans compiled and found again: first and second order, recorded, of any value and of values at hand."""

    def __init__(self) -> None:
        self.graph = ad.Graph()
        execute.evaluations.clear()
        self.x, self.y = ad.Tensor(A), ad.Tensor(B)

    def recorded(self) -> ad.Tensor:
        x, y = self.x, self.y
        return np.sum(np.where(x > 0.5, np.log(x), x * y) + np.concatenate([np.tanh(y), x])[1:3] @ np.ones((3, 3)))

    def call(self) -> None:
        for _ in range(2):
            self.graph.gradient(self.recorded(), [self.x, self.y])
        self.graph.value_and_gradient(self.recorded(), [self.x])
        self.graph.gradient(self.recorded(), [self.x], 2)
        (slope,) = self.graph.gradient(self.recorded(), [self.x], as_tensors=True)
        slope.value
        (2.0 * self.recorded()).value

    def again(self) -> None:
        value, (gx, gy) = self.graph.value_and_gradient(self.recorded(), [self.x, self.y])
        joined = np.concatenate([np.tanh(B), A])[1:3]
        wanted = np.sum(np.where(A > 0.5, np.log(A), A * B) + joined @ np.ones((3, 3)))
        np.testing.assert_allclose(value, wanted, rtol=1e-12)
        np.testing.assert_allclose((2.0 * self.recorded()).value, 2 * wanted, rtol=1e-12)
        np.testing.assert_allclose(gx, np.where(A > 0.5, 1 / A, B) + np.outer([3.0, 0.0], np.ones(3)), rtol=1e-12)
        slope = [[0.0] * 3, 3 * (1 - np.tanh(B[1]) ** 2)]
        np.testing.assert_allclose(gy, np.where(A > 0.5, 0, A) + slope, rtol=1e-12)
        (second,) = self.graph.gradient(self.recorded(), [self.x], 2)
        np.testing.assert_allclose(second, np.where(A > 0.5, -1 / A**2, 0), rtol=1e-12)


class Indexed(Case):
    """Index values that change: plans for others are made in the background."""

    def __init__(self) -> None:
        self.graph = ad.Graph()
        self.x = ad.Tensor(np.linspace(0.1, 1.0, 8))

    def gradient(self, i: int) -> Any:
        y = np.sin(self.x) * self.x
        return self.graph.gradient(y[i] * 2.0 + np.sum(y[2:5]), [self.x])[0]

    def call(self) -> None:
        for i in (0, 1, 2, 5):
            self.gradient(i)
        background.wait()
        self.gradient(6)

    def again(self) -> None:
        x = self.x.value
        slope = np.sin(x) + x * np.cos(x)
        for i in (0, 1, 7, 3):
            chosen = 2.0 * (np.arange(8) == i) + ((np.arange(8) >= 2) & (np.arange(8) < 5))
            np.testing.assert_allclose(self.gradient(i), slope * chosen, rtol=1e-12)
        background.wait()
        assert not background._queue
        assert not background._at_work()


class IndexedAtOnce(Indexed):
    """The same with all work done by the thread that asks."""

    def __init__(self) -> None:
        super().__init__()
        os.environ[background.VARIABLE] = "0"

    def check(self) -> None:
        del os.environ[background.VARIABLE]


class Compiled(Case):
    """``Graph.compile``, and what it gives."""

    def __init__(self) -> None:
        self.x = ad.Tensor(A)

    def call(self) -> Any:
        f = ad.Graph().compile(np.sum(np.exp(self.x) * self.x), [self.x], [self.x])
        return f, f(B)

    def again(self) -> None:
        _, (value, (gradient,)) = self.call()
        np.testing.assert_allclose(value, np.sum(np.exp(B) * B), rtol=1e-12)
        np.testing.assert_allclose(gradient, np.exp(B) * (B + 1), rtol=1e-12)


class Traced(Case):
    """``ad.function``: traced, replayed, and traced anew for a value that was looked at."""

    def __init__(self) -> None:
        self.w = w = ad.Tensor(2.0)

        @ad.function
        def f(x: Any) -> Any:
            scale = 3.0 if float(w) > 2.5 else 1.0
            return ad.value_and_grad(lambda t: np.sum(np.tanh(t) * w) * scale)(x)

        self.f = f

    def call(self) -> None:
        self.f(A)
        self.f(A)
        self.w.assign(3.0)
        self.f(A)
        self.w.assign(2.0)
        self.f(A)

    def check(self) -> None:
        agrees(self.w)

    def again(self) -> None:
        for w, scale in ((2.0, 1.0), (3.0, 3.0), (1.0, 1.0), (3.0, 3.0)):
            self.w.assign(w)
            value, gradient = self.f(A)
            np.testing.assert_allclose(value, np.sum(np.tanh(A)) * w * scale, rtol=1e-12)
            np.testing.assert_allclose(gradient, (1 - np.tanh(A) ** 2) * w * scale, rtol=1e-12)


class Transformed(Case):
    """``ad.grad`` of a function that changes its argument, nested; a value that is refused."""

    def call(self) -> Any:
        def cube(x: Any) -> Any:
            x *= x * x
            return np.sum(x)

        with pytest.raises(ad.errors.DetachedError):
            ad.grad(lambda x: float(np.sum(x)) * 2.0)(A)
        return ad.grad(cube)(A), ad.grad(ad.grad(lambda x: x**3 * 2.0))(1.5)

    def again(self) -> None:
        first, second = self.call()
        np.testing.assert_allclose(first, 3 * A**2, rtol=1e-12)
        assert second == pytest.approx(18.0)


class Optimized(Case):
    """An optimizer's steps, the first of which compiles; its state loaded."""

    def __init__(self) -> None:
        self.optimizer, self.parameters = self.made()
        self.gradients = [np.ones((2, 3)), np.full(3, 0.5)]
        self.states = []
        twin, _ = self.made()
        self.states.append(self.snapshot(twin))
        for _ in range(3):
            twin.step(self.gradients)
            self.states.append(self.snapshot(twin))

    @staticmethod
    def made() -> tuple[Any, list[ad.Tensor]]:
        parameters = [ad.Tensor(A), ad.Tensor(B[0])]
        return ad.optim.Adam(parameters, 0.1, clip_norm=1.0), parameters

    @staticmethod
    def snapshot(optimizer: Any) -> bytes:
        return pickle.dumps({name: np.asarray(x).tobytes() for name, x in optimizer.state_dict().items()})

    def call(self) -> None:
        begin = self.optimizer.state_dict()
        self.optimizer.step(self.gradients)
        self.optimizer.step(self.gradients)
        self.optimizer.load_state_dict(begin)
        self.optimizer.step(self.gradients)

    def check(self) -> None:
        for p in self.parameters:
            agrees(p)
        assert self.snapshot(self.optimizer) in self.states

    def again(self) -> None:
        place = self.states.index(self.snapshot(self.optimizer))
        self.optimizer.step(self.gradients)
        assert self.snapshot(self.optimizer) == self.states[place + 1]


class Saved(Optimized):
    """A state written to a file and read again."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "state.npz"
        self.path.unlink(missing_ok=True)
        self.optimizer.save(self.path)
        self.optimizer.step(self.gradients)

    def call(self) -> None:
        self.optimizer.save(self.path)
        self.optimizer.load(self.path)

    def check(self) -> None:
        super().check()
        other, _ = self.made()
        other.load(self.path)
        assert self.snapshot(other) in self.states[:2]

    def again(self) -> None:
        self.optimizer.save(self.path)
        assert os.listdir(self.path.parent) == [self.path.name]
        super().again()


class Placed(Case):
    """Variables put on another backend, and trained there with an optimizer that began here."""

    def __init__(self) -> None:
        self.graph = ad.Graph(backend="array_api_strict")
        self.x, self.y = ad.Tensor(A), ad.Tensor(B)
        self.z = self.x * 2.0
        self.optimizer = ad.optim.SGD([self.y], 0.5, momentum=0.9)
        self.optimizer.step([np.zeros((2, 3))])

    def call(self) -> None:
        self.graph.add_variables(self.x, self.y, self.z)
        xp = self.graph.backend.namespace
        self.optimizer.step([xp.zeros((2, 3))])
        self.x.to("numpy")

    def check(self) -> None:
        for t, wanted in ((self.x, A), (self.y, B), (self.z, 2 * A)):
            agrees(t)
            np.testing.assert_array_equal(np.asarray(t), wanted)

    def again(self) -> None:
        self.call()
        self.check()
        (gradient,) = self.graph.gradient(np.sum(self.x**2 * self.z), [self.x])
        assert gradient.shape == (2, 3)
        xp = self.graph.backend.namespace
        self.optimizer.step([xp.ones((2, 3))])
        np.testing.assert_allclose(np.asarray(self.y), B - 0.5)


class Large(Case):
    """Arrays that threads share; a sum that is looked at, since it may have left the range."""

    DATA = np.linspace(-1.0, 1.0, 1 << 17)

    def __init__(self) -> None:
        self.graph = ad.Graph()
        self.x = ad.Tensor(self.DATA, copy=False)
        ad.set_num_threads(2)

    def gradient(self) -> Any:
        return self.graph.value_and_gradient(np.sum(np.tanh(self.x) / (1 + np.exp(-self.x))), [self.x])

    def call(self) -> None:
        self.gradient()
        self.gradient()

    def check(self) -> None:
        ad.set_num_threads(None)

    def again(self) -> None:
        value, (gradient,) = self.gradient()
        t, s = np.tanh(self.DATA), 1 / (1 + np.exp(-self.DATA))
        np.testing.assert_allclose(value, np.sum(t * s), rtol=1e-12)
        np.testing.assert_allclose(gradient, (1 - t * t) * s + t * s * (1 - s), rtol=1e-9, atol=1e-13)


class Overflowing(Case):
    """A plan that looks at a sum which may leave the range, and is computed again where it does."""

    X = np.arange(12.0).reshape(4, 3) / 7
    T = np.array([[1.0, -0.5], [0.25, 2.0], [0.5, 1.0]]) * 1e-10

    def __init__(self) -> None:
        self.graph = ad.Graph()

    def gradient(self, size: float) -> Any:
        b, weights = ad.Tensor(np.zeros(3)), np.full((4, 2), size)
        return self.graph.gradient(np.sum(((b + self.X) @ self.T) * weights), [b])[0]

    def call(self) -> None:
        self.gradient(1.0)
        self.gradient(1e308)

    def again(self) -> None:
        for size in (1.0, 1e308):
            np.testing.assert_allclose(self.gradient(size), np.sum(np.full((4, 2), size) @ self.T.T, 0), rtol=1e-12)
        (compiled,) = self.graph._gradients.cache.values()
        assert isinstance(compiled.plan._current.plan if hasattr(compiled.plan, "_current") else compiled.plan, Watched)


class Kernels(Case):
    """Machine code of this library's own loops."""

    def __init__(self) -> None:
        self.patch = pytest.MonkeyPatch()
        kernels_everywhere(self.patch)
        self.graph = ad.Graph(backend="llvm")

    def gradient(self) -> Any:
        x = ad.Tensor(A)
        return self.graph.value_and_gradient(np.sum(np.tanh(x) * x + np.where(x > 0.5, np.log(x), x)), [x])

    def call(self) -> None:
        self.gradient()
        self.gradient()

    def check(self) -> None:
        assert self.graph.cache_info().entries <= 1

    def again(self) -> None:
        value, (gradient,) = self.gradient()
        (compiled,) = self.graph._gradients.cache.values()
        assert "@kernel(" in compiled.plan.source
        self.patch.undo()
        np.testing.assert_allclose(value, np.sum(np.tanh(A) * A + np.where(A > 0.5, np.log(A), A)), rtol=1e-12)
        slope = (1 - np.tanh(A) ** 2) * A + np.tanh(A) + np.where(A > 0.5, 1 / A, 1)
        np.testing.assert_allclose(gradient, slope, rtol=1e-12)


class Pickled(Case):
    """A Tensor with its history, to and fro."""

    def __init__(self) -> None:
        self.x = ad.Tensor(A)
        self.x += 1.0

    def call(self) -> Any:
        return pickle.loads(pickle.dumps(np.sin(self.x)))

    def again(self) -> None:
        np.testing.assert_array_equal(self.call().value, np.sin(A + 1))


KINDS: dict[str, Callable[[Path], Case]] = {
    **{
        kind.__name__: lambda folder, kind=kind: kind()
        for kind in (
            InPlace,
            Assigned,
            Blocks,
            Gradients,
            Indexed,
            IndexedAtOnce,
            Compiled,
            Traced,
            Transformed,
            Optimized,
            Placed,
            Large,
            Overflowing,
            Pickled,
            Kernels,
        )
        if importlib.util.find_spec({Kernels: "llvmlite"}.get(kind, "numpy"))
    },
    "Saved": Saved,
}


class World:
    """What is the process's or the thread's: after an interrupt it is what it was."""

    def __init__(self) -> None:
        self.state = self.now()

    @staticmethod
    def now() -> dict[str, Any]:
        return {
            "collector": gc.isenabled(),
            "errors": (np.geterr(), np.geterrcall()),
            "block": places.block_here(),
            "watched": dict(watching.watched),
            "traces": set(watching.traces),
            "trace": watching._tracing.get(),
            "pauses": dict(whole._pausing),
        }

    def check(self) -> None:
        assert self.now() == self.state

    def check_locks(self, again: Callable[[], None]) -> None:
        """Another thread does it, too: a lock that was left held would keep it from that."""
        errors: list[BaseException] = []

        def work() -> None:
            try:
                again()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive(), "a lock is held"
        if errors:
            raise errors[0]


@pytest.fixture(autouse=True)
def _at_rest() -> Iterator[None]:
    background.wait()
    yield
    background.wait()


@pytest.mark.parametrize("name", KINDS)
def test_interrupted_anywhere(name: str, tmp_path: Path) -> None:
    make = KINDS[name]
    for _ in range(2):
        case = make(tmp_path)
        places = points(case.call, __file__)
        case.check()
        case.again()
    rng = random.Random(name)
    # All that undo something, and some of the rest.
    chosen = sorted([place for place in places if place.code.co_filename == whole.__file__], key=str)
    rest = sorted(places.keys() - set(chosen), key=str)
    chosen += rng.sample(rest, min(PLACES, len(rest)))
    world = World()
    count = 0
    for place in chosen:
        case = make(tmp_path)
        count += interrupted(case.call, __file__, place, rng.randint(1, places[place]))
        background.wait()
        try:
            world.check()
            case.check()
            world.check_locks(case.again)
            world.check()
        except BaseException as error:
            error.add_note(f"interrupted at {place}")
            raise
    print(name, len(places), "places,", count, "interrupts")  # noqa: T201
    # Not every place lets a signal in, and newer Pythons have fewer that do.
    assert count > len(chosen) // 3


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers on this system")
def test_interrupted_at_random(tmp_path: Path) -> None:
    rng = random.Random(0)
    world = World()
    durations: dict[str, float] = {}
    for name, make in KINDS.items():
        for _ in range(2):
            case = make(tmp_path)
            start = time.perf_counter()
            case.call()
            durations[name] = time.perf_counter() - start
            case.check()
            case.again()
    count = 0

    def raises(number: int, frame: Any) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, raises)
    try:
        while count < RANDOM:
            name = rng.choice(list(KINDS))
            case = KINDS[name](tmp_path)
            try:
                try:
                    signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 1.2 * durations[name]))
                    case.call()
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupt:
                count += 1
            background.wait()
            try:
                world.check()
                case.check()
                world.check_locks(case.again)
                world.check()
            except BaseException as error:
                error.add_note(f"{name}, interrupt {count}")
                raise
    finally:
        signal.signal(signal.SIGALRM, before)
