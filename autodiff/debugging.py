"""``debug_nans``: where NaN began."""

from __future__ import annotations

from contextlib import AbstractContextManager

from .arguments import flag
from .noting import searching
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
