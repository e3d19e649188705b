"""Programs as statements over strided memory: what compiled loops are made from.

Every statement is a loop nest: for each place of its iteration space, an expression of one element of each operand
goes into one element of the target, or is added (multiplied, compared) into it. Views are no statements: a value
that is reshaped, transposed, broadcast or sliced is an ``Access`` of the storage it looks into. So a matrix product
is a sum of products over three axes, and a concatenation is a few copies into one storage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from autodiff.core.avals import Aval, broadcast_shape
from autodiff.core.primitives import Primitive, Signature, by_primitive
from autodiff.core.program import Application, Program

from .accesses import Access, contiguous, gathered, reshaped, sliced, spaced, standard
from .folds import RESHAPE, Fold, folded, matrix, only_multiplied, product, reads_well
from .forms import ADD_AT, COPY, GATHER, REDUCTIONS, SET_AT, Form, Statement, Storage, literal_text


class Override(NamedTuple):
    """How a primitive becomes statements, where it is none by itself, or another access.

    Parameters
    ----------
    look : callable, optional
        The access of a view that is not its operand's.
    lower : callable, optional
        Emits the statements of an application.
    """

    look: Callable[[Lowering, Signature, tuple[int, ...]], Access] | None = None
    lower: Callable[[Lowering, int, Signature, tuple[int, ...]], None] | None = None


def looks(signature: Signature) -> bool:
    """Whether an application is another ``Access`` of its operand's storage, or the operand as it is."""
    if not signature.is_view:
        return False
    if signature.primitive.kind == "elementwise":
        # Parts of complex numbers are views of other numbers.
        return signature.out.dtype == signature.inputs[0].dtype
    return OVERRIDES.get(signature.primitive, NOTHING).look is not None


def is_lowered(signature: Signature) -> bool:
    """Whether an application is statements, or a look, whatever expressions there are."""
    primitive = signature.primitive
    return looks(signature) or primitive.name in REDUCTIONS or OVERRIDES.get(primitive, NOTHING).lower is not None


class Lowering:
    """A program as storages and statements.

    Attributes
    ----------
    storages : list of Storage
    statements : list of Statement
    inputs : dict of int to int
        The storage of each input (or constant array) of the program.
    outputs : list of int
        The storage of each output, contiguous and in no other use.
    """

    def __init__(self, program: Program):
        self.program = program
        self.storages: list[Storage] = []
        self.statements: list[Statement] = []
        self.inputs: dict[int, int] = {}
        self._accesses: dict[int, Access] = {}
        self._literals: dict[int, str] = {}
        # Values whose storage is theirs alone and may be written to by their only reader.
        self._owned: set[int] = set()
        applications = program.applications()
        uses: dict[int, int] = dict.fromkeys(program.outputs, 2)
        for _, _, arguments in applications:
            for a in arguments:
                uses[a] = uses.get(a, 0) + 1
        self._folds: dict[int, Fold] = {}
        self._multiplied = only_multiplied(program, applications)
        self._single = {number for number, count in uses.items() if count == 1}
        self._place_leaves(applications)
        for application in applications:
            self._lower(*application)
        self.outputs = [self._output(number) for number in program.outputs]

    def _place_leaves(self, applications: list[Application]) -> None:
        program = self.program
        used = {a for _, _, arguments in applications for a in arguments} | set(program.outputs)
        for number in sorted(used):
            aval = program.avals[number]
            if aval.spec is not None:
                continue
            if number in program.constants and aval.size == 1 and not isinstance(program.constants[number], np.ndarray):
                self._literals[number] = literal_text(program.constants[number])
            elif number < program.n_inputs or number in program.constants:
                storage = self.inputs[number] = self._storage(aval)
                self._accesses[number] = Access(storage, 0, contiguous(aval.shape))

    def _storage(self, aval: Aval) -> int:
        self.storages.append(Storage(aval.size, aval.dtype))
        return len(self.storages) - 1

    def _new(self, number: int) -> Access:
        aval = self.program.avals[number]
        access = Access(self._storage(aval), 0, contiguous(aval.shape))
        self._accesses[number] = access
        self._owned.add(number)
        return access

    def _shape(self, number: int) -> tuple[int, ...]:
        return self.program.avals[number].shape

    # --- statements --------------------------------------------------------------------------------------------------

    def _emit(
        self,
        name: str,
        shape: tuple[int, ...],
        target: Access,
        operands: list[tuple[int, tuple[int, ...]]],
        signature: Signature | None = None,
        reduced: tuple[int, ...] = (),
    ) -> None:
        """A statement; an operand is a value and its steps over the iteration space."""
        if any(n == 0 for axis, n in enumerate(shape) if axis not in reduced):
            return
        target = standard(target, shape)
        literals = tuple([self._literals.get(number) for number, _ in operands])
        accesses = []
        dtypes = [self.storages[target.storage].dtype]
        for number, strides in operands:
            if number not in self._literals:
                access = self._accesses[number]
                accesses.append(Access(access.storage, access.offset, strides))
                dtypes.append(self.program.avals[number].dtype)
        steps = (target.strides, *[a.strides for a in accesses])
        form = Form(name, shape, reduced, signature, literals, steps, tuple(dtypes))
        self.statements.append(Statement(form, target, tuple(accesses)))

    def _over(self, number: int, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Steps of a value broadcast to an iteration space."""
        if number in self._literals:
            return (0,) * len(shape)
        own = self._shape(number)
        strides = self._accesses[number].strides
        return (0,) * (len(shape) - len(own)) + tuple([0 if n == 1 else s for n, s in zip(own, strides, strict=True)])

    def _lower(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        lower = OVERRIDES.get(signature.primitive, NOTHING).lower
        if looks(signature):
            self._view(number, signature, arguments)
        elif lower is not None:
            lower(self, number, signature, arguments)
        elif signature.primitive.name in REDUCTIONS:
            self._reduce(number, signature, arguments)
        else:
            shape = signature.out.shape
            operands = [(a, self._over(a, shape)) for a in arguments]
            self._emit(signature.primitive.name, shape, self._new(number), operands, signature)

    def _copy(self, source: int, target: Access, shape: tuple[int, ...]) -> None:
        self._emit(COPY, shape, target, [(source, self._over(source, shape))])

    def _view(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        source = arguments[0]
        if source in self._literals:
            self._literals[number] = self._literals[source]
            return
        if number in self._multiplied and self._fold(number, signature, source):
            return
        look = OVERRIDES.get(signature.primitive, NOTHING).look
        access = self._accesses[source] if look is None else look(self, signature, arguments)
        if look is None and signature.inputs[0].shape != signature.out.shape:
            # Further operands have axes that the first has not.
            access = access._replace(strides=self._over(source, signature.out.shape))
        self._accesses[number] = access

    def _fold(self, number: int, signature: Signature, source: int) -> bool:
        """Keep a matrix that only products read as what it is made of, if it is no view."""
        if source in self._folds:
            # (No other look at a matrix is read by products only.)
            self._folds[number] = self._folds[source].turned()
            return True
        if signature.primitive is RESHAPE and signature.out.size:
            found = folded(self._accesses[source], self._shape(source), signature.out.shape)
            if found is not None:
                self._folds[number] = found
                return True
        return False

    def _transposed(self, signature: Signature, arguments: tuple[int, ...]) -> Access:
        access = self._accesses[arguments[0]]
        return access._replace(strides=tuple([access.strides[i] for i in signature.params[0]]))

    def _broadcast(self, signature: Signature, arguments: tuple[int, ...]) -> Access:
        (source,) = arguments
        return self._accesses[source]._replace(strides=self._over(source, signature.out.shape))

    def _reshaped(self, signature: Signature, arguments: tuple[int, ...]) -> Access:
        (source,) = arguments
        access, shape = self._accesses[source], signature.out.shape
        strides = reshaped(self._shape(source), access.strides, shape) if signature.out.size else contiguous(shape)
        if strides is not None:
            return access._replace(strides=strides)
        copied = self._storage(signature.out)
        own = self._shape(source)
        self._copy(source, Access(copied, 0, contiguous(own)), own)
        return Access(copied, 0, contiguous(shape))

    def _sliced(self, signature: Signature, arguments: tuple[int, ...]) -> Access:
        source, idx = arguments
        return sliced(self._accesses[source], self._shape(source), self.program.constants[idx])

    def _gather(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        """What index arrays pick; they are operands after the array that they pick from."""
        source, idx, *arrays = arguments
        if source in self._literals:
            self._literals[number] = self._literals[source]
            return
        target = self._new(number)
        self._at_arrays(GATHER, target, self._accesses[source], (source, idx), arrays)

    def _at_arrays(
        self,
        name: str,
        target: Access | None,
        array: Access,
        picked: tuple[int, int],
        arrays: Sequence[int],
        values: Sequence[int] = (),
    ) -> None:
        """A statement with index arrays: the value that they pick from and the index say where. Without a target they
        pick what is written to."""
        source, idx = picked
        spec = self.program.avals[idx].spec
        assert spec is not None
        together = broadcast_shape(*[self._shape(a) for a in arrays])
        found = gathered(array, self._shape(source), spec, self.program.constants[idx], len(together))
        sizes = [1 if form == "n" else form for form in spec if form not in ("i", "a")]
        shape = (*sizes[: found.before], *together, *sizes[found.before :])
        if 0 in shape:
            return
        before, after = (0,) * found.before, (0,) * (len(sizes) - found.before)
        dtype = self.program.avals[source].dtype
        place = standard(found.access, shape)
        operands = [(v, self._over(v, shape)) for v in values]
        operands += [(a, (*before, *self._over(a, together), *after)) for a in arrays]
        literals = tuple([self._literals.get(n) for n, _ in operands])
        read = [(n, strides) for n, strides in operands if n not in self._literals]
        accesses = (place, *[self._accesses[n]._replace(strides=strides) for n, strides in read])
        target = place if target is None else target
        steps = (target.strides, *[a.strides for a in accesses])
        dtypes = (dtype, dtype, *[self.program.avals[n].dtype for n, _ in read])
        form = Form(name, shape, (), None, (None, *literals), steps, dtypes, found.indexed)
        self.statements.append(Statement(form, target, accesses))

    def _write(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        base, idx, values, *arrays = arguments
        shape = self._shape(base)
        if base in self._owned and base in self._single:
            whole = self._accesses[number] = self._accesses[base]
            self._owned.add(number)
        else:
            whole = self._new(number)
            self._copy(base, whole, shape)
        adds = signature.primitive.reduces is not None
        if arrays:
            self._at_arrays(ADD_AT if adds else SET_AT, None, whole, (base, idx), arrays, [values])
            return
        region = self._shape(values)
        place = sliced(whole, shape, self.program.constants[idx])
        if not adds:
            self._copy(values, place, region)
            return
        # The place is read and written.
        if 0 not in region:
            place = standard(place, region)
            dtype = self.program.avals[number].dtype
            literal = self._literals.get(values)
            read = () if literal is not None else (self._accesses[values],)
            steps = (place.strides, place.strides, *[self._over(values, region) for _ in read])
            dtypes = (dtype, dtype, *[self.program.avals[values].dtype for _ in read])
            form = Form("add", region, (), None, (None, literal), steps, dtypes)
            self.statements.append(Statement(form, place, (place, *read)))

    def _concatenate(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        (axis,) = signature.params
        if all(a.shape[axis] == 1 and a.dtype == signature.out.dtype for a in signature.inputs):
            pieces = [standard(self._accesses[a], self._shape(a)) for a in arguments if a not in self._literals]
            looked = spaced(pieces, axis) if len(pieces) == len(arguments) else None
            if looked is not None:
                self._accesses[number] = looked
                return
        whole = self._new(number)
        offset = 0
        for a in arguments:
            shape = self._shape(a)
            self._copy(a, whole._replace(offset=offset), shape)
            offset += shape[axis] * whole.strides[axis]

    def _reduce(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        (axes,) = signature.params
        shape = signature.inputs[0].shape
        target = self._new(number)
        kept = iter(target.strides)
        strides = tuple([0 if i in axes else next(kept) for i in range(len(shape))])
        operands = [(a, self._over(a, shape)) for a in arguments]
        self._emit(signature.primitive.name, shape, target._replace(strides=strides), operands, signature, axes)

    def _matmul(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        """A sum of products over the axes (batch, row, column, inner)."""
        if any(a in self._folds for a in arguments):
            if not any(a in self._literals for a in arguments):
                self._folded_matmul(number, signature, arguments)
                return
            for a in self._folds.keys() & set(arguments):
                self._unfold(a, self._folds.pop(a))
        out = signature.out.shape
        inner = self._shape(arguments[0])[-1]
        target = self._new(number)
        batch = len(out) - 2
        rows = self._over_batch(arguments[0], batch)
        columns = self._over_batch(arguments[1], batch)
        if inner == 1:
            # A product of a column and a row sums nothing, so it may be part of a loop over its elements.
            outer = [(arguments[0], (*rows[:-1], 0)), (arguments[1], (*columns[:-2], 0, columns[-1]))]
            self._emit("multiply", out, target, outer)
            return
        operands = [
            (arguments[0], (*rows[:-2], rows[-2], 0, rows[-1])),
            (arguments[1], (*columns[:-2], 0, columns[-1], columns[-2])),
        ]
        whole = target._replace(strides=(*target.strides, 0))
        self._emit(signature.primitive.name, (*out, inner), whole, operands, signature, (len(out),))

    def _folded_matmul(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        """A sum of products over the axes of rows, of columns, and of terms, which are several of each."""
        first, second = arguments
        for a in (second, first):
            x, y = self._matrices(first, second)
            # Else terms have the axes of one of them only, or steps are long.
            if x.columns == y.rows and reads_well(x, y):
                break
            if a in self._folds:
                self._unfold(a, self._folds.pop(a))
        x, y = self._matrices(first, second)
        shape, strides, left, right = product(x, y)
        target = self._new(number)._replace(strides=strides)
        dtypes = [self.program.avals[n].dtype for n in (number, *arguments)]
        reduced = tuple(range(len(x.rows) + len(y.columns), len(shape)))
        form = Form(
            signature.primitive.name, shape, reduced, signature, (None, None), (strides, left, right), tuple(dtypes)
        )
        operands = (x.access._replace(strides=left), y.access._replace(strides=right))
        self.statements.append(Statement(form, target, operands))

    def _matrices(self, first: int, second: int) -> tuple[Fold, Fold]:
        """The operands of a product, with axes of terms that are those of one that is folded."""
        x, y = (self._folds.get(a) for a in (first, second))
        n, terms = self._shape(first)
        if x is None:
            x = matrix(self._accesses[first], (n,), (terms,) if y is None else y.rows)
        if y is None:
            y = matrix(self._accesses[second], x.columns, self._shape(second)[1:])
        return x, y

    def _unfold(self, number: int, fold: Fold) -> None:
        """Copy a matrix."""
        aval = self.program.avals[number]
        copied = self._storage(aval)
        shape = (*fold.rows, *fold.columns)
        strides = contiguous(shape)
        form = Form(COPY, shape, (), None, (None,), (strides, fold.access.strides), (aval.dtype, aval.dtype))
        self.statements.append(Statement(form, Access(copied, 0, strides), (fold.access,)))
        self._accesses[number] = Access(copied, 0, contiguous(aval.shape))

    def _over_batch(self, number: int, batch: int) -> tuple[int, ...]:
        """Steps of a stack of matrices, broadcast to ``batch`` leading axes."""
        if number in self._literals:
            return (0,) * (batch + 2)
        shape = self._shape(number)
        strides = self._accesses[number].strides
        lead = [0 if n == 1 else s for n, s in zip(shape[:-2], strides[:-2], strict=True)]
        return (0,) * (batch - len(lead)) + (*lead, *strides[-2:])

    def _output(self, number: int) -> int:
        """The storage of an output: its own, written by nobody else."""
        access = self._accesses.get(number)
        if number in self._owned and access is not None and number not in self.inputs:
            self._owned.discard(number)
            return access.storage
        aval = self.program.avals[number]
        storage = self._storage(aval)
        self._copy(number, Access(storage, 0, contiguous(aval.shape)), aval.shape)
        return storage


NOTHING = Override()
OVERRIDES: dict[Primitive, Override] = by_primitive(
    {
        "broadcast_to": Override(Lowering._broadcast),
        "reshape": Override(Lowering._reshaped),
        "transpose": Override(Lowering._transposed),
        "index": Override(Lowering._sliced, Lowering._gather),
        "index_add": Override(lower=Lowering._write),
        "index_set": Override(lower=Lowering._write),
        "concatenate": Override(lower=Lowering._concatenate),
        "matmul": Override(lower=Lowering._matmul),
    }
)
