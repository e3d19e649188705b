"""How functions that this library has made of functions are pickled: as what they were made of. Nothing is run.

``pickle`` finds a function by its name, and cloudpickle sends one that has no such name by its code. Both see the
user's own function here, and none of what was traced, compiled or cached for it.
"""

from __future__ import annotations

import copy
import functools
import pickle
import sys
from collections.abc import Callable
from types import FrameType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, TypeVar

from .tracebacks import calling, hide

F = TypeVar("F", bound=Callable[..., Any])

# Where transformations are found by their names.
PUBLIC = f"{__package__}.transforms"

# Where a name may stand for something else in the next process.
MAIN = ("__main__", "__mp_main__")

# Decorators on one function.
DEEPEST = 32


def _standing_for(module: Any, name: Any) -> Any:
    """What a dotted name of a module stands for; None if nothing."""
    found: Any = sys.modules.get(module) if isinstance(module, str) else None
    for part in name.split(".") if isinstance(name, str) else [""]:
        found = getattr(found, part, None)
    return found


def _takes_names_only(frame: FrameType | None) -> bool:
    """Whether what pickles is ``pickle`` itself, as far as its caller shows: that sends functions by name alone."""
    if frame is None:
        return False
    known = {**frame.f_globals, **frame.f_locals}
    if any(isinstance(x, type) and issubclass(x, pickle.Pickler) and x is not pickle.Pickler for x in known.values()):
        # A class of its own, which may send code; that of multiprocessing does not.
        return frame.f_globals.get("__name__") == "multiprocessing.reduction"
    called = {"dump", "dumps"}.intersection(frame.f_code.co_names)
    here = any(x is pickle for x in known.values())
    return any(here or known.get(name) is getattr(pickle, name) for name in called)


def findable(function: Any, frame: FrameType | None = None) -> Any:
    """A function that ``pickle`` finds by its name, if there is a way.

    Of a decorated function the name stands for what the decorator has made, and the function is an attribute of that.

    Raises
    ------
    PicklingError
        If there is no such name, and what pickles (the caller is ``frame``) sends nothing but names.
    """
    if type(function) is not FunctionType:
        return function
    module, name = function.__module__, function.__qualname__
    first = found = _standing_for(module, name)
    path = name
    for _ in range(DEEPEST):
        if found is None or found is function:
            break
        found, path = getattr(found, "__wrapped__", None), f"{path}.__wrapped__"
    if found is function:
        if path != name:
            function.__qualname__ = path
    elif _takes_names_only(frame):
        stands = "nothing" if first is None else "something else"
        raise pickle.PicklingError(
            f"{name} of {module} cannot be pickled: pickle finds a function by its name, and this name stands for "
            f"{stands} there. A lambda, or a function within a function, has none. Define it at the top level of a "
            "module, or use cloudpickle (as joblib and dask do), which sends its code"
        )
    return function


class Named:
    """What is made of a function. Where a name stands for it, it is pickled by the name, and is its own copy."""

    __slots__ = ()

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if self._found_name() is not None:
            return self
        # The function may be a method of something that is copied, too.
        make, args = self._unmade()
        copied = memo[id(self)] = make(*args)
        copied.__setstate__(copy.deepcopy(self._state(None), memo))
        return copied

    def _found_name(self) -> str | None:
        """The name that stands for it in the module that it is from."""
        name = getattr(self, "__qualname__", None)
        return name if _standing_for(self.__module__, name) is self else None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)  # type: ignore[arg-type]

    def __reduce_ex__(self, protocol: Any) -> Any:
        frame = sys._getframe(1)
        name = self._found_name()
        if name is not None and (self.__module__ not in MAIN or _takes_names_only(frame)):
            return name
        return (*self._unmade(), self._state(frame))

    def _unmade(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """How it begins, to be referred to by what it is made of."""
        return object.__new__, (type(self),)

    def _state(self, frame: FrameType | None) -> Any:
        """What it is made of: what ``__setstate__`` takes. ``frame`` pickles it; none does for a copy."""
        raise NotImplementedError

    def __setstate__(self, state: Any) -> None:
        vars(self).update(state)


def title(x: Any) -> str:
    """What a ``repr`` calls an argument: a function by its name, what was made of one by how it was made."""
    name = None if isinstance(x, Transformed) else getattr(x, "__qualname__", None)
    return name or repr(x)


class Transformed(Named, functools.partial[Any]):
    """What a transformation has made of a function: called as that is (a partial, which costs the least)."""

    __slots__ = ("_made",)
    if TYPE_CHECKING:
        # Instances would have these annotations for those of their functions.
        _made: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
        __module__: str

    def __new__(cls, inner: Callable[..., Any], *made: Any) -> Transformed:
        self = super().__new__(cls, inner)
        if made:
            self._made = made
            # These a class has too. What else a function has is looked up there: copying it would take 1 us.
            self.__module__, self.__doc__ = inner.__module__, inner.__doc__
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.func, name)

    def __repr__(self) -> str:
        transform, args, _ = self._made
        return f"<{transform.__name__} of {', '.join(map(title, args))}>"

    def _unmade(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Transformed, (_unmade,)

    def _state(self, frame: FrameType | None) -> Any:
        transform, args, keywords = self._made
        named = {name: findable(x, frame) for name, x in keywords.items()}
        return transform.__name__, tuple([findable(x, frame) for x in args]), named

    def __setstate__(self, state: Any) -> None:
        name, args, keywords = state
        made = _standing_for(PUBLIC, name)(*args, **keywords)
        functools.partial.__setstate__(self, (made.func, (), {}, vars(made)))  # type: ignore[attr-defined]
        self._made = made._made


def _unmade(*args: Any, **kwargs: Any) -> Any:
    raise pickle.UnpicklingError("a transformed function was called before it was unpickled")


def restorable(transform: F) -> F:
    """A transformation whose functions can be pickled."""

    @functools.wraps(transform)
    @calling
    def made(*args: Any, **kwargs: Any) -> Any:
        try:
            inner = transform(*args, **kwargs)
            if type(inner) is not FunctionType or any(inner is x for x in args):
                return inner
            return Transformed(inner, made, args, kwargs)
        except Exception as error:
            hide(error)
            raise

    # Where it is found, not where it was written.
    made.__module__ = PUBLIC
    return made  # type: ignore[return-value]
