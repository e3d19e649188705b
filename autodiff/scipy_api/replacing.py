"""How a function of SciPy is replaced by one that knows Tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from ..arguments import flag
from ..errors import AutodiffError, UnsupportedError
from ..numpy_api.calling import Handler, checked
from ..numpy_api.memo import memoised
from ..tensor import Tensor

# What SciPy's functions take under these names, whichever of them it is.
CHECKS: dict[str, Callable[[Any, str], Any]] = dict.fromkeys(
    ("keepdims", "return_sign", "lower", "permute_l", "p_indices", "unit_diagonal", "full_matrices", "eigvals_only"),
    flag,
)

# What was replaced: its owner, its name, and what it was.
_replaced: list[tuple[Any, str, Any]] = []
# What was made, by its module and its name: one thing, however often it is put in place.
_made: dict[tuple[str, str], Callable[..., Any]] = {}


def holds_tensor(arguments: Iterable[Any]) -> bool:
    """Whether a Tensor is among arguments, or in lists and tuples of these."""
    for x in arguments:
        kind = type(x)
        if isinstance(x, Tensor) or ((kind is tuple or kind is list) and holds_tensor(x)):
            return True
    return False


def dispatching(module: str, function: Callable[..., Any], handler: Handler) -> Callable[..., Any]:
    """SciPy's function, which calls the handler for Tensors."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not (holds_tensor(args) or (kwargs and holds_tensor(kwargs.values()))):
            return function(*args, **kwargs)
        try:
            return handler(*args, **kwargs)
        except AutodiffError as error:
            message = str(error)
            if message.startswith(function.__name__):
                error.args = (f"{module}.{message}",)
            raise

    # Pickles name a function by where it is found.
    call.__module__ = module
    return call


def refusing(name: str, reason: str) -> Handler:
    """A handler that says why there is none."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise UnsupportedError(
            f"{name} is not recorded for Tensors: {reason}; np.asarray(t) gives the value, which no derivative passes "
            "through"
        )

    return refuse


def replace_in(module: ModuleType, topic: Any) -> None:
    """Replace what a topic has handlers for, in the public module; SciPy's private modules keep their own."""
    for name in (*topic.TABLE, *topic.UNRECORDED):
        function = getattr(module, name, None)
        # What the installed SciPy does not have is not there.
        if function is not None:
            key = module.__name__, name
            call = _made.get(key)
            if call is None:
                call = _made[key] = dispatching(module.__name__, function, _handler(topic, function, name))
            replace(module, name, call)


def _handler(topic: Any, function: Callable[..., Any], name: str) -> Handler:
    if name in topic.UNRECORDED:
        return refusing(name, topic.UNRECORDED[name])
    handler = checked(function, topic.TABLE[name], CHECKS)
    return handler if name in topic.LOOKING else memoised(handler)


def replace(owner: Any, name: str, by: Any) -> None:
    """Replace an attribute, until `restore`."""
    _replaced.append((owner, name, vars(owner)[name]))
    setattr(owner, name, by)


def restore() -> None:
    """Put back what was replaced."""
    while _replaced:
        owner, name, original = _replaced.pop()
        setattr(owner, name, original)
