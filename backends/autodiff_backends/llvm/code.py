"""LLVM's text: instructions of one function, and the module that functions, loops and addresses of others stand in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from .values import BOOL, INT64, DType, Value, constant, in_memory, type_of

# What marks a load of something that nobody writes to while the function runs.
INVARIANT = "!invariant.load !0"


class Module:
    """What is compiled as a whole.

    Parameters
    ----------
    has_fma : bool
        Whether the processor multiplies and adds in one instruction.
    vector_bytes : int
        Of its vectors.

    Attributes
    ----------
    imports : list of str
        The names of what the module takes from the process, by place: it reads the addresses from ``@imports``, which
        are filled in when the machine code is loaded. So the code depends on no process, and needs no linker.
    """

    def __init__(self, has_fma: bool = True, vector_bytes: int = 16):
        self.has_fma = has_fma
        self.vector_bytes = vector_bytes
        self.imports: list[str] = []
        self._functions: dict[str, str] = {}
        self._results: dict[str, DType] = {}
        self._shared: dict[Hashable, str] = {}
        self._declared: dict[str, None] = {}
        # The first is what invariant loads refer to.
        self._metadata = ["!{}"]

    def metadata(self, text: str) -> str:
        """A node of metadata; ``self`` in the text is the node."""
        name = f"!{len(self._metadata)}"
        self._metadata.append(text.replace("self", name))
        return name

    def declare(self, text: str) -> None:
        """Declare a function of LLVM's own."""
        self._declared[text] = None

    def define(self, name: str, make: Callable[[str], tuple[str, DType]]) -> DType:
        """Have a function of a name, made when it is first asked for; what it gives."""
        if name not in self._functions:
            text, self._results[name] = make(name)
            self._functions[name] = text
        return self._results[name]

    def shared(self, key: Hashable, write: Callable[[], str]) -> str:
        """The name of a function that is written once for a key; its text has ``@NAME``."""
        name = self._shared.get(key)
        if name is None:
            name = self._shared[key] = f"nest{len(self._shared)}"
            self._functions[name] = write().replace("@NAME", f"@{name}", 1)
        return name

    def place_of(self, name: str) -> int:
        """The place among the imports of a name."""
        if name not in self.imports:
            self.imports.append(name)
        return self.imports.index(name)

    def text(self) -> str:
        """The module."""
        count = max(len(self.imports), 1)
        # Texts are told apart by what they import, too: a call has an address only, and no name.
        parts = [f"; {' '.join(self.imports)}", f"@imports = global [{count} x ptr] zeroinitializer, align 64"]
        parts += self._functions.values()
        parts += self._declared
        parts += [f"!{i} = {node}" for i, node in enumerate(self._metadata)]
        return "\n".join([*parts, ""])


class Code:
    """Instructions of a function, one after another.

    Parameters
    ----------
    module : Module
    numbers : iterator of int, optional
        What names are made of, where several are parts of one function.

    Attributes
    ----------
    lines : list of str
    prologue : list of str
        What stands at the very begin of the function: its variables.
    accessed : str
        What follows loads and stores of array elements: the loop they belong to.
    inlined : bool
        Whether functions are put where they are called, to be vectorised with the loop.
    exact : bool
        Whether functions are for all numbers, not only for a usual range.
    computes : bool
        Whether there are functions in it that are put where they are called: what takes time is not memory then.
    outside : str
        The address of a variable that says whether one was out of that range; where there is none, none is.
    """

    def __init__(self, module: Module, numbers: Iterator[int] | None = None):
        self.module = module
        self._numbers = itertools.count() if numbers is None else numbers
        self.lines: list[str] = []
        self.prologue: list[str] = []
        self.accessed = ""
        self.inlined = False
        self.exact = True
        self.outside = ""
        self.computes = False

    @property
    def has_fma(self) -> bool:
        """Whether the processor multiplies and adds in one instruction."""
        return self.module.has_fma

    def name(self, prefix: str = "v") -> str:
        """A name that is not in use."""
        return f"{prefix}{next(self._numbers)}"

    def emit(self, text: str) -> str:
        """An instruction; how its result is called."""
        name = f"%{self.name()}"
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append(f"  {text}")

    def label(self, name: str) -> None:
        """Begin a block."""
        self.lines.append(f"{name}:")

    def jump(self, name: str) -> None:
        """Go on there."""
        self.do(f"br label %{name}")

    def branch(self, condition: Value, yes: str, no: str, suffix: str = "") -> None:
        """Go on at one of two blocks."""
        self.do(f"br i1 {condition.text}, label %{yes}, label %{no}{suffix}")

    def copy(self, source: str, target: str, dtype: DType, size: int) -> None:
        """Copy elements that are one after another."""
        if size:
            self.module.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
            align, nbytes = f"align {dtype.itemsize}", size * dtype.itemsize
            self.do(
                f"call void @llvm.memcpy.p0.p0.i64(ptr {align} {target}, ptr {align} {source}, i64 {nbytes}, i1 false)"
            )

    # --- values ------------------------------------------------------------------------------------------------------

    def constant(self, value: Any, dtype: DType) -> Value:
        """A number of the source."""
        return constant(self, value, dtype)

    def integer(self, value: int) -> Value:
        """An index or a count."""
        return Value(self, INT64, str(value))

    def intrinsic(self, name: str, *operands: Value) -> Value:
        """What LLVM has a function for, which it makes vectors of."""
        dtype = operands[0].dtype
        kind = type_of(dtype)
        short = f"f{8 * dtype.itemsize}" if dtype.kind == "f" else kind
        self.module.declare(f"declare {kind} @llvm.{name}.{short}({', '.join([kind] * len(operands))})")
        return Value(
            self, dtype, self.emit(f"call {kind} @llvm.{name}.{short}({', '.join(x.typed for x in operands)})")
        )

    def imported(self, name: str) -> str:
        """The address of something of the process."""
        place = self.module.place_of(name)
        return self.emit(f"load ptr, ptr getelementptr (ptr, ptr @imports, i64 {place}), align 8, {INVARIANT}")

    def library(self, name: str, *operands: Value) -> Value:
        """The C library's function, for one element; that of single precision has another name."""
        dtype = operands[0].dtype
        address = self.imported(f"libm.{name}" + ("f" if dtype == np.float32 else ""))
        arguments = ", ".join(x.typed for x in operands)
        return Value(self, dtype, self.emit(f"call {type_of(dtype)} {address}({arguments}) #1"))

    # --- memory ------------------------------------------------------------------------------------------------------

    def variable(self, dtype: DType) -> str:
        """The address of a variable of the function."""
        name = f"%{self.name('a')}"
        self.prologue.append(f"  {name} = alloca {type_of(dtype)}")
        return name

    def get(self, address: str, dtype: DType) -> Value:
        """What a variable holds."""
        return Value(self, dtype, self.emit(f"load {type_of(dtype)}, ptr {address}"))

    def set(self, address: str, value: Value) -> None:
        """Give a variable a value."""
        self.do(f"store {value.typed}, ptr {address}")

    def element(self, address: str, dtype: DType) -> Value:
        """An element of an array."""
        kind = in_memory(dtype)
        name = self.emit(f"load {kind}, ptr {address}, align {dtype.itemsize}{self.accessed}")
        if dtype == BOOL:
            name = self.emit(f"icmp ne i8 {name}, 0")
        return Value(self, dtype, name)

    def store(self, address: str, value: Value) -> None:
        """Write an element of an array."""
        text = value.typed
        if value.dtype == BOOL:
            text = f"i8 {self.emit(f'zext i1 {value.text} to i8')}"
        self.do(f"store {text}, ptr {address}, align {value.dtype.itemsize}{self.accessed}")

    def note(self, outside: Value) -> None:
        """Remember that a number was out of the usual range of a function, if it was."""
        self.set(self.outside, self.get(self.outside, BOOL) | outside)

    def offset(self, address: str, dtype: DType, index: Value) -> str:
        """The address of an element after another."""
        if index.text == "0":
            return address
        return self.emit(f"getelementptr inbounds {in_memory(dtype)}, ptr {address}, i64 {index.text}")

    # --- calls -------------------------------------------------------------------------------------------------------

    def function(self, name: str, make: Callable[..., Value], *operands: Value) -> Value:
        """A function of the module, which ``make`` writes of values: one text for all places that call it."""
        kinds = [type_of(x.dtype) for x in operands]
        full = f"{name}.{'.'.join(kinds)}"
        dtypes = [x.dtype for x in operands]

        def define(own: str) -> tuple[str, DType]:
            code = Code(self.module)
            code.inlined = True
            parameters = [Value(code, dtype, f"%x{i}") for i, dtype in enumerate(dtypes)]
            result = make(*parameters)
            code.do(f"ret {result.typed}")
            heads = ", ".join(x.typed for x in parameters)
            return code.definition(f"internal {type_of(result.dtype)} @{own}({heads}) #2"), result.dtype

        dtype = self.module.define(full, define)
        arguments = ", ".join(x.typed for x in operands)
        how = "#3" if self.inlined else "#4"
        self.computes = self.computes or self.inlined
        return Value(self, dtype, self.emit(f"call {type_of(dtype)} @{full}({arguments}) {how}"))

    def definition(self, head: str) -> str:
        """The function that these are the instructions of."""
        return "\n".join([f"define {head} {{", *self.prologue, *self.lines, "}"])


def attributes(vector_bytes: int) -> str:
    """What functions and calls refer to by number.

    LLVM takes half of 64 bytes for vectors. That is right for loops that wait for memory, since arrays are aligned to
    16 bytes and each whole vector is on two lines; exp and log need 1.4 to 1.7 times as long with it.
    """
    whole = f'"prefer-vector-width"="{8 * vector_bytes}"'
    return f"""attributes #0 = {{ nounwind }}
attributes #1 = {{ nounwind willreturn memory(none) }}
attributes #2 = {{ nounwind willreturn memory(none) }}
attributes #3 = {{ alwaysinline }}
attributes #4 = {{ noinline }}
attributes #5 = {{ nounwind noinline }}
attributes #6 = {{ nounwind {whole} }}
attributes #7 = {{ nounwind noinline {whole} }}
"""


# Numbers of elements that LLVM would handle as one vector of which some are masked: what it computes for these raises
# flags, as 0 / 0 does. Where it does not know the number it makes vectors and a rest.
MASKED = {str(n) for n in range(3, 16) if n & (n - 1)}


def unknown(count: Value) -> Value:
    """A number of which LLVM knows nothing."""
    return Value(count.code, INT64, count.code.emit(f'call i64 asm "", "=r,0"({count.typed})'))


def loop(
    code: Code,
    count: Value,
    body: Callable[[Value], Any],
    innermost: bool = False,
    guarded: bool = False,
) -> None:
    """``for i in range(count): body(i)``; the count is at least 1, unless it is ``guarded``.

    The elements that an innermost loop reads and writes depend on no other iteration, and LLVM is told so.
    """
    before, head, after = code.name("begin"), code.name("loop"), code.name("end")
    if innermost and count.text in MASKED:
        count = unknown(count)
    if guarded:
        code.branch(count > 0, before, after)
    else:
        code.jump(before)
    code.label(before)
    code.jump(head)
    code.label(head)
    index = f"%{code.name('i')}"
    following = f"%{code.name('n')}"
    place = len(code.lines)
    code.lines.append("")
    outside = code.accessed
    suffix = ""
    if innermost:
        group = code.module.metadata("distinct !{}")
        parallel = code.module.metadata(f'!{{!"llvm.loop.parallel_accesses", {group}}}')
        suffix = f", !llvm.loop {code.module.metadata(f'distinct !{{self, {parallel}}}')}"
        code.accessed = f", !llvm.access.group {group}"
    body(Value(code, INT64, index))
    code.accessed = outside
    latch = code.name("latch")
    code.jump(latch)
    code.label(latch)
    code.lines[place] = f"  {index} = phi i64 [ 0, %{before} ], [ {following}, %{latch} ]"
    code.do(f"{following} = add nuw nsw i64 {index}, 1")
    code.branch(Value(code, INT64, following) < count, head, after, suffix)
    code.label(after)


def joined(code: Code, values: Sequence[Value]) -> Value:
    """Whether all of some conditions hold."""
    result = values[0]
    for value in values[1:]:
        result = result & value
    return result
