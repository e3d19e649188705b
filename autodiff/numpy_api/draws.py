"""Random draws whose parameters are Tensors: ``numpy.random`` where a derivative by a parameter is exact.

What is drawn is what NumPy draws of the same generator in the same state: numbers of a distribution without parameters,
and a function of these and of the parameters, which is recorded (the pathwise derivative: Glasserman 2003, ch. 7.2).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from .. import ops
from ..arguments import integer
from ..errors import ArgumentError, AutodiffError, UnsupportedError
from ..nodes import Node
from ..tensor import Tensor, node_of, wrap
from ..tracebacks import calling, hide
from .creation import holds_tensors

# A method of a generator, by its name.
Methods = Callable[[str], Callable[..., Any]]

# --- families --------------------------------------------------------------------------------------------------------


def _moved(z: Node, loc: Node, scale: Node) -> Node:
    return loc + scale * z


def _triangular(u: Node, left: Node, mode: Node, right: Node) -> Node:
    """The inverse of the distribution, which is made of two parabolas."""
    base, below, above = right - left, mode - left, right - mode
    lower = left + ops.sqrt(u * (below * base))
    return ops.where(ops.less_equal(u, below / base), lower, right - ops.sqrt((1 - u) * (above * base)))


class Family:
    """How a distribution is drawn.

    ``parameters`` are their names with defaults (None for what must be given), ``base`` is the draw without parameters
    as a method's name and arguments, ``formula`` is what becomes of it. Parameters named in ``positive`` must be.
    """

    def __init__(
        self,
        base: tuple[Any, ...],
        formula: Callable[..., Node],
        positive: tuple[str, ...] = (),
        /,
        **parameters: float | None,
    ):
        self.base = base
        self.formula = formula
        self.positive = positive
        self.parameters = parameters


FAMILIES: dict[str, Family] = {
    "normal": Family(("normal", 0.0, 1.0), _moved, ("scale",), loc=0.0, scale=1.0),
    "laplace": Family(("laplace", 0.0, 1.0), _moved, ("scale",), loc=0.0, scale=1.0),
    "logistic": Family(("logistic", 0.0, 1.0), _moved, ("scale",), loc=0.0, scale=1.0),
    "gumbel": Family(("gumbel", 0.0, 1.0), _moved, ("scale",), loc=0.0, scale=1.0),
    "lognormal": Family(
        ("normal", 0.0, 1.0), lambda z, mean, sigma: ops.exp(mean + sigma * z), ("sigma",), mean=0.0, sigma=1.0
    ),
    "uniform": Family(("uniform", 0.0, 1.0), lambda u, low, high: low + (high - low) * u, low=0.0, high=1.0),
    "exponential": Family(("exponential", 1.0), lambda e, scale: scale * e, ("scale",), scale=1.0),
    "rayleigh": Family(("rayleigh", 1.0), lambda r, scale: scale * r, ("scale",), scale=1.0),
    "weibull": Family(("standard_exponential",), lambda e, a: e ** (1.0 / a), ("a",), a=None),
    "pareto": Family(("standard_exponential",), lambda e, a: ops.expm1(e / a), ("a",), a=None),
    "power": Family(("standard_exponential",), lambda e, a: (-ops.expm1(-e)) ** (1.0 / a), ("a",), a=None),
    "triangular": Family(("uniform", 0.0, 1.0), _triangular, left=None, mode=None, right=None),
}

_INTEGERS = "what is drawn are integers, which have no derivative"
_REJECTED = "numbers of this family are drawn by rejection, and are no differentiable function of the parameters"
_MIXED = "which of two numbers is drawn jumps with the parameters"

# What takes no Tensors, and why not.
UNRECORDED: dict[str, str] = {
    **dict.fromkeys(
        (
            "binomial", "geometric", "hypergeometric", "integers", "logseries", "multinomial",
            "multivariate_hypergeometric", "negative_binomial", "poisson", "randint", "random_integers", "zipf",
        ),
        _INTEGERS,
    ),
    **dict.fromkeys(
        (
            "beta", "chisquare", "dirichlet", "f", "noncentral_chisquare", "noncentral_f", "standard_gamma",
            "standard_t", "vonmises",
        ),
        _REJECTED,
    ),
    "wald": _MIXED,
}  # fmt: skip


def _refuse(name: str, why: str) -> UnsupportedError:
    return UnsupportedError(
        f"random.{name} is not recorded for Tensors: {why}; give t.value to "
        "draw with the value, which no derivative passes through"
    )


def _plain(x: Any) -> Any:
    """An integer Tensor as its value: sizes, counts and positions have no derivative."""
    return np.asarray(x) if isinstance(x, Tensor) and x.dtype.kind in "biu" else x


def _shape(size: Any, parameters: list[Node], name: str) -> tuple[int, ...]:
    broadcast = ops.broadcast_shapes(name, tuple([p.aval for p in parameters]))
    if size is None:
        return broadcast
    shape = ops.normalize_shape(size, name, argument="size")
    ops.broadcast_to(ops.full(broadcast, 0, np.dtype(np.float64)), shape)
    return shape


def _drawn(family: Family, name: str, methods: Methods, *args: Any, **kwargs: Any) -> Any:
    names = [*family.parameters, "size"]
    given: dict[str, Any] = {**family.parameters, "size": None, **dict(zip(names, args, strict=False)), **kwargs}
    unknown = [key for key in given if key not in names]
    missing = [key for key in family.parameters if given[key] is None]
    if len(args) > len(names) or unknown or missing:
        raise ArgumentError(f"random.{name}: it takes {', '.join(names)}; {', '.join(unknown or missing)} does not fit")
    for key in family.positive:
        bound = given[key]
        least = 0 if key != "a" else np.nextafter(0, 1)
        if not isinstance(bound, Tensor) and not np.all(np.asarray(bound) >= least):
            raise ArgumentError(f"random.{name}: {key} must {'be positive' if least else 'not be negative'}")
    parameters = [node_of(given[key]) for key in family.parameters]
    shape = _shape(given["size"], parameters, f"random.{name}")
    draw, *constants = family.base
    base = node_of(np.asarray(methods(draw)(*constants, size=shape)))
    return wrap(family.formula(base, *parameters))


# --- what is no family -----------------------------------------------------------------------------------------------


def _gamma(methods: Methods, shape: Any, scale: Any = 1.0, size: Any = None) -> Any:
    """A draw times the scale; the shape is no such parameter."""
    if holds_tensors(shape):
        raise _refuse("gamma", f"{_REJECTED}, but for the scale")
    scales = node_of(scale)
    found = methods("standard_gamma")(shape, size=_shape(size, [node_of(shape), scales], "random.gamma"))
    return wrap(scales * np.asarray(found))


def _multivariate_normal(methods: Methods, mean: Any, cov: Any, size: Any = None, *args: Any, **kwargs: Any) -> Any:
    """The mean and a factor of the covariance times normal numbers; that by Cholesky has a derivative everywhere."""
    middle = ops.strong(node_of(mean))
    zeros = np.zeros(middle.aval.shape)
    if not holds_tensors(cov):
        return wrap(middle + methods("multivariate_normal")(zeros, cov, size, *args, **kwargs))
    if kwargs.get("method") != "cholesky":
        raise UnsupportedError(
            "random.multivariate_normal: a factor of cov by its eigenvectors or singular vectors has no derivative "
            "where eigenvalues meet; give method='cholesky' to a Generator, or write mean + z @ "
            "np.linalg.cholesky(cov).T"
        )
    normal = methods("multivariate_normal")(zeros, np.eye(len(zeros)), size, *args, **kwargs)
    factor = node_of(np.linalg.cholesky(cov))
    return wrap(middle + ops.matmul(node_of(normal), ops.matrix_transpose(factor)))


def _choice(
    methods: Methods, a: Any, size: Any = None, replace: Any = True, p: Any = None, axis: Any = 0, **keywords: Any
) -> Any:
    if holds_tensors(p):
        raise _refuse("choice", "which elements are chosen has no derivative by p")
    x = ops.strong(node_of(a))
    place = ops.normalize_axis(axis, x.aval.ndim, "random.choice")
    chosen = methods("choice")(x.aval.shape[place], size, replace, p, **keywords)
    return np.take(wrap(x), chosen, axis=place)


def _order(methods: Methods, count: int) -> np.ndarray[Any, Any]:
    """The order that a shuffle makes of as many elements."""
    order = np.arange(count)
    methods("shuffle")(order)
    return order


def _permutation(methods: Methods, x: Any, axis: Any = 0) -> Any:
    node = ops.strong(node_of(x))
    if not node.aval.ndim:
        return methods("permutation")(integer(x, "random.permutation: x"))
    place = ops.normalize_axis(axis, node.aval.ndim, "random.permutation")
    return np.take(wrap(node), _order(methods, node.aval.shape[place]), axis=place)


def _shuffle(methods: Methods, x: Any, axis: Any = 0) -> None:
    if not isinstance(x, Tensor):
        raise ArgumentError(
            f"random.shuffle: a {type(x).__name__} of Tensors cannot be shuffled; join them by np.stack, and take "
            "random.permutation"
        )
    x[...] = _permutation(methods, x, axis)


def _permuted(methods: Methods, x: Any, *, axis: Any = None, out: Any = None) -> Any:
    node = ops.strong(node_of(x))
    places = np.arange(node.aval.size).reshape(node.aval.shape)
    moved = methods("permuted")(places, axis=axis)
    found = wrap(ops.take(ops.reshape(node, (-1,)), moved, 0))
    if out is None:
        return found
    out[...] = found
    return out


OTHERS: dict[str, Callable[..., Any]] = {
    "gamma": _gamma,
    "multivariate_normal": _multivariate_normal,
    "choice": _choice,
    "permutation": _permutation,
    "permuted": _permuted,
    "shuffle": _shuffle,
}


# --- the namespace ---------------------------------------------------------------------------------------------------


@calling
def _call(name: str, methods: Methods, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A draw: NumPy's own if no Tensor is given."""
    args = tuple(map(_plain, args))
    kwargs = {key: _plain(value) for key, value in kwargs.items()}
    if not holds_tensors((*args, *kwargs.values())):
        return methods(name)(*args, **kwargs)
    if name in UNRECORDED:
        raise _refuse(name, UNRECORDED[name])
    try:
        if name in FAMILIES:
            return _drawn(FAMILIES[name], name, methods, *args, **kwargs)
        return OTHERS[name](methods, *args, **kwargs)
    except AutodiffError as error:
        error.within(f"random.{name}")
        raise


def _class(of: type) -> type:
    """A class of generators, derived from NumPy's."""

    def method(name: str) -> Callable[..., Any]:
        original = getattr(of, name)

        @functools.wraps(original)
        def draw(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return _call(name, lambda other: functools.partial(getattr(of, other), self), args, kwargs)
            except Exception as error:
                hide(error)
                raise

        return draw

    names = [name for name in (*FAMILIES, *OTHERS, *UNRECORDED) if hasattr(of, name)]
    body = {"__module__": "autodiff.numpy.random", "__doc__": of.__doc__, **{name: method(name) for name in names}}
    return type(of.__name__, (of,), body)


def _function(name: str) -> Callable[..., Any]:
    """A draw of NumPy's global generator."""

    @functools.wraps(getattr(np.random, name))
    def draw(*args: Any, **kwargs: Any) -> Any:
        try:
            return _call(name, lambda other: getattr(np.random, other), args, kwargs)
        except Exception as error:
            hide(error)
            raise

    return draw


@functools.cache
def random() -> ModuleType:
    """``numpy.random``, whose draws take Tensors for parameters."""
    module = ModuleType("autodiff.numpy.random", np.random.__doc__)
    public = {name: value for name, value in vars(np.random).items() if not name.startswith("_")}
    names = [name for name in (*FAMILIES, *OTHERS, *UNRECORDED) if name in public]
    generator = _class(np.random.Generator)

    @functools.wraps(np.random.default_rng)
    def default_rng(seed: Any = None) -> Any:
        return seed if type(seed) is generator else generator(np.random.default_rng(seed).bit_generator)

    own = {"Generator": generator, "RandomState": _class(np.random.RandomState), "default_rng": default_rng}
    vars(module).update(public | own | {name: _function(name) for name in names})
    return module
