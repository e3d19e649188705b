"""Where nobody chooses a backend: NumPy's plans answer at once, and machine code as soon as that pays."""

import copy
import functools
import gc
import importlib.util
import itertools
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
import warnings
import weakref

import numpy as np
import pytest

import autodiff as ad
from autodiff import background
from autodiff.errors import BackendError
from autodiff.plan import hot
from autodiff.registry import get_backend
from autodiff_backends.default import backend as default_

from .conftest import kernels_everywhere
from .fuzz import sweep

DATA = np.linspace(0.1, 0.9, 24)
has_llvm = importlib.util.find_spec("llvmlite") is not None
needs_llvm = pytest.mark.skipif(not has_llvm, reason="llvmlite is not installed")


@pytest.fixture(autouse=True)
def tiers(monkeypatch):
    """Tiers as they are without a setting; nothing is left to do at the end."""
    monkeypatch.delenv(default_.VARIABLE, raising=False)
    monkeypatch.delenv(background.VARIABLE, raising=False)
    monkeypatch.setattr(hot, "_said", set())
    yield
    background.wait()


@pytest.fixture
def cheap(monkeypatch):
    """Whatever saves time pays at the second call."""
    monkeypatch.setattr(hot.Compiling, "seconds", lambda self, operations: 0.0)


@pytest.fixture
def untried(cheap, monkeypatch):
    """And stays, however fast it is."""
    monkeypatch.setattr(hot, "TRIALS", 0)


def body(x):
    y = x
    for _ in range(12):
        y = np.sin(y) * x + np.tanh(y) / 3.0
    return np.sum(y * y)


class Step:
    """A gradient that is asked for again and again."""

    def __init__(self, function=body, data=DATA, **keywords):
        self.graph, self.x, self.function = ad.Graph(**keywords), ad.Tensor(data), function

    def __call__(self):
        return self.graph.gradient(self.function(self.x), [self.x])[0]

    @property
    def tier(self):
        return self.graph.explain(self.function(self.x), [self.x]).tier

    @property
    def hot(self):
        """The plan."""
        (found,) = [gradient.plan for gradient in self.graph._gradients.cache.values()]
        while not isinstance(found, hot.Hot):
            found = found.answering
        return found


@functools.cache
def wanted():
    return Step(backend="numpy")()


# --- each tier -----------------------------------------------------------------------------------------------------


def test_the_first_calls_are_answered_by_numpy():
    step = Step()
    np.testing.assert_array_equal(step(), wanted())
    assert step.tier.startswith("numpy")


@needs_llvm
def test_what_pays_becomes_machine_code(cheap):
    step = Step()
    for _ in range(2):
        step()
    assert "compiling machine code since call 2" in step.tier
    background.wait()
    for _ in range(2 * hot.TRIALS + 1):
        np.testing.assert_allclose(step(), wanted(), rtol=1e-13)
        assert step.tier.startswith(("numpy", "numpy and llvm in turn"))
    step()
    assert step.tier.startswith("llvm, compiled in ")
    assert " a call where NumPy's plan takes " in step.tier
    np.testing.assert_array_equal(step(), Step(backend="llvm")())
    # A call of the plan is a call of the machine code, and of nothing around it.
    assert type(step.hot.func) is type(len)


@needs_llvm
def test_machine_code_that_is_slower_goes_again(cheap, monkeypatch):
    slowly = get_backend("llvm").compile

    def compile(program):
        plan = slowly(program)

        def slow(*values):
            time.sleep(2e-3)
            return plan(*values)

        slow.n_operations, slow.source = plan.n_operations, plan.source
        return slow

    monkeypatch.setattr(default_, "compiler", lambda: FakeCompiler(compile))
    step = Step()
    for _ in range(2):
        step()
    background.wait()
    for _ in range(2 * hot.TRIALS + 2):
        step()
    assert step.tier.startswith("numpy: machine code takes ")
    assert " ms a call where NumPy's plan takes " in step.tier
    assert step.hot.answering is step.hot._state._slow
    np.testing.assert_array_equal(step(), wanted())


class FakeCompiler:
    """What compiles in another way, and is estimated to save some part."""

    def __init__(self, compile, saved=0.5):
        self.compile = compile
        self.saved = lambda program: saved


def test_what_saves_nothing_is_not_made(cheap, monkeypatch):
    monkeypatch.setattr(default_, "has_compiler", lambda: True)
    monkeypatch.setattr(default_, "compiler", lambda: FakeCompiler(pytest.fail, 0.0))
    step = Step()
    for _ in range(2):
        step()
    background.wait()
    for _ in range(2):
        step()
    assert step.tier.endswith("machine code is estimated to save nothing")
    assert step.hot.func is step.hot.answering


def test_what_saves_little_waits(monkeypatch):
    monkeypatch.setattr(default_, "has_compiler", lambda: True)
    monkeypatch.setattr(default_, "compiler", lambda: FakeCompiler(pytest.fail, 1e-9))
    monkeypatch.setattr(hot, "WORTH_A_TRIAL", 0.0)
    monkeypatch.setattr(hot.Compiling, "seconds", lambda self, operations: 1e-5)
    step = Step()
    for _ in range(40):
        step()
        background.wait()
    assert "has not paid yet" in step.tier


def test_a_low_estimate_of_what_is_saved_is_no_reason_not_to_try(monkeypatch):
    made = []

    def compile(program):
        made.append(program)
        return get_backend("numpy").compile(program)

    monkeypatch.setattr(default_, "has_compiler", lambda: True)
    monkeypatch.setattr(default_, "compiler", lambda: FakeCompiler(compile, 1e-9))
    monkeypatch.setattr(hot.Compiling, "seconds", lambda self, operations: 1e-9)
    step = Step()
    for _ in range(2 * hot.TRIALS + 4):
        step()
        background.wait()
        assert step.tier
    assert len(made) == 1


def test_few_calls_do_not_pay(monkeypatch):
    monkeypatch.setattr(default_, "has_compiler", lambda: True)
    monkeypatch.setattr(hot.Compiling, "seconds", lambda self, operations: 100.0)
    step = Step()
    for _ in range(40):
        step()
    assert "32 calls do not pay for compiling machine code, which takes about 100 s" in step.tier


@needs_llvm
@pytest.mark.parametrize("name", ["numpy", "llvm"])
def test_a_backend_that_is_chosen_stays(name, cheap):
    step = Step(backend=name)
    first = step()
    for _ in range(20):
        np.testing.assert_array_equal(step(), first)
    assert step.tier == f"{name}, as chosen"


@needs_llvm
@pytest.mark.parametrize("name", ["numpy", "llvm"])
def test_the_environment_chooses_for_the_process(name, cheap, monkeypatch):
    monkeypatch.setenv(default_.VARIABLE, name)
    chosen = Step(backend=name)()
    step = Step()
    for _ in range(10):
        np.testing.assert_array_equal(step(), chosen)


def test_another_setting_is_an_error(monkeypatch):
    monkeypatch.setenv(default_.VARIABLE, "fast")
    with pytest.raises(BackendError, match="AUTODIFF_TIERS='fast' is none of 'auto', 'numpy', 'llvm'"):
        Step()()


# --- when ------------------------------------------------------------------------------------------------------------


@needs_llvm
def test_without_a_background_it_is_the_same_call_in_every_run(monkeypatch):
    """It is decided from the program alone, and compiled by the call that decides."""
    monkeypatch.setenv(background.VARIABLE, "0")
    monkeypatch.setattr(hot, "COMPILING", hot.Compiling())
    monkeypatch.setattr(hot.Compiling, "seconds", lambda self, operations: 1e-3)
    counts = []
    for _ in range(2):
        step = Step()
        step()
        calls = 1
        while not step.tier.startswith("llvm"):
            step()
            calls += 1
        counts.append(calls)
    assert counts[0] == counts[1]
    assert 2 < counts[0] < 1000
    np.testing.assert_array_equal(step(), Step(backend="llvm")())


def test_the_cost_is_corrected_by_what_was_measured():
    costs = hot.Compiling()
    nominal = costs.seconds(100)
    assert nominal == hot.NOMINAL_UNIT * (hot.FOR_ANY + 100 * hot.FOR_EACH)
    costs.unit(92, 100 * hot.NOMINAL_UNIT / 2)
    assert costs.seconds(100) == pytest.approx(nominal / 2)
    for _ in range(hot.FEW):
        costs.unit(92, 100 * 3 * hot.NOMINAL_UNIT)
    assert costs.seconds(100) == pytest.approx(3 * nominal)
    costs.unit(92, 100 * 2 * hot.NOMINAL_UNIT)
    costs.unit(92, 100 * 7 * hot.NOMINAL_UNIT)
    assert costs.seconds(100) == pytest.approx(2 * nominal)
    costs.note(100, nominal)
    assert costs.seconds(100) == pytest.approx(nominal)


@needs_llvm
def test_nobody_waits_for_the_compiler(cheap, monkeypatch):
    gate = threading.Event()
    real = default_.compiler

    def compiler():
        assert gate.wait(20)
        return real()

    monkeypatch.setattr(default_, "compiler", compiler)
    step = Step()
    try:
        for _ in range(50):
            np.testing.assert_array_equal(step(), wanted())
    finally:
        gate.set()
    background.wait()
    step()
    assert "in turn" in step.tier or "not tried yet" in step.tier


@needs_llvm
def test_tiers_change_in_the_middle_of_loops_in_threads(untried):
    function = ad.function(lambda x: (body(x), x[::-1] * 2.0 + np.exp(x)))
    fixed = ad.function(lambda x: (body(x), x[::-1] * 2.0 + np.exp(x)), backend="numpy")
    data = [DATA * (1 + i / 10) for i in range(4)]
    expected = [fixed(x) for x in data]
    wrong = []

    def loop(x, results):
        for _ in range(400):
            for one, other in zip(function(x), results, strict=True):
                if not np.allclose(one, other, rtol=1e-12, atol=0):
                    wrong.append((one, other))

    threads = [threading.Thread(target=loop, args=pair) for pair in zip(data, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    background.wait()
    function(data[0])
    assert wrong == []


@needs_llvm
@pytest.mark.parametrize("fails", [False, True])
def test_long_programs_are_made_machine_code_without_source_before(fails, untried, monkeypatch):
    """In the background, where nobody waits for either."""

    def unrolled(x):
        y = x
        for _ in range(400):
            y = np.sin(y) * x + 0.5
        return np.sum(y * y)

    sources = []
    generated = importlib.import_module("autodiff_backends.numpy.backend").Generated
    monkeypatch.setattr(generated, "__init__", lambda *args: sources.append(args))
    if fails:
        monkeypatch.setattr(default_, "compiler", lambda: FakeCompiler(lambda program: 1 // 0))
    step = Step(unrolled)
    first = step()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for _ in range(4):
            np.testing.assert_allclose(step(), first, rtol=1e-11)
            background.wait()
    assert sources == []
    if fails:
        assert ["ZeroDivisionError" in str(one.message) and one.filename == __file__ for one in found] == [True]
        assert "ZeroDivisionError" in step.tier
    else:
        assert step.tier.startswith("llvm, compiled in ")


# --- what can go wrong -----------------------------------------------------------------------------------------------


def test_without_llvmlite_plans_are_numpys(cheap, monkeypatch):
    monkeypatch.setattr(default_, "has_compiler", lambda: False)
    step = Step()
    for _ in range(20):
        np.testing.assert_array_equal(step(), wanted())
    assert step.tier == "numpy: llvmlite is not installed"
    assert not [x for x in step.graph._gradients.cache.values() if isinstance(x.plan, hot.Hot)]


def test_a_compiler_that_cannot_be_imported_is_told_once(cheap, monkeypatch):
    def compiler():
        raise BackendError("backend 'llvm' needs the package llvmlite")

    monkeypatch.setattr(default_, "has_compiler", lambda: True)
    monkeypatch.setattr(default_, "compiler", compiler)
    steps = [Step(), Step(lambda x: np.sum(np.sin(x) * x))]
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for step in steps:
            for _ in range(2):
                step()
            background.wait()
            for _ in range(3):
                step()
    (warning,) = found
    assert "machine code failed: BackendError: backend 'llvm' needs the package llvmlite" in str(warning.message)
    assert str(warning.message).endswith("so the slower plan stays")
    assert warning.filename == __file__
    assert "needs the package llvmlite" in steps[0].tier
    np.testing.assert_array_equal(steps[0](), wanted())


@pytest.mark.parametrize("switched", ["0", "1"])
def test_a_compilation_that_fails_leaves_numpys_plan(switched, cheap, monkeypatch):
    def compile(program):
        raise RuntimeError("no registers left")

    monkeypatch.setenv(background.VARIABLE, switched)
    monkeypatch.setattr(default_, "has_compiler", lambda: True)
    monkeypatch.setattr(default_, "compiler", lambda: FakeCompiler(compile))
    step = Step()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for _ in range(3):
            np.testing.assert_array_equal(step(), wanted())
            background.wait()
    (warning,) = found
    assert str(warning.message).startswith("compiling machine code failed: RuntimeError: no registers left")
    for _ in range(20):
        np.testing.assert_array_equal(step(), wanted())
    assert step.hot.func is step.hot.answering


@needs_llvm
@pytest.mark.parametrize("state", ["read-only", "damaged"])
def test_files_of_kernels_do_not_matter(state, untried, monkeypatch, tmp_path):
    monkeypatch.setenv("AUTODIFF_CACHE_DIR", str(tmp_path / "kernels"))

    def run():
        step = Step(lambda x: np.sum(np.exp(x) * np.sin(x) + x * 1.25))
        for _ in range(2):
            step()
            background.wait()
        value = step()
        assert step.tier.startswith("llvm")
        return value

    if state == "read-only":
        (tmp_path / "kernels").mkdir(mode=0o500)
        monkeypatch.setattr(importlib.import_module("autodiff_backends.loops.files"), "write_whole", _refuse)
    first = run()
    gc.collect()
    for path in (tmp_path / "kernels").iterdir():
        path.write_bytes(path.read_bytes()[:-9] + b"\xc3" * 9)
    np.testing.assert_array_equal(run(), first)


def _refuse(path, content):
    raise PermissionError(path)


@needs_llvm
def test_warnings_are_those_of_every_tier(untried):
    def function(x):
        return np.sum(np.log(x) * np.exp(x))

    value = ad.function(function)
    with pytest.warns(RuntimeWarning, match="divide by zero encountered in log"):
        value(np.array([0.0, 1.0]))
    for _ in range(3):
        value(np.array([0.5, 1.0]))
        background.wait()
    with pytest.warns(RuntimeWarning, match="divide by zero encountered in log"):
        value(np.array([0.0, 1.0]))
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError, match="divide by zero encountered in log"):
        value(np.array([0.0, 1.0]))


@needs_llvm
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("moment", ["importing", "compiling", "after"])
def test_a_fork_at_any_moment_goes_on(moment):
    """Its child answers, and ends."""
    names = {"importing": "get_backend", "compiling": "compiler", "after": ""}
    source = f"""
    import os, threading, time
    import numpy as np, autodiff as ad
    from autodiff import background
    from autodiff.plan import hot
    from autodiff_backends.default import backend as default
    hot.Compiling.seconds = lambda self, operations: 0.0
    reached, gate = threading.Event(), threading.Event()
    name = {names[moment]!r}
    if name:
        real = getattr(default, name)
        def waiting(*args):
            if background.is_at_work() and os.getpid() == parent:
                reached.set()
                gate.wait(20)
            return real(*args)
        setattr(default, name, waiting)
    parent = os.getpid()
    x = np.linspace(0.1, 0.9, 24)
    def body(x):
        for _ in range(5):
            x = np.sin(x) * np.exp(-x)
        return np.sum(x)
    f = ad.function(ad.grad(body))
    wanted = f(x)
    f(x)
    if name:
        assert reached.wait(20)
    else:
        background.wait()
    child = os.fork()
    gate.set()
    import warnings
    warnings.simplefilter("ignore")
    for _ in range(30):
        assert np.allclose(f(x), wanted, rtol=1e-13)
    background.wait()
    for _ in range(30):
        assert np.allclose(f(x), wanted, rtol=1e-13)
    if child:
        assert os.waitpid(child, 0)[1] == 0
    print("done", end=" ", flush=True)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, timeout=100, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["done", "done"]


# --- everything that makes plans -------------------------------------------------------------------------------------


def tiers_of(plans):
    return [hot.tier_of(plan) or "" for plan in plans]


@needs_llvm
def test_values_functions_and_bodies_have_tiers(untried, monkeypatch):
    made = []
    make = hot.Hot.__new__
    monkeypatch.setattr(hot.Hot, "__new__", lambda *args: made.append(make(*args)) or made[-1])

    def is_fast():
        background.wait()
        return any(plan.tier.startswith("llvm") for plan in made)

    def check(call, rtol=1e-12):
        made.clear()
        first = call()
        for _ in range(3):
            call()
            background.wait()
        np.testing.assert_allclose(call(), first, rtol=rtol)
        assert is_fast(), [plan.tier for plan in made]

    check(functools.partial(ad.grad(body), DATA))
    check(functools.partial(ad.function(body), DATA))
    check(functools.partial(ad.jacobian(lambda x: np.sin(x) * np.exp(x) / (1.0 + x * x)), DATA))
    check(lambda: body(ad.Tensor(DATA)).value)
    check(
        functools.partial(
            ad.function(lambda x: ad.scan(lambda c, y: (np.tanh(c * 0.9 + np.sin(y) * y), c), x[0], x)[0]), DATA
        )
    )


@needs_llvm
def test_a_plan_that_nobody_has_is_gone_at_once(untried):
    step = Step()
    for _ in range(3):
        step()
        background.wait()
    gone = weakref.ref(step.hot)
    gc.disable()
    try:
        del step
        assert gone() is None
    finally:
        gc.enable()


@needs_llvm
def test_under_a_memory_limit_plans_stay_as_they_are(untried):
    step = Step(memory_limit=1 << 20)
    for _ in range(5):
        np.testing.assert_allclose(step(), wanted(), rtol=1e-13)
        background.wait()
    assert step.tier == "numpy: a memory limit keeps the plan that was planned"
    assert step.graph.explain(body(step.x), [step.x]).peak_bytes < 1 << 20


def test_a_plan_is_not_pickled():
    with pytest.raises(TypeError, match="a plan cannot be pickled"):
        pickle.dumps(hot.Hot(get_backend("numpy").interpret, None))


def test_the_default_has_a_name():
    found = get_backend("default")
    assert found.home is get_backend("numpy") is get_backend()
    assert ad.Graph(backend="default").tensor([1.0]).node.aval.place is found.home
    assert pickle.loads(pickle.dumps(found)) is found
    assert found.label == "numpy"


# --- random programs ------------------------------------------------------------------------------------------------

FUZZ_FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
FUZZ_COUNT = int(os.environ.get("FUZZ_TIERS", "16"))


@needs_llvm
@pytest.mark.parametrize("part", range(4))
def test_random_programs_are_numpys_in_each_tier(part, untried, monkeypatch):
    """The first or the second call of each plan is one of machine code, whatever the program is."""
    monkeypatch.setattr(hot, "FIRST_LOOK", 1 + part % 2)
    monkeypatch.setenv(background.VARIABLE, "0")
    kernels_everywhere(monkeypatch)
    run = sweep.runner(get_backend("default"))
    findings = [sweep.find(run, seed)[1] for seed in range(FUZZ_FIRST + part, FUZZ_FIRST + FUZZ_COUNT, 4)]
    assert not [str(finding) for finding in findings if finding is not None]


@needs_llvm
@pytest.mark.parametrize("kind", ["numpy", "llvm", "auto"])
def test_what_has_plans_can_be_copied(kind, monkeypatch, cheap):
    monkeypatch.setenv(default_.VARIABLE, kind)
    graph, function = ad.Graph(), ad.function(body)
    x = ad.Tensor(DATA)
    wanted_value = function(DATA)
    for _ in range(4):
        gradient = graph.gradient(body(x), [x])[0]
        function(DATA)
        background.wait()
    again, other = copy.deepcopy((graph, function))
    np.testing.assert_allclose(again.gradient(body(x), [x])[0], gradient, rtol=1e-12)
    np.testing.assert_allclose(other(DATA), wanted_value, rtol=1e-12)
    assert again.cache_info().hits == 1
    again.clear_cache()
    assert graph.cache_info().entries == 1


# --- what a plan is called with, whichever answers -----------------------------------------------------------------


@needs_llvm
@pytest.mark.parametrize("tier", ["numpy", "llvm", "auto"])
@pytest.mark.parametrize("dtype", [">f8", "<f8", ">f4", "<f4", ">i8", "<i4"])
def test_the_byte_order_of_arguments(untried, monkeypatch, dtype, tier):
    monkeypatch.setenv(default_.VARIABLE, tier)
    data = np.array([[1.0, 2.0], [3.0, 4.0]]).astype(dtype)
    f = ad.function(lambda x: np.sin(x * 2.0) + 1.0)
    for _ in range(6):
        found = f(data)
        background.wait()
        np.testing.assert_allclose(found, np.sin(data.astype(float) * 2.0) + 1.0, rtol=1e-6)
        assert found.dtype == (np.sin(data.astype(data.dtype.newbyteorder("=")) * 2.0)).dtype


class Sub(np.ndarray):
    """Not taken for a plain array."""


def unaligned(array):
    made = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    made[...] = array
    return made


def read_only(array):
    made = array.copy()
    made.flags.writeable = False
    return made


LAYOUTS = [
    np.copy,
    unaligned,
    read_only,
    np.asfortranarray,
    lambda array: np.repeat(array, 2, axis=1)[:, ::2],
    lambda array: array[::-1, ::-1].copy()[::-1, ::-1],
    lambda array: np.broadcast_to(array, array.shape),
    lambda array: array.copy().view(Sub),
    lambda array: array.astype(array.dtype.newbyteorder()),
    lambda array: array.astype(np.longlong) if array.dtype.kind == "i" else array.copy(),
    lambda array: ad.Tensor(array),
]


@needs_llvm
@pytest.mark.parametrize("tier", ["numpy", "llvm", "auto"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8"])
def test_arguments_of_every_layout(untried, monkeypatch, dtype, tier):
    monkeypatch.setenv(default_.VARIABLE, tier)
    kernels_everywhere(monkeypatch)
    data = (np.arange(12).reshape(3, 4) % 5).astype(dtype)
    f = ad.function(lambda x, y: (x * y - np.cos(x), np.sum(y, axis=0) * 0.5))
    expected = data * data - np.cos(data), np.sum(data, axis=0) * 0.5
    for first, second in [(0, 0), *itertools.pairwise([*range(len(LAYOUTS)), 0, 0])]:
        arguments = LAYOUTS[first](data), LAYOUTS[second](data)
        for found, wanted in zip(f(*arguments), expected, strict=True):
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-5 if found.dtype == np.float32 else 1e-13)
        background.wait()


@needs_llvm
def test_scalars_of_numpys_plan_are_taken_by_the_machine_code_of_a_step(untried, monkeypatch):
    monkeypatch.setenv(background.VARIABLE, "0")
    kernels_everywhere(monkeypatch)

    def total(x):
        return np.sum(ad.scan(lambda c, e: (c * e + x[0], np.sin(c)), np.sum(x), np.linspace(0, 1, 7))[1])

    for _ in range(4):
        np.testing.assert_allclose(total(ad.Tensor([1.0, 2.0])).value, 5.084500654909236, rtol=1e-13)
