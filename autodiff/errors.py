"""The exception tree. Every error this library raises on purpose is one of these, and of a matching builtin.

AutodiffError
├── ShapeError            (ValueError)           shapes that do not broadcast, multiply or reshape
├── DTypeError            (TypeError)            a dtype that cannot be converted or has no meaning here
│   └── RangeError        (OverflowError, too)   a Python integer that does not fit the dtype it goes into
├── IndexingError         (IndexError)           an index out of range or of the wrong kind
├── ArgumentError         (ValueError)           any other argument with a value that makes no sense
│   └── AxisError         (IndexError, too)      an axis that an array does not have
├── UnsupportedError      (TypeError)            a NumPy function, method or keyword that is not recorded
│   └── MissingAttributeError (AttributeError, too)  what arrays have and a Tensor has not; a name no module has
├── DifferentiationError  (TypeError)            a derivative that does not exist: of or to the wrong thing
├── DerivativeError       (AssertionError)       a derivative that finite differences do not confirm
├── DetachedError         (TypeError)            a Tensor that a derivative passes through taken as plain numbers
├── MissingRuleError      (NotImplementedError)  a derivative that exists but is not written yet
├── TraceError            (RuntimeError)         a value asked for while only structure is known
├── NotFiniteError        (FloatingPointError)   NaN or an infinity in a result, where somebody looks for it
├── ConvergenceError      (RuntimeError)         a solver that did not find what it was asked for
├── OutOfMemoryError      (MemoryError)          arrays that do not fit into memory, or a limit
└── BackendError          (LookupError)          a backend that is unknown or cannot be used here

IndependentWarning (UserWarning): the result does not depend on a variable, so its gradient is zero.
DetachedWarning (UserWarning): a function that does not know Tensors took a value that a derivative passes through.
RetraceWarning (UserWarning): a traced function looks at values that change, so that it is traced at each call.
GrowthWarning (UserWarning): a loop differentiates with respect to what it updates, and compiles at each step.
"""

from __future__ import annotations

from typing import Any


class AutodiffError(Exception):
    """Base of every error that this library raises on purpose."""

    def within(self, function: str) -> None:
        """Let the message begin with the function that was called, if it does not yet.

        Parameters
        ----------
        function : str
            As the user wrote it, perhaps with the argument that is wrong.
        """
        message = str(self)
        if not message.removeprefix("np.").startswith(function):
            self.args = (f"{function}: {message}",)


class ShapeError(AutodiffError, ValueError):
    """Shapes that do not broadcast, multiply or reshape."""


class DTypeError(AutodiffError, TypeError):
    """A dtype that cannot be converted, or that an operation is not defined for."""


class RangeError(DTypeError, OverflowError):
    """A Python integer that does not fit the dtype it goes into."""


class IndexingError(AutodiffError, IndexError):
    """An index out of range, or of a kind that arrays are not indexed with."""


class ArgumentError(AutodiffError, ValueError):
    """An argument of the right kind with a value that makes no sense."""


class AxisError(ArgumentError, IndexError):
    """An axis that an array does not have; a ValueError and an IndexError, as NumPy's."""


class UnsupportedError(AutodiffError, TypeError):
    """A NumPy function, method or keyword that is not recorded."""


class MissingAttributeError(UnsupportedError, AttributeError):
    """What NumPy's arrays have and a Tensor has not, or a name that a module does not have: ``hasattr`` says so."""


class DifferentiationError(AutodiffError, TypeError):
    """A derivative that does not exist: of, or with respect to, the wrong thing."""


class DerivativeError(AutodiffError, AssertionError):
    """A derivative that finite differences do not confirm: from ``autodiff.testing``."""


class DetachedError(AutodiffError, TypeError):
    """A Tensor that a derivative passes through would become plain numbers, and its derivative would be lost."""


class MissingRuleError(AutodiffError, NotImplementedError):
    """A derivative that exists in mathematics but has no rule here yet."""


class TraceError(AutodiffError, RuntimeError):
    """A value was asked for where only its shape and dtype are known."""


class ConvergenceError(AutodiffError, RuntimeError):
    """A solver did not find what it was asked for: a root, a minimum, the solution of a differential equation."""


class NotFiniteError(AutodiffError, FloatingPointError):
    """NaN, or an infinity, in a result: from ``autodiff.debug_nans``."""


class OutOfMemoryError(AutodiffError, MemoryError):
    """Arrays that do not fit into the memory of a device, or a derivative that does not fit into a memory limit."""


class BackendError(AutodiffError, LookupError):
    """A backend that is unknown, or that cannot be used on this machine."""


class IndependentWarning(UserWarning):
    """The result does not depend on a variable; its gradient is zero."""


class DetachedWarning(UserWarning):
    """A function that does not know Tensors took the value of one, and a derivative passes through that Tensor."""


class RetraceWarning(UserWarning):
    """A traced function looks at values that change, so that it is traced anew at each call."""


class GrowthWarning(UserWarning):
    """A loop updates a variable by operations, so that its history grows and each step compiles a longer gradient."""


def several(count: int, what: str, plural: str = "") -> str:
    """So many of something, in words for messages."""
    return f"{count} {what if count == 1 else plural or what + 's'}"


def shown(value: Any) -> str:
    """The text of a value, shortened, for messages; whatever happens in it."""
    try:
        return repr(value)[:60]
    except Exception as error:
        # Python writes integers of up to 4,300 digits; a user's class may do anything.
        return f"of {value.bit_length()} bits" if isinstance(value, int) else f"<{type(error).__name__} in its repr>"
