"""What the arguments of optimizers must be, and the errors that say so."""

from __future__ import annotations

from typing import Any

from ..backend import Backend
from ..containers import LEAF, Structure, flatten, leaf_names
from ..convert import as_array, describe
from ..core.avals import Aval
from ..errors import ArgumentError, AutodiffError, BackendError, DifferentiationError, DTypeError, ShapeError
from ..nodes import Constant
from ..places import bring, home_of
from ..registry import backend_of
from ..tensor import Tensor


def parameter_leaves(parameters: Any, what: str) -> tuple[list[Tensor], list[str], Structure]:
    """The Tensors in ``parameters``, what each is called, and the structure they stand in."""
    leaves, structure = flatten(parameters)
    if structure is LEAF or not leaves:
        raise ArgumentError(
            f"{what}: parameters must be a list of Tensors, or nested lists, tuples and dicts of them with at least "
            f"one, not {describe(parameters)}"
        )
    names = [f"parameters{name}" for name in leaf_names(structure)]
    seen: dict[int, str] = {}
    for name, x in zip(names, leaves, strict=True):
        if not isinstance(x, Tensor):
            raise DifferentiationError(f"{what}: {name} is {describe(x)}, not a Tensor; give ad.Tensor(...)")
        aval = x.node.aval
        if isinstance(x.node, Constant) or not aval.differentiable:
            raise DifferentiationError(
                f"{what}: {name} is a {'constant ' if x.constant else ''}Tensor {aval!r}, which has no gradient; "
                "make it floating and with constant=False"
            )
        if id(x) in seen:
            raise ArgumentError(f"{what}: {name} is the same Tensor as {seen[id(x)]}; give it once")
        seen[id(x)] = name
    names = [f"{name} ({x.name!r})" if x.name else name for name, x in zip(names, leaves, strict=True)]
    return leaves, names, structure


def gradient_leaves(gradients: Any, structure: Structure, n: int) -> list[Any]:
    """The gradients in the order of the parameters: from a flat list, or from what is structured as these are."""
    leaves, given = flatten(gradients)
    if given is LEAF:
        raise ArgumentError(
            f"step: gradients must be a flat list of arrays, one for each parameter, not {describe(gradients)}"
        )
    flat = all(part is LEAF for part in given[2]) and not isinstance(gradients, dict)
    if given != structure and not flat:
        raise ArgumentError(
            f"step: gradients must be a flat list, or nested as the parameters are, with the keys of dicts in the same "
            f"order: parameters{leaf_names(structure)} are not gradients{leaf_names(given)}"
        )
    if len(leaves) != n:
        raise ArgumentError(f"step: {len(leaves)} gradients for {n} parameters; give one for each, in the same order")
    return leaves


def gradient_array(gradient: Any, aval: Aval, name: str, home: Backend) -> Any:
    """A gradient as an array of its parameter's shape and dtype, on its backend."""
    if isinstance(gradient, Tensor):
        gradient = gradient.value
    source = backend_of(gradient)
    if source is not None and source is not home:
        raise BackendError(
            f"step: the gradient of {name} is on backend {source.label}, but the parameter is on {home.label}; put the "
            "parameters on the graph's backend (Graph.add_variables)"
        )
    if source is None:
        if gradient is None:
            raise ArgumentError(f"step: the gradient of {name} is None; give zeros if there is none")
        try:
            gradient = as_array(gradient, copy=None)
        except AutodiffError as error:
            error.within(f"step: the gradient of {name}")
            raise
    shape, dtype = home_of(gradient).aval_of(gradient)
    if shape != aval.shape:
        raise ShapeError(
            f"step: the gradient of {name} has shape {shape} and dtype {dtype}, but the parameter is {aval!r}; "
            "gradients must be in the order of the parameters"
        )
    if dtype != aval.dtype:
        raise DTypeError(
            f"step: the gradient of {name} has dtype {dtype}, but the parameter is {aval!r}; "
            f"convert it with .astype('{aval.dtype}')"
        )
    return gradient if source is home else bring(gradient, home)
