"""Ways to run a program with the library, each compared with NumPy."""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import autodiff as ad
from autodiff.registry import backend_of

from .compare import Wrong, check
from .generate import Failing, other_arrays
from .program import Program, run
from .tolerance import Reference, reference

# Classes of errors; NumPy's AxisError is of two of them.
BUILTIN = (IndexError, ValueError, TypeError, OverflowError, ZeroDivisionError)


@contextmanager
def quiet() -> Iterator[None]:
    """Numbers of every size overflow, and gradients of what does not depend on a variable are asked for."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def host(x: Any) -> Any:
    value = x.value if isinstance(x, ad.Tensor) else x
    owner = backend_of(value)
    return np.asarray(value) if owner is None else owner.to_numpy(value)


def tensors(program: Program, arrays: dict[str, np.ndarray], graph: ad.Graph) -> dict[str, ad.Tensor]:
    return {name: graph.tensor(arrays[name], constant=arrays[name].dtype.kind in "biu") for name in program.inputs}


def first(program: Program) -> dict[str, Any]:
    return {name: pair[0] for name, pair in program.numbers.items()}


def second(program: Program) -> dict[str, Any]:
    return {name: pair[1] for name, pair in program.numbers.items()}


@contextmanager
def capable(backend: Any) -> Iterator[None]:
    """What a backend declares that it cannot do is an error that says so."""
    try:
        yield
    except ad.errors.DTypeError as error:
        if "does not have; convert" not in str(error) and "has no dtype" not in str(error):
            raise
        raise NotImplementedError("a dtype") from None
    except ad.errors.BackendError as error:
        missing = ad.get_backend(backend).capabilities.missing
        if not any(str(error).startswith(f"{name} is not available") for name in missing):
            raise
        raise NotImplementedError(str(error).split(" is not")[0]) from None


class Runner:
    """A backend, and how much its elementary functions may differ from NumPy's."""

    def __init__(self, backend: Any = None, factor: float = 1.0):
        self.backend = backend
        self.factor = factor

    def reference(self, program: Program, arrays: dict[str, np.ndarray], numbers: dict[str, Any]) -> Reference:
        return reference(program, arrays, numbers, self.factor)

    # --- values ---

    def values(self, program: Program) -> None:
        """All values, the last one first, so that one plan computes everything."""
        ref = self.reference(program, program.inputs, first(program))
        with quiet():
            graph = ad.Graph(backend=self.backend)
            work = {name: t[...] for name, t in tensors(program, program.inputs, graph).items()}
            found = run(program, work, first(program))
            for name in reversed(program.names):
                check(name, host(found[name]), ref)

    def looked(self, program: Program) -> None:
        """Values are looked at while the program runs, and again in the end."""
        ref = self.reference(program, program.inputs, first(program))

        def look(text: str, value: Any) -> None:
            # By the text of the step, so that a program made smaller is looked at where it was before.
            if random.Random(f"{program.seed} {text}").random() < 0.3 and isinstance(value, ad.Tensor):
                value.value

        with quiet():
            graph = ad.Graph(backend=self.backend)
            work = {name: t[...] for name, t in tensors(program, program.inputs, graph).items()}
            found = run(program, work, first(program), look)
            for name in program.names:
                check(name, host(found[name]), ref)

    def function(self, program: Program) -> None:
        """``ad.function``: other data, other numbers, and the first ones again; numbers as arguments of every kind."""
        names = list(program.inputs)
        spread = program.seed // 10 % 3

        def f(*args: Any, **keywords: Any) -> tuple[Any, ...]:
            given = dict(zip(names, args))
            numbers = (
                dict(zip(program.numbers, args[len(names) :])) if spread == 0 else keywords.get("numbers", keywords)
            )
            found = run(program, {n: own(given[n]) for n in names}, numbers)
            return tuple(found[name] for name in program.names)

        def own(x: Any) -> Any:
            return x[...] if isinstance(x, ad.Tensor) else x

        def call(arrays: dict[str, np.ndarray], numbers: dict[str, Any]) -> Any:
            copies = [arrays[name].copy() for name in names]
            if spread == 0:
                return traced(*copies, *numbers.values())
            return traced(*copies, **(numbers if spread == 1 else {"numbers": numbers}))

        others = other_arrays(program, False)
        calls = [(program.inputs, first(program)), (others, second(program)), (others, first(program))]
        traced = ad.function(f, backend=self.backend)
        self._calls(program, call, [*calls, calls[0]])

    def captured(self, program: Program) -> None:
        """``ad.function`` of a function that finds its floating inputs outside, where they are assigned to."""
        graph = ad.Graph(backend=self.backend)
        outside = {n: graph.tensor(a) for n, a in program.inputs.items() if a.dtype.kind in "fc"}
        names = [n for n in program.inputs if n not in outside]

        def f(*args: Any) -> tuple[Any, ...]:
            given = {**dict(zip(names, args)), **{n: t[...] for n, t in outside.items()}}
            found = run(program, {n: given[n] for n in program.inputs}, dict(zip(program.numbers, args[len(names) :])))
            return tuple(found[name] for name in program.names)

        def call(arrays: dict[str, np.ndarray], numbers: dict[str, Any]) -> Any:
            for name, t in outside.items():
                t.assign(arrays[name])
            return traced(*[arrays[name].copy() for name in names], *numbers.values())

        others = other_arrays(program, False)
        calls = [(program.inputs, first(program)), (others, first(program)), (program.inputs, second(program))]
        traced = ad.function(f, backend=self.backend)
        self._calls(program, call, calls)

    def _calls(self, program: Program, call: Callable[..., Any], calls: list[Any]) -> None:
        with quiet():
            for arrays, numbers in calls:
                try:
                    ref = self.reference(program, arrays, numbers)
                except BUILTIN:
                    continue  # NumPy refuses these numbers, or a shape depends on them
                try:
                    results = call(arrays, numbers)
                except (ad.errors.IndexingError, ad.errors.TraceError) as error:
                    if needs_values(program, error):
                        return
                    raise
                except ad.errors.AutodiffError as error:
                    if "NumPy deprecates" in str(error):
                        return  # np.cross of two components, which other numbers may lead to
                    raise
                except RuntimeError:
                    if ref.unknown:
                        return  # a conversion that C leaves undefined, which some libraries refuse
                    raise
                for name, got in zip(program.names, results, strict=True):
                    check(name, host(got), ref)

    # --- errors ---

    def failing(self, failing: Failing) -> str:
        """What NumPy refuses is refused by an error of this library's of a matching class; returns what happened."""
        with quiet():
            graph = ad.Graph(backend=self.backend)
            work = {name: t[...] for name, t in tensors(failing.program, failing.program.inputs, graph).items()}
            try:
                found = run(failing.program, work, first(failing.program))
                host(found[failing.program.steps[-1].writes])
            except ad.errors.UnsupportedError:
                return "unsupported"
            except ad.errors.AutodiffError as error:
                wanted = [kind for kind in BUILTIN if issubclass(failing.error, kind)]
                # Where a shape and a dtype are both wrong, either may be named.
                both = issubclass(failing.error, np._core._exceptions.UFuncTypeError) and isinstance(error, ValueError)
                if not both and not any(isinstance(error, kind) for kind in wanted):
                    raise Wrong(
                        f"NumPy raises {failing.error.__name__}, this {type(error).__name__}: {error}"
                    ) from error
                return "refused"
            except Exception as error:
                raise Wrong(f"a foreign error: {type(error).__name__}: {error}") from error
        return "computed"


LOOKS = re.compile(r"\[[xv]\d+\]|extract\([xv]| if |float\([xv]|int\([xv]|\.item\(\)|\[:?[xv]\d+:?\]|\bsum\(|len\(")


def needs_values(program: Program, error: Exception) -> bool:
    """Whether a traced function was refused because Python, or the shape of a result, depends on a value."""
    looks = any(LOOKS.search(step.text) for step in program.steps)
    return looks and (isinstance(error, ad.errors.TraceError) or "depends on the values" in str(error))


WAYS: dict[str, Callable[[Runner, Program], None]] = {
    "values": Runner.values,
    "looked": Runner.looked,
    "function": Runner.function,
    "captured": Runner.captured,
}
