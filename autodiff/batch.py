"""Batching: for what is recorded for one element, the nodes that compute it for a whole batch.

Each node that depends on an element gets one with a new axis before its own. What becomes of the primitive that made it
follows from its card: from its kind, its ``core``, and the types of its parameters. Nothing recurses over the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import ops
from .axes import arrays_stand
from .core.avals import Aval, broadcast_shape, intern_aval
from .core.parameters import Axes, Axis, Output, Own, Permutation, Shape
from .differentiate import marked
from .errors import UnsupportedError
from .nodes import Node, Operation, now, operations_since
from .noting import attribution

# What a parameter of a type becomes where all arrays have one more axis in front; others stay.
WITH_AXIS: dict[Any, Callable[[Any, int], Any]] = {
    Axis: lambda axis, size: axis + 1,
    Axes: lambda axes, size: tuple([axis + 1 for axis in axes]),
    Permutation: lambda order, size: (0, *[axis + 1 for axis in order]),
    Shape: lambda shape, size: (size, *shape),
}


class Batch:
    """A batch of some size, and what stands for which node.

    Parameters
    ----------
    size : int
        How many elements there are.
    given : mapping of Node to Node
        For each stand-in of an element the node of all elements, along its first axis.
    """

    __slots__ = ("_made", "_stand_ins", "size")

    def __init__(self, size: int, given: Mapping[Node, Node]):
        self.size = size
        self._stand_ins = tuple(given)
        # Of a flow, which has several outputs, a tuple of their nodes.
        self._made: dict[Node, Any] = dict(given)

    def __call__(self, outputs: Sequence[Node]) -> list[Node | None]:
        """For each output the node of the whole batch; None if it is the same for all elements."""
        made = self._made
        attribute = attribution()
        for op in self._between(outputs):
            if any(x in made for x in op.inputs):
                made[op] = self._batched(op)
                if attribute:
                    attribute(op, (made[op],), 0)
        return [made.get(node) for node in outputs]

    def of_all(self, outputs: Sequence[Node]) -> list[Node]:
        """The nodes of the whole batch; what is the same for all elements is repeated."""
        found = zip(outputs, self(outputs), strict=True)
        return [self.repeated(node) if whole is None else whole for node, whole in found]

    def with_stand_ins(self, given: Mapping[Node, Node]) -> Batch:
        """A batch of the same elements, with more stand-ins, younger than what is known so far."""
        return Batch(self.size, {**self._made, **given})

    def aval_of_all(self, aval: Aval) -> Aval:
        """What is known of the node of all elements, for what is known of that of one."""
        return intern_aval((self.size, *aval.shape), aval.dtype, place=aval.place)

    def whole(self, node: Node) -> Node | None:
        """The node of all elements for an operand of what is batched just now; None if it is the same for all."""
        return self._made.get(node)

    def _between(self, outputs: Sequence[Node]) -> list[Operation]:
        """The operations of which outputs are made, and that may depend on a stand-in, inputs first."""
        floor = min([node.sequence for node in self._stand_ins], default=0)
        return operations_since(outputs, floor, self._made, ops.entered)

    def _batched(self, op: Operation) -> Any:
        """The node for all elements of what is an operation for one; of a flow those of its outputs."""
        begin = now()
        primitive = op.signature.primitive
        along = any(kind in WITH_AXIS or kind is Output for kind in primitive.params.values())
        found: Any
        if Own in primitive.params.values():
            found = op.params["rule"].batched(self, op)
        elif primitive is ops.part_p and type(self._made[op.inputs[0]]) is tuple:
            found = self._made[op.inputs[0]][op.params["index"]]
        elif primitive.kind == "elementwise" or (primitive.several and primitive.core is None and not along):
            found = self._elementwise(op)
        elif primitive.kind == "indexing":
            found = self._indexed(op)
        elif primitive.core is not None:
            found = self._mapped(op, primitive.core)
        elif along:
            operands = [self._made[x] if x in self._made else self.repeated(x) for x in op.inputs]
            found = primitive(*operands, **self._params(op))
        else:
            raise UnsupportedError(
                f"vmap: {primitive.name} cannot be batched, since its card does not say which axes belong together"
            )
        if not self._is_of_all(op, found):
            raise UnsupportedError(
                f"vmap: {op.signature!r} cannot be batched: {self.size} of it together would be {found.aval!r}"
            )
        if type(found) is not tuple and not op.aval.parts and found.aval.dtype != op.aval.dtype:
            # What is a weak number for one element is an array for all.
            found = ops.astype(found, op.aval.dtype)
        if op.signature.is_derived:
            marked(found if type(found) is tuple else [found], begin)
        return found

    def _params(self, op: Operation) -> dict[str, Any]:
        """The parameters of an operation, for arrays with one more axis."""
        kinds = op.signature.primitive.params
        return {
            name: WITH_AXIS[kinds[name]](value, self.size) if kinds[name] in WITH_AXIS else value
            for name, value in op.params.items()
        }

    def repeated(self, x: Node) -> Node:
        """What is the same for all elements, once for each."""
        return ops.broadcast_to(ops.strong(x), (self.size, *x.aval.shape))

    def _lifted(self, x: Node, ndim: int) -> Node:
        """The node of the batch for an operand that is broadcast to ``ndim`` axes: with ones after the first axis."""
        whole = self._made[x]
        missing = ndim - x.aval.ndim
        return ops.reshape(whole, (self.size, *(1,) * missing, *whole.aval.shape[1:])) if missing else whole

    # --- by what a card says -----------------------------------------------------------------------------------------

    def _elementwise(self, op: Operation) -> Node:
        signature = op.signature
        ndim = max([aval.ndim for aval in signature.inputs], default=0)
        # A weak number is an array now, of the dtype that it was computed in.
        dtypes = [op.aval.dtype] * len(op.inputs) if signature.primitive.loop is None else signature.loop_dtypes
        strict = op.aval.parts or not op.aval.weak
        operands = []
        for x, dtype in zip(op.inputs, dtypes, strict=False):
            if x not in self._made:
                operands.append(x)
            else:
                whole = self._lifted(x, ndim)
                operands.append(ops.astype(whole, dtype) if x.aval.weak and strict else whole)
        return signature.primitive(*operands, **op.params)  # type: ignore[no-any-return]

    def _mapped(self, op: Operation, core: str) -> Node:
        """The last axes are those that ``core`` names; those before them are broadcast, and so is that of the batch."""
        names, _, result = core.partition("->")
        cores = names.split(",")
        if any(x.aval.parts for x in op.inputs):
            raise UnsupportedError(f"vmap: {op.signature.primitive.name} is of factors, and cannot be batched")
        own = [x.aval.ndim - len(letters) for x, letters in zip(op.inputs, cores, strict=True)]
        batched = [i for i, x in enumerate(op.inputs) if x in self._made]
        if len(batched) == 1 and not any(own) and not op.aval.parts:
            joined = self._joined(op, batched[0], cores, result)
            if joined is not None:
                return joined
        lead = max([*own, 0 if op.aval.parts else op.aval.ndim - len(result)])
        routine = op.signature.primitive.kind == "routine"

        def operand(x: Node, letters: str, size: int) -> Node:
            if x in self._made:
                return self._lifted(x, lead + len(letters))
            if not routine:
                return x
            # All operands have as many axes, so that nobody takes a matrix for a stack of vectors.
            ones = (1,) * (lead + len(letters) - x.aval.ndim)
            once = ops.reshape(x, (1, *ones, *x.aval.shape))
            return ops.broadcast_to(once, (size, *ones, *x.aval.shape))

        pairs = [*zip(op.inputs, cores, strict=True)]
        found = op.signature.primitive(*[operand(x, c, 1) for x, c in pairs], **self._params(op))
        if routine and not self._is_of_all(op, found):
            # Some take what all results have from one operand.
            found = op.signature.primitive(*[operand(x, c, self.size) for x, c in pairs], **self._params(op))
        return found  # type: ignore[no-any-return]

    def _is_of_all(self, op: Operation, found: Any) -> bool:
        """Whether a node, or the nodes of several outputs, have the shape of the whole batch."""
        avals = [x.aval for x in found] if type(found) is tuple else found.aval.parts or [found.aval]
        pairs = zip(avals, op.aval.parts or [op.aval], strict=True)
        return all(whole.shape == (self.size, *one.shape) for whole, one in pairs)

    def _joined(self, op: Operation, position: int, cores: list[str], result: str) -> Node | None:
        """One application to a longer axis, if the batch can be part of one: of a matrix to the columns of all.

        The axis is one that only the batched operand has, and that the result has, too.
        """
        others = "".join(cores[:position] + cores[position + 1 :])
        free = [c for c in cores[position] if c not in ".," and c in result and c not in others]
        if not free:
            return None
        before, after = cores[position].index(free[0]), result.index(free[0])
        whole = ops.moveaxis(self._made[op.inputs[position]], 0, before)
        shape = whole.aval.shape
        length = shape[before] * shape[before + 1]
        operands = list(op.inputs)
        operands[position] = ops.reshape(whole, (*shape[:before], length, *shape[before + 2 :]))
        found = op.signature.primitive(*operands, **op.params)
        shape = found.aval.shape
        apart = (self.size, op.aval.shape[after])
        return ops.moveaxis(ops.reshape(found, (*shape[:after], *apart, *shape[after + 1 :])), after, 0)

    # --- indices -----------------------------------------------------------------------------------------------------

    def _indexed(self, op: Operation) -> Node:
        """Reading and writing: a slice before the others, or the number of the element beside other index arrays."""
        primitive, made, size = op.signature.primitive, self._made, self.size
        x, index, *rest = op.inputs
        spec = index.aval.spec
        assert spec is not None
        count = spec.count(ops.ARRAY)
        arrays = rest[len(rest) - count :]
        written = rest[: len(rest) - count]
        together = [f"together {i}" for i in range(len(broadcast_shape(*[a.aval.shape for a in arrays])))]
        others = [f"other {i}" for i, entry in enumerate(spec) if entry not in (ops.INTEGER, ops.ARRAY)]
        first = arrays_stand(spec) if arrays else 0
        # The axes of what is read or written as they are wanted, and as they will be.
        wanted = ["batch", *others[:first], *together, *others[first:]]
        if any(a in made for a in arrays):
            arrays = [self._lifted(a, len(together)) if a in made else a for a in arrays]
            if x not in made and not written:
                return ops.moveaxis(primitive(x, index, *arrays), first, 0)
            steps = ops.reshape(ops.positions(size), (size, *(1,) * len(together)))
            index, arrays = ops.Prefixed(index, ops.ARRAY, None), [steps, *arrays]
            found = ["batch", *together, *others]
        else:
            index = ops.Prefixed(index, size, slice(0, size, 1))
            before = arrays_stand(index.aval.spec) if arrays else 0  # type: ignore[arg-type]
            found = ["batch", *others]
            found = [*found[:before], *together, *found[before:]]
        whole = made[x] if x in made else self.repeated(x)
        if not written:
            return ops.transpose(primitive(whole, index, *arrays), [found.index(axis) for axis in wanted])
        (values,) = written
        region = made[values] if values in made else self.repeated(values)
        region = ops.transpose(region, [wanted.index(axis) for axis in found])
        return primitive(whole, index, region, *arrays)  # type: ignore[no-any-return]


def batched(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    given: Sequence[Node],
    size: int,
    in_axes: tuple[int, ...],
    out_axes: tuple[int | None, ...],
    names: tuple[str, ...],
) -> list[Node]:
    """Outputs for all elements of a batch, which are along some axis of what is ``given``: a walk.

    An axis of None says that an output is the same for all; ``names`` are for the error if it is not.
    """
    elements = [ops.moveaxis(x, axis, 0) for x, axis in zip(given, in_axes, strict=True)]
    batch = Batch(size, dict(zip(inputs, elements, strict=True)))
    found = batch(outputs)
    results = []
    for node, whole, axis, name in zip(outputs, found, out_axes, names, strict=True):
        if axis is None:
            if whole is not None:
                raise UnsupportedError(
                    f"vmap: out_axes is None for the result{name}, {node.aval!r}, which is not the same for all "
                    "elements of the batch; give an axis"
                )
            results.append(node)
        else:
            (every,) = [whole] if whole is not None else batch.of_all([node])
            results.append(ops.moveaxis(every, 0, axis))
    return results
