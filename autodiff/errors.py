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
    """Base of every error that this library raises on purpose.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> try:
    ...     ad.Tensor([1.0, 2.0]) + np.ones(3)
    ... except ad.AutodiffError as error:
    ...     print(type(error).__name__, isinstance(error, ValueError))
    ShapeError True
    """

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
    """Shapes that do not broadcast, multiply or reshape.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.Tensor([1.0, 2.0]) + np.ones(3)
    Traceback (most recent call last):
        ...
    autodiff.errors.ShapeError: add...
    """


class DTypeError(AutodiffError, TypeError):
    """A dtype that cannot be converted, or that an operation is not defined for.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.Tensor(["one", "two"])
    Traceback (most recent call last):
        ...
    autodiff.errors.DTypeError: ...
    """


class RangeError(DTypeError, OverflowError):
    """A Python integer that does not fit the dtype it goes into.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.Tensor([1, 2], dtype="int8", constant=True) + 1000
    Traceback (most recent call last):
        ...
    autodiff.errors.RangeError: ...
    """


class IndexingError(AutodiffError, IndexError):
    """An index out of range, or of a kind that arrays are not indexed with.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.Tensor([1.0, 2.0])[5]
    Traceback (most recent call last):
        ...
    autodiff.errors.IndexingError: ...
    """


class ArgumentError(AutodiffError, ValueError):
    """An argument of the right kind with a value that makes no sense.

    Examples
    --------
    >>> import autodiff as ad
    >>> x = ad.Tensor([1.0, 2.0])
    >>> ad.Graph().gradient(x**2, [x], 0)
    Traceback (most recent call last):
        ...
    autodiff.errors.ArgumentError: ...
    """


class AxisError(ArgumentError, IndexError):
    """An axis that an array does not have; a ValueError and an IndexError, as NumPy's.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> np.sum(ad.Tensor([1.0, 2.0]), axis=5)
    Traceback (most recent call last):
        ...
    autodiff.errors.AxisError: ...
    """


class UnsupportedError(AutodiffError, TypeError):
    """A NumPy function, method or keyword that is not recorded.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> np.zeros(2).__iadd__(ad.Tensor([1.0, 2.0]))
    Traceback (most recent call last):
        ...
    autodiff.errors.UnsupportedError: ...
    """


class MissingAttributeError(UnsupportedError, AttributeError):
    """What NumPy's arrays have and a Tensor has not, or a name that a module does not have: ``hasattr`` says so.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.Tensor([1.0]).strides
    Traceback (most recent call last):
        ...
    autodiff.errors.MissingAttributeError: ...
    >>> hasattr(ad.Tensor([1.0]), "strides")
    False
    """


class DifferentiationError(AutodiffError, TypeError):
    """A derivative that does not exist: of, or with respect to, the wrong thing.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.grad(lambda x: 2 * x)(np.ones(2))
    Traceback (most recent call last):
        ...
    autodiff.errors.DifferentiationError: ...
    """


class DerivativeError(AutodiffError, AssertionError):
    """A derivative that finite differences do not confirm: from ``autodiff.testing``.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.testing.check_grads(np.abs, (np.array([1.0, 1e-4]),))
    Traceback (most recent call last):
        ...
    autodiff.errors.DerivativeError: check_grads: forward mode...
    """


class DetachedError(AutodiffError, TypeError):
    """A Tensor that a derivative passes through would become plain numbers, and its derivative would be lost.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(lambda x: x * float(x))(1.0)
    Traceback (most recent call last):
        ...
    autodiff.errors.DetachedError: ...float() would take the value...
    """


class MissingRuleError(AutodiffError, NotImplementedError):
    """A derivative that exists in mathematics but has no rule here yet.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> floor = ad.primitive(np.floor, infer=lambda x: x)
    >>> ad.grad(lambda x: np.sum(floor(x)))(np.ones(2))
    Traceback (most recent call last):
        ...
    autodiff.errors.MissingRuleError: ...
    """


class TraceError(AutodiffError, RuntimeError):
    """A value was asked for where only its shape and dtype are known.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.function(lambda x: x * float(np.sum(x)))(np.ones(2))
    Traceback (most recent call last):
        ...
    autodiff.errors.TraceError: ...
    """


class ConvergenceError(AutodiffError, RuntimeError):
    """A solver did not find what it was asked for: a root, a minimum, the solution of a differential equation.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.root(lambda x: x**2 + 1, 1.0)
    Traceback (most recent call last):
        ...
    autodiff.errors.ConvergenceError: ...
    """


class NotFiniteError(AutodiffError, FloatingPointError):
    """NaN, or an infinity, in a result: from ``autodiff.debug_nans``.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> with ad.debug_nans():
    ...     ad.grad(lambda x: np.sqrt(np.sum(x**2)))(np.zeros(2))
    Traceback (most recent call last):
        ...
    autodiff.errors.NotFiniteError: debug_nans: NaN began in...
    """


class OutOfMemoryError(AutodiffError, MemoryError):
    """Arrays that do not fit into the memory of a device, or a derivative that does not fit into a memory limit.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.grad(lambda x: np.sum(np.exp(x) * x), memory_limit=1)(np.ones(1000))
    Traceback (most recent call last):
        ...
    autodiff.errors.OutOfMemoryError: memory_limit=1: ...
    """


class BackendError(AutodiffError, LookupError):
    """A backend that is unknown, or that cannot be used on this machine.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.Graph(backend="abacus")
    Traceback (most recent call last):
        ...
    autodiff.errors.BackendError: unknown backend 'abacus'...
    """


class IndependentWarning(UserWarning):
    """The result does not depend on a variable; its gradient is zero.

    Examples
    --------
    >>> import autodiff as ad
    >>> import warnings
    >>> x, y = ad.Tensor([1.0]), ad.Tensor([2.0])
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     ad.Graph().gradient(y**2, [x])
    [array([0.])]
    >>> caught[0].category is ad.IndependentWarning
    True
    """


class DetachedWarning(UserWarning):
    """A function that does not know Tensors took the value of one, and a derivative passes through that Tensor.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> import warnings
    >>> with warnings.catch_warnings():  # what was a warning becomes an error
    ...     warnings.simplefilter("error", ad.DetachedWarning)
    """


class RetraceWarning(UserWarning):
    """A traced function looks at values that change, so that it is traced anew at each call.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> import warnings
    >>> scale = ad.Tensor(1.0)
    >>> scaled = ad.function(lambda x: x * float(scale))
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     for step in range(30):
    ...         _ = scaled(np.ones(2))
    ...         _ = scale.assign_add(1.0)
    >>> {warning.category.__name__ for warning in caught}
    {'RetraceWarning'}
    """


class GrowthWarning(UserWarning):
    """A loop updates a variable by operations, so that its history grows and each step compiles a longer gradient.

    Examples
    --------
    >>> import autodiff as ad
    >>> import warnings
    >>> graph, w = ad.Graph(), ad.Tensor([1.0])
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     for _ in range(20):
    ...         w = w - 0.1 * graph.gradient(w**2, [w])[0]
    >>> {warning.category.__name__ for warning in caught}
    {'GrowthWarning'}
    """


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
