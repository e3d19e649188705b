"""The statements of a plan, value by value, in order."""

from __future__ import annotations

import numpy as np

from autodiff.background import check
from autodiff.core.primitives import PRIMITIVES, Signature
from autodiff.core.program import Application, Program
from autodiff.plan.costs import nbytes, working

from .blocks import Group
from .groups import write_group
from .primitives import BLOCKED, NOTHING, OVERRIDES, Scalar, view_of, write_reduction
from .values import FLOAT64, LONGEST_DOT, RESHAPE, SINE, Values, number_text

ASTYPE = PRIMITIVES["astype"]


def _is_same(signature: Signature) -> bool:
    """Whether an application leaves a single element of float64 as it is."""
    if len(signature.inputs) != 1 or signature.inputs[0].dtype != FLOAT64:
        return False
    return signature.primitive.kind in ("view", "reduction") or signature.primitive is ASTYPE


def _is_sum(signature: Signature) -> bool:
    """Whether an application adds elements of float64, or products of them."""
    added = signature.primitive.kind in ("reduction", "contraction") and signature.primitive.reduces is np.add
    return added and signature.out.dtype == FLOAT64


class Writer(Values):
    """Generates the body of a plan, value by value."""

    def __init__(self, program: Program):
        super().__init__(program, BLOCKED)
        self.is_scalar.update(self.scalars)
        self._decide_scalars()
        self.find_last_uses()

    def _decide_scalars(self) -> None:
        """Which values are Python floats: one element of float64 that can be had cheaply as such."""
        for number, signature, arguments in self.applications:
            aval = signature.out
            if aval.size != 1 or not (aval.dtype == FLOAT64 or aval.dtype.kind == "b"):
                continue
            scalar = OVERRIDES.get(signature.primitive, NOTHING).scalar
            if aval.dtype.kind == "b" and not (scalar is not None and scalar.truth):
                continue
            known = scalar is not None or _is_same(signature)
            if (known and all(self._scalar_like(a) for a in arguments)) or _is_sum(signature):
                self.is_scalar.add(number)

    def _scalar_like(self, number: int) -> bool:
        """Whether a value can be taken as a Python number at the cost of one ``item`` call."""
        aval = self.avals[number]
        if number in self.is_scalar:
            return aval.dtype.kind in "fib"
        return aval.size == 1 and aval.spec is None and (aval.dtype == FLOAT64 or aval.dtype.kind == "b")

    def write(self) -> None:
        """Generate all statements."""
        for place, item in enumerate(self.schedule):
            check()
            self.write_item(place, item)

    def write_item(self, place: int, item: Group | Application) -> None:
        """Generate the statements of one operation, or of a group."""
        if isinstance(item, Group):
            write_group(self, item, place)
            self.release(self.dying(place, item.members))
        else:
            self._write_one(place, item)

    def _write_one(self, place: int, application: Application) -> None:
        number, signature, arguments = application
        dying = self.dying(place, [application])
        if number in self.is_scalar:
            self._write_scalar(number, signature, arguments)
        elif number in self.partners:
            self._write_pair(number, signature, arguments)
        elif number in self.writes.fills:
            pass
        else:
            early = self._overwritable(signature, arguments, dying) if number not in self.writes.placed else set()
            self.release(early)
            self._write_array(number, signature, arguments)
            dying -= early
        self.release(dying)

    def _write_pair(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        """sin and cos of one argument, when the first of them is needed."""
        if number in self.arrays:
            return
        pair = (number, self.partners[number])
        sine, cosine = pair if signature.primitive is SINE else pair[::-1]
        words = [self.array(arguments[0]), self.owned(sine), self.owned(cosine)]
        self.lines.append(f"{self.helper('sine_cosine')}({', '.join(words)})")

    def _overwritable(self, signature: Signature, arguments: tuple[int, ...], dying: set[int]) -> set[int]:
        """Operands whose buffer the result may take: of an elementwise one, or the base of a write's."""
        if signature.primitive.kind == "elementwise":
            rereads = signature.primitive.rereads
            return dying - {self.roots[arguments[place]] for place in rereads} if rereads else dying
        if signature.primitive.writes:
            base = self.roots[arguments[0]]
            return dying & {base} if base not in {self.roots[a] for a in arguments[1:]} else set()
        return set()

    def dying(self, place: int, applications: list[Application]) -> set[int]:
        """Values in buffers that nobody looks into after this place."""
        roots = {self.roots[a] for _, _, arguments in applications for a in arguments}
        return {root for root in roots if self.last_use.get(root) == place and root in self.buffer_of}

    def release(self, roots: set[int]) -> None:
        """Give buffers back."""
        for root in roots:
            self.storage.give(self.buffer_of.pop(root))

    def _write_scalar(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        primitive, target = signature.primitive, f"s{number}"
        if _is_same(signature) and self._scalar_like(arguments[0]):
            self.scalars[number] = self.scalar(arguments[0])
            if primitive.reduces is np.add:
                # A sum begins with 0, as NumPy's do, so that -0 becomes 0.
                self.lines.append(f"{target} = {self.scalars[number]} + 0.0")
                self.scalars[number] = target
            return
        scalar = OVERRIDES.get(primitive, NOTHING).scalar
        if scalar is not None:
            words = [self._number(scalar, place, a, arguments) for place, a in enumerate(arguments)]
            self.raises = True
            self.lines.append(f"{target} = {scalar.text.format(*words)}")
        elif primitive.kind == "contraction":
            left, right = (self.array(a) for a in arguments)
            call = self.use("dot") if self.dottable(arguments) else self.use("matmul")
            self.lines.append(f"{target} = {call}({left}, {right}).item()")
        elif len(arguments) == 2:
            left, right = (self.array(a) for a in arguments)
            self.lines.append(f"{target} = {self.inner(arguments[0], left, right)}.item()")
        else:
            self.lines.append(f"{target} = {self._full_sum(arguments[0])}.item()")
        self.scalars[number] = target

    def _number(self, scalar: Scalar, place: int, argument: int, arguments: tuple[int, ...]) -> str:
        """An operand of Python's arithmetic: a float, unless only truth values or only integers are compared."""
        word = self.scalar(argument)
        kinds = {self.avals[a].dtype.kind for a in arguments[scalar.first :]}
        kept = place < scalar.first or (scalar.truth and "f" not in kinds)
        if not kept and self.avals[argument].dtype.kind != "f":
            literal = self.avals[argument].literal
            word = f"float({word})" if literal is None else number_text(float(literal))
        return f"({word})" if word.startswith("-") else word

    def _full_sum(self, value: int) -> str:
        """The sum of all elements; of few, as a product with ones, which costs half a reduction's call."""
        aval = self.avals[value]
        if aval.dtype == FLOAT64 and 0 < aval.size <= LONGEST_DOT:
            return f"{self.use('vdot')}({self.array(value)}, {self.ones(aval.size, aval.dtype)})"
        return f"{self.use('add')}.reduce({self.array(value)}, axis=None)"

    def _write_array(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        primitive = signature.primitive
        write = OVERRIDES.get(primitive, NOTHING).array
        if write is not None:
            write(self, number, signature, arguments)
        elif primitive.kind == "reduction" and primitive.reduces is not None:
            write_reduction(self, number, signature, arguments)
        elif primitive.kind == "elementwise" and signature.is_view:
            view_of("{0}")(self, number, signature, arguments)
        elif primitive.numpy_ufunc is not None:
            self.write_ufunc(number, primitive.numpy_ufunc, arguments, primitive.module)
        else:
            self._write_meaning(number, signature, arguments)

    def _write_meaning(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        """A call of what the primitive's card says, or of what NumPy has beyond that."""
        routine = OVERRIDES.get(signature.primitive, NOTHING).routine
        words = [self.array(a) if self.avals[a].spec is None else self.arrays[a] for a in arguments]
        kinds = signature.primitive.params
        words += [f"{key}={self.static(x, kinds.get(key))}" for key, x in signature.meaning_keywords.items()]
        if routine is not None:
            function = self.use(routine.__name__, routine.__module__)
        else:
            function, words = self.meaning(signature.primitive.name), ["numpy", *words]
        self.emit(number, f"{function}({', '.join(words)}", out=False)

    def result(self, number: int) -> str:
        """The text of an output: an array that shares memory with nothing."""
        aval = self.avals[number]
        if aval.parts:
            # Several arrays, which another plan of the same program takes.
            return self.arrays[number]
        if aval.weak:
            return self.scalars[number] if number in self.scalars else f"{self.arrays[number]}.item()"
        if number not in self.arrays:
            shape = f", ndmin={aval.ndim}" if aval.ndim else ""
            dtype = "" if aval.dtype == FLOAT64 else f", {aval.dtype.name!r}"
            return f"{self.use('array')}({self.scalar(number)}{dtype}{shape})"
        # Itself if it is new, and so may be a view of all that is.
        root = self.roots[number]
        fresh = self.program.signatures[root] is not None and self.arrays.get(root) == f"v{root}"
        if fresh and root not in self._returned and aval.ndim and self.avals[root].size == aval.size:
            self._returned.add(root)
            return self.arrays[number]
        self._copied += nbytes(aval)
        return f"{self.use('array')}({self.arrays[number]})"

    def results(self) -> list[str]:
        """The texts of all outputs."""
        self._returned: set[int] = set()
        self._copied = 0
        return [self.result(number) for number in self.program.outputs]

    @property
    def peak_bytes(self) -> int:
        """What a call holds at most: buffers, arrays that are made by it and are there until its end, and results."""
        made = [
            nbytes(signature.out)
            for number, signature, _ in self.applications
            if self.arrays.get(number) == f"v{number}" and (self.roots[number] == number or self._is_copied(number))
        ]
        alone = [item for item in self.schedule if not isinstance(item, Group)]
        beside = max([working(signature) for number, signature, _ in alone if number not in self.is_scalar], default=0)
        return self.storage.nbytes + sum(made) + self._copied + max(self.scratch, beside)

    def _is_copied(self, number: int) -> bool:
        """Whether a view is none: a reshape of what is no run of elements."""
        return self.program.is_primitive(number, RESHAPE) and not self.contiguous(self.program.arguments[number][0])
