"""``debug_nans``: where NaN began. ``scope`` and ``record_lines``: names and lines of what is recorded."""

from __future__ import annotations

from contextlib import AbstractContextManager

from .arguments import flag
from .errors import ArgumentError
from .noting import noting_lines, noting_scope, searching
from .tracebacks import boundary


@boundary
def debug_nans(*, inf: bool = False) -> AbstractContextManager[None]:
    """Meanwhile, a result that is NaN is an error that says in which operation that began, and at which line.

    Parameters
    ----------
    inf : bool, optional
        True if infinities are to be found, too.

    Returns
    -------
    context manager
        It is about the thread, or the task, that enters it.

    Raises
    ------
    NotFiniteError
        Inside, when a value or a derivative is computed that has NaN. It is a FloatingPointError, and names the first
        operation with NaN in its result and none in its operands: the primitive, the line that recorded it, its
        operands and their values. If it is an operation of a derivative, the line is that of the operation whose
        derivative it belongs to. If an argument was NaN already, the error says so.

    Notes
    -----
    Lines are noted only while this is on, so that recording costs nothing otherwise: what was recorded before has none.
    No cached plan is used. Operations are computed one by one as they were recorded, which is slower.

    NaN that does not reach a result is no error: the branch that ``np.where`` does not take, an element that nothing
    reads.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> with ad.debug_nans():
    ...     ad.grad(lambda x: np.sqrt(x - 1))(0.5)
    Traceback (most recent call last):
        ...
    autodiff.errors.NotFiniteError: debug_nans: NaN began in sqrt at ...
    """
    return searching(flag(inf, "debug_nans: inf"))


@boundary
def scope(name: str) -> AbstractContextManager[None]:
    """Name what is recorded meanwhile, for pictures, profiles and errors.

    Parameters
    ----------
    name : str
        Scopes in one another are shown as ``outer/inner``.

    Returns
    -------
    context manager
        It is about the thread, or the task, that enters it. A function that it decorates is recorded in it.

    Raises
    ------
    ArgumentError
        If ``name`` is no string, or empty.

    See Also
    --------
    draw : Folds large graphs by these names.
    Graph.profile : Says what the operations of each take.

    Notes
    -----
    Derivatives of what is in a scope are in it, too. Numbers and compiled plans are the same with it and without.
    Outside of scopes recording costs what it does without them.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> x = ad.Tensor([1.0, 2.0])
    >>> with ad.scope("layer1"):
    ...     h = np.tanh(x)
    >>> "layer1" in ad.draw(h).svg
    True
    """
    if not isinstance(name, str) or not name:
        raise ArgumentError(f"scope: name={name!r} must be a string that is not empty")
    return noting_scope(name)


@boundary
def record_lines() -> AbstractContextManager[None]:
    """Note the lines at which operations are recorded meanwhile, for pictures and profiles.

    Returns
    -------
    context manager
        It is about the thread, or the task, that enters it.

    See Also
    --------
    Graph.profile : Says what the operations of each line take.
    debug_nans : Notes them by itself.

    Notes
    -----
    It makes recording slower, by some microseconds an operation. Values are computed as fast as ever.

    Examples
    --------
    >>> import autodiff as ad
    >>> x = ad.Tensor([1.0, 2.0])
    >>> with ad.record_lines():
    ...     y = x**2 + x
    """
    return noting_lines()
