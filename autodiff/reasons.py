"""Names of NumPy that take no Tensors: why not, and what to write instead. Errors say so, and docs/functions.md does.

Whatever else is public in NumPy works on Tensors, or takes no arrays. Ufuncs of SciPy have such a table of their own,
``numpy_api.special.UNRECORDED``.
"""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """Why a name takes no Tensors.

    Parameters
    ----------
    why : str
        A clause.
    instead : str
        What to write.
    """

    why: str
    instead: str

    def __str__(self) -> str:
        return f"{self.why}; {self.instead}"


_ROWS: tuple[tuple[str, str, Reason], ...] = (
    (
        "numpy",
        "busday_count busday_offset datetime_as_string is_busday isnat",
        Reason("dates are no numbers, and have no derivatives", "give it the array of dates itself"),
    ),
    (
        "numpy",
        "asmatrix bmat matrix",
        Reason(
            "the * of np.matrix is a product of matrices, and that of a Tensor is elementwise",
            "write @ for products, and np.block to join",
        ),
    ),
    (
        "numpy",
        "nditer nested_iters",
        Reason(
            "it walks through the memory of arrays, and gives buffers of numbers",
            "write a loop over np.ndindex(t.shape), or over t.flat",
        ),
    ),
    (
        "numpy",
        "isfortran",
        Reason(
            "a Tensor has no order of elements in memory; what its value has may differ from plan to plan",
            "np.isfortran(np.asarray(t)) is about the value at hand",
        ),
    ),
    (
        "numpy",
        "frompyfunc",
        Reason(
            "it computes with Python objects, of which there are no derivatives",
            "write np.vectorize of `import autodiff.numpy as np`, or a function of arrays",
        ),
    ),
    (
        "numpy",
        "in1d trapz",
        Reason("NumPy has deprecated it", "write np.isin and np.trapezoid"),
    ),
    (
        "numpy.lib.stride_tricks",
        "as_strided",
        Reason(
            "it reads memory by strides, which a Tensor does not have",
            "write np.lib.stride_tricks.sliding_window_view, an index, or np.broadcast_to",
        ),
    ),
    (
        "numpy.ndarray",
        "ctypes flags setflags strides",
        Reason(
            "a Tensor has no memory of its own, and its value is computed when somebody looks",
            "np.asarray(t) is the value, which is read-only",
        ),
    ),
    (
        "numpy.ndarray",
        "setfield",
        Reason(
            "it writes bytes into memory, not numbers",
            "write t[...] = values, or t.real = values",
        ),
    ),
)

# By the full name.
REASONS: dict[str, Reason] = {f"{module}.{name}": why for module, names, why in _ROWS for name in names.split()}


def reason_of(qualified: str) -> Reason | None:
    """Why a function of NumPy takes no Tensors, by the name that it has inside of NumPy."""
    if not qualified.startswith("numpy."):
        return None
    name = qualified.rpartition(".")[2]
    return REASONS.get(f"numpy.{name}") or REASONS.get(f"numpy.lib.stride_tricks.{name}")


# What takes the place of functions of SciPy that call a function of the user's, by how their names begin.
_SOLVERS: dict[str, str] = {
    "ad.least_squares(f, x0, args)": "optimize._lsq. optimize._minpack_py.leastsq optimize._minpack_py.curve_fit",
    "ad.fixed_point(f, x0, args)": "optimize._minpack_py.fixed_point",
    "ad.root(f, x0, args)": "optimize._root optimize._minpack_py.fsolve optimize._zeros_py. optimize._nonlin.",
    "ad.minimize(f, x0, args)": "optimize._minimize. optimize._optimize. optimize._basinhopping. optimize._lbfgsb_py.",
    "ad.odeint(f, y0, t, *args)": "integrate._ivp. integrate._odepack_py. integrate._ode.",
    "ad.linear_solve(matvec, b)": "sparse.linalg._isolve.",
}
_BY_PREFIX = {f"scipy.{prefix}": call for call, prefixes in _SOLVERS.items() for prefix in prefixes.split()}


def solver_for(qualified: str) -> str | None:
    """What to write in place of a function of SciPy, through which derivatives pass."""
    if not qualified.startswith("scipy."):
        return None
    found = (call for prefix, call in _BY_PREFIX.items() if qualified.startswith(prefix))
    call = next(found, None)
    return None if call is None else f"Write {call} of `import autodiff as ad`, through which derivatives pass"
