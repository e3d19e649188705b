"""The ufuncs of ``scipy.special`` on Tensors. SciPy is never imported here: who has such a ufunc has imported it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..dispatch import OVERRIDDEN, UFUNCS
from ..errors import UnsupportedError
from ..nodes import Node
from ..recipe import Composite

# Those that NumPy has, too.
NUMPYS: dict[str, Callable[..., Any]] = {
    "cbrt": ops.cbrt,
    "exp2": ops.exp2,
    "expm1": ops.expm1,
    "log1p": ops.log1p,
}

# Ufuncs of SciPy that are not recorded, and why not.
UNRECORDED: dict[str, str] = {
    "chndtridf": "the derivative of chndtr by the degrees of freedom is no function that SciPy has",
    **dict.fromkeys(
        ("ncfdtr", "ncfdtri", "ncfdtridfd", "ncfdtridfn", "ncfdtrinc", "nctdtr", "nctdtridf", "nctdtrinc", "nctdtrit"),
        "the densities of noncentral t and F are no public ufuncs of SciPy",
    ),
    **dict.fromkeys(("smirnov", "smirnovi"), "the density is no public ufunc of SciPy"),
    "elliprj": "its derivatives are differences of it and elliprd that cancel where two arguments meet",
}


# Those of more than two arguments, which `Tensor` does not look for.
WIDE: dict[np.ufunc, Callable[..., Any]] = {}


def from_scipy(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """What records a ufunc of SciPy; None if it is another's, and an error that says why if it is not recorded."""
    module = sys.modules.get("scipy.special")
    if module is None:
        return None
    if not WIDE:
        _fill(module)
    if ufunc not in UFUNCS and ufunc not in WIDE and getattr(module, ufunc.__name__, None) is ufunc:
        reason = UNRECORDED.get(ufunc.__name__, "it is newer than this library")
        raise UnsupportedError(
            f"scipy.special.{ufunc.__name__} is not recorded for Tensors: {reason}; np.asarray(t) gives the value, "
            "which no derivative passes through"
        )
    return UFUNCS.get(ufunc) or WIDE.get(ufunc)


def _fill(module: Any) -> None:
    narrow: dict[np.ufunc, Callable[..., Any]] = {}
    wide: dict[np.ufunc, Callable[..., Any]] = {}
    for name, card in ops.special.CARDS.items():
        # What the installed SciPy is too old for is not there.
        ufunc = getattr(sys.modules[card.module], name, None)
        if ufunc is not None:
            table = narrow if ufunc.nin < 3 else wide
            table[ufunc] = card if card.kind == "elementwise" else Composite(_all_outputs(card))
    for name, function in NUMPYS.items():
        ufunc = getattr(module, name)
        narrow[ufunc] = Composite(_computed_as(ufunc, function))
    UFUNCS.update(narrow | {ufunc: mine for ufunc, mine in OVERRIDDEN.items() if ufunc in narrow})
    # At once, and last: another thread takes this for a sign that all is there.
    WIDE.update(wide)


def _all_outputs(card: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *nodes: ops.outputs(card(*nodes))


def _computed_as(ufunc: np.ufunc, function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's function of the same name, in the dtypes that SciPy has it for."""

    def record(x: Node) -> Any:
        return function(x if x.aval.weak else ops.astype(x, ops.result_dtype(ufunc, (x.aval,))[0]))

    return record
