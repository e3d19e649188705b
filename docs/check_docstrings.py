"""Check that everything public has a numpydoc docstring: its parameters, what it returns, and in words.

Run as ``python docs/check_docstrings.py`` where autodiff and numpydoc are installed; prints what is wrong.
"""

import collections
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from types import ModuleType

from numpydoc.validate import validate

import autodiff as ad

CHECKS = {
    "GL05",  # no tabs
    "GL06",  # sections are numpydoc's
    "GL07",  # and in its order
    "GL08",  # there is a docstring
    "GL10",  # directives have two colons
    "SS01",  # it has a summary
    "SS03",  # that ends with a period
    "PR01",  # every parameter is documented
    "PR02",  # and exists
    "PR03",  # and stands in the signature's order
    "PR04",  # and has a type
    "PR07",  # and a description
    "PR10",  # with a space before the colon
    "RT01",  # what is returned is documented
    "RT03",  # in words too
    "YD01",  # so is what is yielded
}


def public_names(module: ModuleType = ad) -> Iterator[str]:
    """Names of everything public: what ``autodiff`` and its modules export, and the public members of classes."""
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if inspect.ismodule(value):
            yield from public_names(value)
            continue
        full = f"{module.__name__}.{name}"
        yield full
        if inspect.isclass(value) and value.__module__.startswith("autodiff") and not issubclass(value, tuple):
            own = [vars(base) for base in value.__mro__ if base.__module__.startswith("autodiff")]
            for member, held in {**collections.ChainMap(*own)}.items():
                # What a class has of a dataclass's fields are their defaults.
                if not member.startswith("_") and (callable(held) or isinstance(held, property)):
                    yield f"{full}.{member}"


def problems(name: str) -> list[str]:
    """What is wrong with one docstring."""
    found = validate(name)
    is_member = inspect.isclass(pkgutil.resolve_name(name.rpartition(".")[0]))
    codes = CHECKS if is_member else CHECKS | {"EX01"}  # which is: there is an example
    # Methods of ndarray point to NumPy's page instead of repeating it; a protocol has no constructor.
    if "See `numpy." in found["docstring"] or name == "autodiff.Backend":
        return []
    return [f"{name}: {code} {text}" for code, text in found["errors"] if code in codes]


if __name__ == "__main__":
    wrong = [line for name in public_names() for line in problems(name)]
    print("\n".join(wrong) or "all public docstrings are complete")
    sys.exit(bool(wrong))
