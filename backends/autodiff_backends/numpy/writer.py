"""The statements of a plan, value by value, in order."""

from __future__ import annotations

from autodiff.background import check
from autodiff.core.primitives import Signature

from .blocks import Group
from .groups import write_group
from .lapack import ROUTINES
from .primitives import WRITERS
from .values import FLOAT64, LONGEST_DOT, SCALAR, SCALAR_SAME, SCALAR_TRUTH, Values, number_text


class Writer(Values):
    """Generates the body of a plan, value by value."""

    def write(self) -> None:
        """Generate all statements."""
        for place, item in enumerate(self.schedule):
            check()
            if isinstance(item, Group):
                write_group(self, item, place)
                self.release(self.dying(place, item.members))
            else:
                self._write_one(place, item)

    def _write_one(self, place: int, number: int) -> None:
        signature = self.program.signatures[number]
        assert signature is not None
        arguments = self.program.arguments[number]
        dying = self.dying(place, [number])
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
        sine, cosine = pair if signature.primitive.name == "sin" else pair[::-1]
        words = [self.array(arguments[0]), self.owned(sine), self.owned(cosine)]
        self.lines.append(f"{self.helper('sine_cosine')}({', '.join(words)})")

    def _overwritable(self, signature: Signature, arguments: tuple[int, ...], dying: set[int]) -> set[int]:
        """Operands whose buffer the result may take: all of an elementwise one's, the base of a write's."""
        if signature.primitive.name == "tanh_slope":
            # It may look at its second operand once more.
            return dying - {self.roots[arguments[1]]}
        if signature.primitive.kind == "elementwise":
            return dying if signature.primitive.in_place else set()
        if signature.primitive.name in ("index_add", "index_set"):
            base = self.roots[arguments[0]]
            return dying & {base} if base not in {self.roots[a] for a in arguments[1:]} else set()
        return set()

    def dying(self, place: int, numbers: list[int]) -> set[int]:
        """Values in buffers that nobody looks into after this place."""
        roots = {self.roots[a] for number in numbers for a in self.program.arguments[number]}
        return {root for root in roots if self.last_use.get(root) == place and root in self.buffer_of}

    def release(self, roots: set[int]) -> None:
        """Give buffers back."""
        for root in roots:
            self.storage.give(self.buffer_of.pop(root))

    def _write_scalar(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        name = signature.primitive.name
        target = f"s{number}"
        if name in SCALAR_SAME and all(self._scalar_like(a) for a in arguments):
            word = self.scalar(arguments[0])
            self.scalars[number] = target if name == "sum" else word
            if name == "sum":
                self.lines.append(f"{target} = {word} + 0.0")
            return
        if name in SCALAR:
            words = [self._number(name, place, a, arguments) for place, a in enumerate(arguments)]
            self.raises = True
            self.lines.append(f"{target} = {SCALAR[name].format(*words)}")
        elif name == "matmul":
            left, right = (self.array(a) for a in arguments)
            call = self.use("dot") if self.dottable(arguments) else self.use("matmul")
            self.lines.append(f"{target} = {call}({left}, {right}).item()")
        elif name == "inner_product":
            left, right = (self.array(a) for a in arguments)
            self.lines.append(f"{target} = {self.inner(arguments[0], left, right)}.item()")
        else:
            self.lines.append(f"{target} = {self._full_sum(arguments[0])}.item()")
        self.scalars[number] = target

    def _number(self, name: str, place: int, argument: int, arguments: tuple[int, ...]) -> str:
        """An operand of Python's arithmetic: a float, unless only truth values or only integers are compared."""
        word = self.scalar(argument)
        kinds = {self.avals[a].dtype.kind for a in arguments}
        if name == "where":
            kept = not place or "f" not in {self.avals[a].dtype.kind for a in arguments[1:]}
        else:
            kept = name in SCALAR_TRUTH and "f" not in kinds
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
        name = signature.primitive.name
        writer = WRITERS.get(name)
        if writer is not None:
            writer(self, number, signature, arguments)
        elif signature.primitive.numpy_ufunc is not None:
            self.write_ufunc(number, name, arguments)
        else:
            self._write_meaning(number, signature, arguments)

    def _write_meaning(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        """A call of what the primitive's card says, or of what NumPy has beyond that."""
        name = signature.primitive.name
        words = [self.array(a) if self.avals[a].spec is None else self.arrays[a] for a in arguments]
        words += [f"{key}={self.static(value)}" for key, value in signature.meaning_keywords.items()]
        if name in ROUTINES:
            function = self.use(ROUTINES[name].__name__, ROUTINES[name].__module__)
        else:
            function, words = self.meaning(name), ["numpy", *words]
        self.emit(number, f"{function}({', '.join(words)}", out=False)

    def result(self, number: int) -> str:
        """The text of an output: an array that shares memory with nothing."""
        aval = self.avals[number]
        if aval.weak:
            return self.scalars[number] if number in self.scalars else f"{self.arrays[number]}.item()"
        if number not in self.arrays:
            shape = f", ndmin={aval.ndim}" if aval.ndim else ""
            dtype = "" if aval.dtype == FLOAT64 else f", {aval.dtype.name!r}"
            return f"{self.use('array')}({self.scalar(number)}{dtype}{shape})"
        signature = self.program.signatures[number]
        fresh = signature is not None and self.roots[number] == number and self.arrays[number] == f"v{number}"
        if fresh and number not in self._returned and aval.ndim:
            self._returned.add(number)
            return self.arrays[number]
        return f"{self.use('array')}({self.arrays[number]})"

    def results(self) -> list[str]:
        """The texts of all outputs."""
        self._returned: set[int] = set()
        return [self.result(number) for number in self.program.outputs]
