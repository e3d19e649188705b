"""The state of every public name: what is differentiable, what has no derivative, what creates, what is not supported.

Tables of the library say what is recorded, what creates and what is not supported. What takes no arrays at all is named
here. A name of the installed NumPy or SciPy that is in none of these is missing, and a test fails.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from scipy import special

import autodiff as ad
from autodiff import ops
from autodiff.numpy_api import answers, creation, draws, namespace
from autodiff.numpy_api.special import NUMPYS, UNRECORDED
from autodiff.reasons import REASONS
from tests.conformance.table import CASES

from .markdown import table
from .recorded import recorded

DIFFERENTIABLE = "differentiable"
WITHOUT = "without a derivative"
CREATION = "creation"
UNSUPPORTED = "not supported"
MISSING = "missing"
STATES = (DIFFERENTIABLE, WITHOUT, CREATION, UNSUPPORTED, MISSING)

# Of all names, at most so many are not supported.
HIGHEST_SHARE = 0.03


class Name(NamedTuple):
    """A public name, and its state.

    Parameters
    ----------
    module : str
        The module or class that has it.
    name : str
        Its name there.
    state : str
        One of ``STATES``.
    """

    module: str
    name: str
    state: str


# What takes no array of numbers, or is about what Tensors share with all arrays and objects: it is NumPy's own.
NATURE: dict[str, str] = {
    # Dtypes, and what is true of them.
    "numpy": """
        dtype finfo iinfo isdtype issubdtype promote_types typename mintypecode datetime_data busdaycalendar
        ufunc flatiter ndarray broadcast broadcast_shapes
    """
    # Settings, printing of numbers, information.
    """
        errstate seterr geterr seterrcall geterrcall setbufsize getbufsize get_printoptions set_printoptions
        printoptions format_float_positional format_float_scientific base_repr binary_repr
        info get_include show_config show_runtime test
    """
    # Positions, of a shape alone; what is asked of any object.
    """
        ndindex diag_indices mask_indices tril_indices triu_indices s_ index_exp isscalar iterable
    """,
    "numpy.linalg": "LinAlgError test",
    "numpy.fft": "test",
    # Generators themselves, and their states.
    "numpy.random": """
        BitGenerator Generator MT19937 PCG64 PCG64DXSM Philox RandomState SFC64 SeedSequence default_rng
        bytes get_state set_state seed get_bit_generator set_bit_generator test
    """,
    "numpy.random.Generator": "bit_generator bytes spawn",
    # Objects of Python, pickling, and what NumPy asks of its own memory and subclasses; Tensor has it from object, or
    # another way: __array__, __array_ufunc__, __reduce__.
    "numpy.ndarray": """
        __array_finalize__ __array_interface__ __array_struct__ __array_wrap__
        __class__ __delattr__ __dir__ __doc__ __getattribute__ __getstate__ __init_subclass__ __new__ __reduce_ex__
        __setattr__ __setstate__ __sizeof__ __subclasshook__ __buffer__
    """,
}  # fmt: skip

# Arrays of what are no arrays: files, texts, sizes. They are constants, also with ``autodiff.numpy``.
OF_NO_ARRAYS: dict[str, str] = {
    "numpy": "from_dlpack fromfile fromregex fromstring genfromtxt load loadtxt memmap mgrid ogrid recarray",
    "numpy.fft": "fftfreq rfftfreq",
    "numpy.random": """
        rand randn random random_sample ranf sample standard_cauchy standard_exponential standard_normal
    """,
    "numpy.random.Generator": "random standard_cauchy standard_exponential standard_normal",
}

# Names that NumPy is about to take away, for others that it has; they call these.
OLD: dict[str, str] = {"row_stack": "vstack", "tostring": "tobytes"}

_MODULES: dict[str, Any] = {
    "numpy": np,
    "numpy.linalg": np.linalg,
    "numpy.fft": np.fft,
    "numpy.random": np.random,
}


def public(module: str) -> dict[str, Any]:
    """The public names of a module or class, with what they stand for."""
    with warnings.catch_warnings():
        # Of names that NumPy is about to take away.
        warnings.simplefilter("ignore", DeprecationWarning)
        match module:
            case "numpy.ndarray":
                # (Names that NumPy has done away with, it keeps for a while, to say so.)
                array = np.empty((0, 0))
                public = [n for n in dir(np.ndarray) if (n[:2] == "__" or n[0] != "_") and hasattr(array, n)]
                return {name: getattr(np.ndarray, name, None) for name in public}
            case "numpy.random.Generator":
                return {name: getattr(np.random.Generator, name) for name in dir(np.random.Generator) if name[0] != "_"}
            case "scipy.special":
                return {name: f for name, f in vars(special).items() if isinstance(f, np.ufunc)}
        found = {name: getattr(_MODULES[module], name) for name in dir(_MODULES[module]) if name[0] != "_"}
    indexed = (type(np.s_), type(np.r_), type(np.c_), type(np.mgrid), type(np.ogrid))
    return {name: x for name, x in found.items() if callable(x) or isinstance(x, indexed)}


MODULES = (*_MODULES, "numpy.random.Generator", "numpy.ndarray", "scipy.special")


def state_of(module: str, name: str, value: Any) -> str:
    """The state of a name."""
    if f"{module}.{name}" in REASONS or (module == "scipy.special" and name in UNRECORDED):
        return UNSUPPORTED
    if name in NATURE.get(module, "").split():
        return WITHOUT
    if name in OF_NO_ARRAYS.get(module, "").split():
        return CREATION
    if module.startswith("numpy.random"):
        return _of_draw(name)
    if module == "scipy.special":
        # psi is digamma, jv is jn.
        return DIFFERENTIABLE if value.__name__ in {*ops.special.CARDS, *NUMPYS} else MISSING
    if module == "numpy.ndarray":
        return _of_tensor(name)
    # The functions that np.poly1d calls are recorded.
    if module == "numpy" and name in {*namespace.FUNCTIONS, "poly1d"}:
        return DIFFERENTIABLE
    if module == "numpy" and name in OLD:
        return state_of(module, OLD[name], getattr(np, OLD[name]))
    if inspect.isclass(value) and issubclass(value, (np.generic, Exception)):
        return WITHOUT
    if value in creation.TABLE or (name in creation.NAMESPACE and not hasattr(value, "_implementation")):
        return CREATION
    if value in answers.TABLE:
        return WITHOUT
    found = recorded().get(value)
    return MISSING if found is None else WITHOUT if found.derivative == "none" and found.parts else DIFFERENTIABLE


@cache
def _swept() -> dict[str, str]:
    """What the sweep says of attributes of a Tensor."""
    found: dict[str, str] = {}
    for case in CASES:
        for word in case.covers:
            if isinstance(word, str) and word.startswith("Tensor."):
                state = WITHOUT if case.gradient == "none" else DIFFERENTIABLE
                found[word] = state if found.get(word) != DIFFERENTIABLE else DIFFERENTIABLE
    return found


def _of_draw(name: str) -> str:
    """The state of what draws numbers."""
    if name in draws.UNRECORDED:
        return CREATION
    return DIFFERENTIABLE if name in {*draws.FAMILIES, *draws.OTHERS} else MISSING


def _of_tensor(name: str) -> str:
    """The state of what a Tensor has as an ndarray has it."""
    name = OLD.get(name, name)
    if not hasattr(ad.Tensor, name):
        return MISSING
    return _swept().get(f"Tensor.{name}", WITHOUT)


@cache
def names() -> tuple[Name, ...]:
    """Every public name of the installed NumPy and SciPy, with its state."""
    return tuple(
        [
            Name(module, name, state_of(module, name, value))
            for module in MODULES
            for name, value in sorted(public(module).items())
        ]
    )


def share() -> float:
    """The part of all names that is not supported."""
    return sum([name.state == UNSUPPORTED for name in names()]) / len(names())


def reasons() -> Iterator[tuple[str, list[str]]]:
    """Each reason, with the names that are not supported for it."""
    found: dict[str, list[str]] = {}
    for module, name, state in names():
        if state == UNSUPPORTED:
            reason = UNRECORDED[name] if module == "scipy.special" else str(REASONS[f"{module}.{name}"])
            found.setdefault(reason, []).append(f"`{written(module, name)}`")
    yield from found.items()


def undrawn() -> Iterator[tuple[str, str]]:
    """Why some draws are no functions of their parameters, with the names of these."""
    for why in dict.fromkeys(draws.UNRECORDED.values()):
        yield " ".join([f"`{name}`" for name, own in draws.UNRECORDED.items() if own == why]), why


def written(module: str, name: str) -> str:
    """A name with its module, as users write it."""
    return f"{module.replace('numpy', 'np', 1)}.{name}"


HEAD = """\
## Every name

Every public callable of `numpy`, `numpy.linalg`, `numpy.fft`, `numpy.random` and its `Generator`, everything that an
`ndarray` has, and every ufunc of `scipy.special` is in one state:

| state | means |
|---|---|
| differentiable | it takes Tensors and records; the tables above say more |
| without a derivative | it takes Tensors and gives what NumPy gives (booleans, integers, texts), or takes no arrays |
| creation | it makes arrays; Tensors with `like=t`, and with `autodiff.numpy` where derivatives are taken |
| not supported | an error says why |
"""


def section() -> str:
    """The part of docs/functions.md about every name."""
    counts = [("", *STATES[:-1], "of")]
    for module in MODULES:
        states = [name.state for name in names() if name.module == module]
        counts.append((f"`{module}`", *[str(states.count(state) or "") for state in STATES[:-1]], str(len(states))))
    states = [name.state for name in names()]
    counts.append(("all", *[str(states.count(state)) for state in STATES[:-1]], str(len(states))))
    parts = [HEAD, table(*counts), "", f"Not supported are {share():.1%}:\n"]
    parts.append(table(("names", "why, and what to write instead"), *[(" ".join(who), why) for why, who in reasons()]))
    parts.append("\nRandom numbers are drawn as NumPy draws them; with Tensors for parameters these are errors:\n")
    parts.append(table(("draws", "why"), *undrawn()))
    for module in MODULES:
        parts.append(f"\n### `{module}`\n")
        for state in STATES:
            those = [f"`{name.name}`" for name in names() if (name.module, name.state) == (module, state)]
            if those and state != UNSUPPORTED:
                parts.append(f"{state.capitalize()}: {' '.join(those)}\n")
    return "\n".join(parts).rstrip("\n")
