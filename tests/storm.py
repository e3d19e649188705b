"""Tasks in 32 threads, each checked against NumPy, while variables are assigned, caches cleared, and processes forked.

``python -m tests.storm COUNT SEED BACKEND ...`` runs so many and prints what was done; it ends with an error, and where
all threads are, if a value is wrong, a task fails, or none ends for a minute.
"""

from __future__ import annotations

import faulthandler
import gc
import itertools
import os
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import numpy.random  # in full, before threads do

import autodiff as ad
from autodiff import optim  # now: what a thread imports while another forks, Python does not give the child

THREADS = 32
# Seconds without any task that ends, which is a hang. A kernel takes LLVM a second at most.
PATIENCE = 120
SHARED_SIZE = 64

Task = Callable[["Storm", random.Random], None]


def close(found: Any, wanted: Any, rtol: float = 1e-10) -> None:
    """A wrong value is an error that shows it."""
    found = np.asarray(found)
    if np.shape(wanted) not in ((), found.shape) or not np.allclose(found, wanted, rtol, 1e-12):
        raise AssertionError(f"found {found}, wanted {wanted}")


class Storm:
    """What the threads share.

    Parameters
    ----------
    count : int
        Tasks that are begun.
    seed : int
    backends : sequence of str
        Beside NumPy's.
    """

    def __init__(self, count: int, seed: int, backends: list[str]):
        self.seed = seed
        self.numbers = iter(range(count))
        self.graphs = [ad.Graph(), ad.Graph(cache_size=3), *[ad.Graph(backend=name) for name in backends]]
        self.shared = ad.Tensor(np.full(SHARED_SIZE, 1.0))
        self.scaled = ad.function(lambda x: np.sum(x * self.shared))
        self.squares = ad.function(lambda x: ad.value_and_grad(lambda t: np.sum(t * t))(x), cache_size=2)
        self.done: Counter[str] = Counter()
        self.problems: list[str] = []
        self.last = time.monotonic()
        self.forks = True

    def draw(self, rng: random.Random) -> ad.Graph:
        """One of the graphs that all use."""
        return rng.choice(self.graphs)

    def perform(self, rng: random.Random, task: Task) -> None:
        """A task, and what came of it."""
        try:
            task(self, rng)
            self.done[task.__name__] += 1
        except BaseException:
            self.problems.append(f"{task.__name__}\n{traceback.format_exc()}")
        self.last = time.monotonic()

    def work(self, number: int, most: int | None = None) -> None:
        """Tasks of one thread, until it has done ``most``, or there are no more."""
        rng = random.Random(f"{self.seed} {number}")
        for _ in range(most or rng.randint(1, 60)):
            if self.problems or next(self.numbers, None) is None:
                return
            (task,) = rng.choices(list(TASKS), TASKS.values())
            self.perform(rng, task)

    def run(self) -> None:
        """All tasks, in threads that end and are followed by others."""
        numbers = itertools.count()
        threads: list[threading.Thread] = []
        while threads or not self.problems:
            threads = [thread for thread in threads if thread.is_alive()]
            if self.numbers.__length_hint__() and not self.problems:
                for _ in range(THREADS - len(threads)):
                    thread = threading.Thread(target=self.work, args=(next(numbers),))
                    thread.start()
                    threads.append(thread)
            elif not threads:
                return
            # The main thread takes part: it is the one that signals come to.
            self.work(next(numbers), 1)
            time.sleep(0.001)
            if time.monotonic() - self.last > PATIENCE:
                self.problems.append("no task has ended")
                faulthandler.dump_traceback()
                return


def data(rng: random.Random, *shape: int) -> np.ndarray:
    """Numbers between -1 and 1."""
    return np.random.default_rng(rng.randrange(1 << 30)).uniform(-1, 1, shape)


# --- tasks ------------------------------------------------------------------------------------------------------------


def gradients(storm: Storm, rng: random.Random) -> None:
    """Gradients of few structures in many shapes."""
    graph, power = storm.draw(rng), rng.randint(2, 3)
    a = data(rng, rng.randint(1, 4), 4)
    x = graph.tensor(a)
    value, (slope,) = graph.value_and_gradient(np.sum(np.sin(x) * x**power), [x])
    close(value, np.sum(np.sin(a) * a**power))
    close(slope, np.cos(a) * a**power + power * np.sin(a) * a ** (power - 1))


def second_order(storm: Storm, rng: random.Random) -> None:
    """Second derivatives."""
    graph, a = storm.draw(rng), data(rng, 5)
    x = graph.tensor(a)
    close(graph.gradient(np.sum(np.exp(x) * x), [x], 2)[0], np.exp(a) * (a + 2))


def evaluations(storm: Storm, rng: random.Random) -> None:
    """Values of expressions, some of which are views and written to."""
    a, b = data(rng, 3, 4), data(rng, 4, rng.randint(1, 3))
    x = ad.Tensor(a)
    y = np.tanh(x @ b)
    y[1:] *= 2
    wanted = np.tanh(a @ b)
    wanted[1:] *= 2
    close(y.value, wanted)
    close(float(np.max(y)), np.max(wanted))


def large(storm: Storm, rng: random.Random) -> None:
    """Elementwise work that several threads share, with sines and cosines."""
    a = data(rng, 40_000 + rng.choice([0, 1000]))
    x = ad.Tensor(a, copy=False)
    value, (slope,) = storm.graphs[0].value_and_gradient(np.sum(np.sin(x * x) * np.tanh(x)), [x])
    close(value, np.sum(np.sin(a * a) * np.tanh(a)), 1e-8)
    close(slope, 2 * a * np.cos(a * a) * np.tanh(a) + np.sin(a * a) / np.cosh(a) ** 2, 1e-8)


def indices(storm: Storm, rng: random.Random) -> None:
    """Plans that know the numbers in indices, and are made again in the background."""
    a, i = data(rng, 20), rng.randrange(20)
    x = ad.Tensor(a)
    y = x
    for _ in range(30):
        y = y * 0.5 + x
    (slope,) = storm.graphs[0].gradient(y[i] * y[i] + np.sum(y[1:] * y[:-1]), [x])
    c = sum(0.5**k for k in range(31))
    wanted = np.zeros(20)
    wanted[i] = 2 * c * c * a[i]
    wanted[1:] += c * c * a[:-1]
    wanted[:-1] += c * c * a[1:]
    close(slope, wanted)


def assign(storm: Storm, rng: random.Random) -> None:
    """A new version of the shared variable: all of its elements are one whole number."""
    storm.shared.assign(np.full(SHARED_SIZE, float(rng.randint(1, 1000))))


def versions(storm: Storm, rng: random.Random) -> None:
    """What is recorded has one version of the shared variable, whatever is assigned meanwhile."""
    w = storm.shared
    value, (slope,) = storm.graphs[0].value_and_gradient(np.sum(w**3), [w])
    k = np.cbrt(value / SHARED_SIZE)
    close(k, round(float(k)))
    close(slope, 3 * k * k)
    whole = w.value
    close(whole, whole[0])


def traced(storm: Storm, rng: random.Random) -> None:
    """A function that takes the shared variable from outside, and one with a small cache."""
    a = data(rng, SHARED_SIZE)
    factor = storm.scaled(a) / a.sum()
    close(factor, round(float(factor)), 1e-6)
    b = data(rng, rng.randint(1, 5))
    value, slope = storm.squares(b)
    close(value, np.sum(b * b))
    close(slope, 2 * b)


def training(storm: Storm, rng: random.Random) -> None:
    """Steps of an optimizer of this thread's own."""
    graph = storm.graphs[1]
    a, target = data(rng, 6), data(rng, 6)
    w = ad.Tensor(a)
    sgd = optim.SGD([w], 0.1)
    for _ in range(3):
        (slope,) = graph.gradient(np.sum((w - target) ** 2), [w])
        sgd.step([slope])
        a = a - 0.2 * (a - target)
    close(w.value, a)


def error_states(storm: Storm, rng: random.Random) -> None:
    """NumPy's error state is each thread's own, and an error is of who made it."""
    x = ad.Tensor(np.array([rng.random(), 0.0]))
    with np.errstate(divide="ignore"):
        assert np.isinf((1 / x).value[1])
    with np.errstate(divide="raise"):
        try:
            (1 / x).value
        except FloatingPointError:
            pass
        else:
            raise AssertionError("an error of NumPy's was lost")
    try:
        x @ np.ones(3)
    except ad.errors.ShapeError:
        pass
    else:
        raise AssertionError("an error was lost")


class Finalized:
    """Computes when it is freed, wherever that happens to be."""

    def __init__(self, storm: Storm, seed: int):
        self.arguments = storm, random.Random(seed)
        self.itself = self

    def __del__(self) -> None:
        self.arguments[0].perform(self.arguments[1], gradients)


def finalizers(storm: Storm, rng: random.Random) -> None:
    """Garbage whose collection computes."""
    Finalized(storm, rng.randrange(1 << 30))
    if rng.random() < 0.1:
        gc.collect()


def reads(storm: Storm, rng: random.Random) -> None:
    """What is said of caches and backends."""
    graph = storm.draw(rng)
    info = graph.cache_info()
    assert 0 <= info.entries <= info.capacity + THREADS
    assert "compiled gradients" in repr(graph)
    assert "numpy" in ad.backends()
    storm.scaled.cache_info()


def clear(storm: Storm, rng: random.Random) -> None:
    """Forget compiled plans that others use."""
    rng.choice([*storm.graphs[:2], storm.scaled, storm.squares]).clear_cache()


def threads(storm: Storm, rng: random.Random) -> None:
    """Another number of threads for elementwise work."""
    ad.set_num_threads(rng.choice([None, 1, 2, 3, 5]))


def fork(storm: Storm, rng: random.Random) -> None:
    """A child in which everything works, at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork() if storm.forks else None
    if pid == 0:
        status = 1
        try:
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            assert gc.isenabled(), "the collector is off in a child"
            storm.problems.clear()
            storm.forks = False
            for task in IN_CHILDREN:
                storm.perform(rng, task)
            ad.background.wait()
            sys.stderr.write("".join(storm.problems))
            status = 3 if storm.problems else 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    if pid:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "a child hung, or was wrong"


IN_CHILDREN = [gradients, large, indices, versions, traced, finalizers, reads, clear, gradients, evaluations, training]

# How often each is drawn.
TASKS: dict[Task, float] = {
    **dict.fromkeys([gradients, evaluations, versions, traced, indices], 10),
    **dict.fromkeys([second_order, assign, training, error_states, reads, finalizers], 6),
    large: 3,
    clear: 1,
    threads: 1,
    **({fork: 0.4} if hasattr(os, "fork") else {}),
}


# --- signals ----------------------------------------------------------------------------------------------------------


def every(seconds: float, storm: Storm) -> None:
    """In the main thread, a handler again and again that reads and computes, wherever that thread is."""
    rng = random.Random(storm.seed)
    inside: list[None] = []

    def handle(*_: object) -> None:
        if not inside:
            inside.append(None)
            try:
                storm.perform(rng, rng.choice([reads, reads, gradients, evaluations, versions, clear]))
                storm.done["in a signal handler"] += 1
            finally:
                inside.clear()

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)


def main() -> None:
    """Run as the arguments of the process say."""
    count, seed, *backends = sys.argv[1:]
    if "llvm" in backends:
        # Kernels everywhere: they would not pay for what is this small.
        import_module("autodiff_backends.llvm.backend").KERNEL_CALL = float("-inf")
    # A child of a fork cannot import what a thread of its parent was importing: that is Python's.
    ad.backends()
    faulthandler.enable()
    sys.setswitchinterval(1e-4)
    storm = Storm(int(count), int(seed), backends)
    if hasattr(signal, "setitimer"):
        every(0.01, storm)
    begin = time.monotonic()
    storm.run()
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
    if not storm.problems:
        ad.background.wait()
        gc.collect()
    counts = f"{sum(storm.done.values())} tasks in {time.monotonic() - begin:.0f} s: {dict(storm.done)}"
    sys.stdout.write("\n".join([counts, *storm.problems[:3], ""]))
    sys.stdout.flush()
    os._exit(bool(storm.problems))


if __name__ == "__main__":
    main()
