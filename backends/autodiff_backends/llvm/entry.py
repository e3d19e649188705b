"""The function of a kernel that Python calls: what it takes is checked, and what it gives is made, without Python.

It is a builtin of CPython (``METH_FASTCALL``): ``(self, args, nargs)``. Its ``self`` is a tuple: a function that makes
irregular arguments regular, the machine code, the table, what tells of floating point, and the arrays that are
constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from autodiff.core.avals import Aval

from .code import Code, joined, loop
from .layout import LAYOUT, REGULAR
from .source import STAGE, KernelText
from .told import mask
from .values import BOOL, FLOAT64, INT32, INT64, DType, Value

# Where the tuple has what; constants follow.
REGULARISED, MACHINE_CODE, TABLE, TOLD, CONSTANTS = range(5)

# Workspaces of more bytes are not on the stack: those of threads are small.
LARGEST_ON_STACK = 1 << 14

# Estimated nanoseconds from which other threads of Python may run meanwhile: letting go of the lock takes 50.
SHORTEST_UNLOCKED = 20_000

WRONG_ARGUMENTS = "a kernel was called with other arguments than it is compiled for"


def direct(text: KernelText) -> None:
    """An entry that knows nothing of Python, for ``ctypes``: the numbers of a stage, and the addresses of the table
    and of all arrays."""
    code = Code(text.module)

    def loaded(array: str, kind: str, place: int) -> str:
        address = code.emit(f"getelementptr {kind}, ptr {array}, i64 {place}")
        return f"{kind} {code.emit(f'load {kind}, ptr {address}')}"

    found = {name: loaded("%pointers", "ptr", 1 + i) for i, name in enumerate(text.parameters)}
    for kind, count in many_arrays(text).items():
        many = code.emit(f"alloca ptr, i64 {count}")
        for name in [name for name in text.parameters if name[0] == kind]:
            place = code.emit(f"getelementptr ptr, ptr {many}, i64 {name[1:]}")
            code.do(f"store {found[name]}, ptr {place}")
        found[kind] = f"ptr {many}"
    stage = [loaded("%numbers", "i64", i) for i in range(len(STAGE))] if text.is_staged else []
    arguments = [loaded("%pointers", "ptr", 0), *stage, *[found[name] for name in text.passed]]
    # (Not inlined: what it reads of arrays of pointers is invariant in it, and not before.)
    code.do(f"call void @kernel({', '.join(arguments)}) #5")
    code.do("ret void")
    text.module.define(
        "entry", lambda _: (code.definition(f"void @entry(ptr %numbers, ptr %pointers) {text.attributes}"), INT64)
    )


def many_arrays(text: KernelText) -> dict[str, int]:
    """Those that are one array of pointers, and how many they are."""
    inputs, outputs = len(text.lowering.inputs), len(text.lowering.outputs)
    found = {"x": (text.has_many_inputs, inputs), "o": (text.has_many_outputs, outputs)}
    return {kind: count for kind, (is_many, count) in found.items() if is_many}


class Argument(NamedTuple):
    """What an entry takes: an array of a dtype and a shape, or a number of Python if there is no shape."""

    dtype: DType
    shape: tuple[int, ...] | None


class Entry:
    """The text of an entry.

    Parameters
    ----------
    text : KernelText
    arguments : sequence of Argument or None
        For each that it is called with what it is; None for one that is not looked at.
    """

    def __init__(self, text: KernelText, arguments: Sequence[Argument | None]):
        self._text = text
        self._module = text.module
        self._arguments = arguments
        self._code = Code(text.module)
        self._pointers: dict[int, str] = {}
        self._checked()

    # --- calls of Python ---------------------------------------------------------------------------------------------

    def _call(self, function: str, result: str, *arguments: str) -> str:
        address = self._code.imported(function)
        call = f"call {result} {address}({', '.join(arguments)})"
        if result == "void":
            self._code.do(call)
            return ""
        return self._code.emit(call)

    def _field(self, address: str, offset: int, kind: str) -> str:
        place = self._code.emit(f"getelementptr i8, ptr {address}, i64 {offset}")
        return self._code.emit(f"load {kind}, ptr {place}")

    def _argument(self, i: int) -> str:
        if i not in self._pointers:
            self._pointers[i] = self._field("%args", 8 * i, "ptr")
        return self._pointers[i]

    def _same(self, one: str, other: str, kind: str = "ptr") -> Value:
        return Value(self._code, BOOL, self._code.emit(f"icmp eq {kind} {one}, {other}"))

    def _require(self, conditions: Sequence[Value], otherwise: str = "irregular") -> None:
        if conditions:
            following = self._code.name("checked")
            self._code.branch(joined(self._code, conditions), following, otherwise)
            self._code.label(following)

    # --- arguments ---------------------------------------------------------------------------------------------------

    def _checked(self) -> None:
        """That arguments are what the kernel is compiled for; else they are made so, once."""
        code = self._code
        count = 1 + max([i for i, a in enumerate(self._arguments) if a is not None], default=-1)
        self._require([Value(code, INT64, "%nargs") >= count])
        arrays = [(i, a) for i, a in enumerate(self._arguments) if a is not None and a.shape is not None]
        if self._text.has_many_inputs and not self._text.is_staged:
            self._check_many(arrays)
        else:
            self._check(arrays)

    def _check_many(self, arrays: Sequence[tuple[int, Argument]]) -> None:
        """A loop over rows of the table: argument, place of the dtype among the imports, sizes."""
        code = self._code
        most = max([len(a.shape or ()) for _, a in arrays], default=0)
        rows = []
        for i, (dtype, shape) in arrays:
            sizes = shape or ()
            place = self._module.place_of(f"dtype.{dtype.char}")
            rows.append([i, place, len(sizes), *sizes, *[0] * (most - len(sizes))])
        if not rows:
            return
        count, start = self._text.table.rows(rows)
        table = self._held(TABLE)
        ndarray = code.imported("type.ndarray")
        first = Value(code, INT64, self._entry(table, start))

        def check(k: Value) -> None:
            row = first + k * (3 + most)
            array = self._indexed("%args", "ptr", self._at(table, row))
            self._require([self._same(self._field(array, LAYOUT.type, "ptr"), ndarray)])
            ndim = Value(code, INT64, self._at(table, row + 2))
            found = code.emit(f"sext i32 {self._field(array, LAYOUT.ndim, 'i32')} to i64")
            flags = code.emit(f"and i32 {self._field(array, LAYOUT.flags, 'i32')}, {REGULAR}")
            dtype = self._indexed("@imports", "ptr", self._at(table, row + 1))
            self._require(
                [
                    self._same(self._field(array, LAYOUT.dtype, "ptr"), dtype),
                    self._same(found, ndim.text, "i64"),
                    self._same(flags, str(REGULAR), "i32"),
                ]
            )
            sizes = self._field(array, LAYOUT.shape, "ptr")

            def check_size(axis: Value) -> None:
                size = self._indexed(sizes, "i64", axis.text)
                self._require([self._same(size, self._at(table, row + 3 + axis), "i64")])

            loop(code, ndim, check_size, guarded=True)

        loop(code, Value(code, INT64, self._entry(table, count)), check)

    def _indexed(self, address: str, kind: str, index: str) -> str:
        """An element of an array of pointers or sizes."""
        return self._code.emit(f"load {kind}, ptr {self._place(address, kind, index)}")

    def _place(self, address: str, kind: str, index: str) -> str:
        return self._code.emit(f"getelementptr {kind}, ptr {address}, i64 {index}")

    def _at(self, table: str, place: Value) -> str:
        """A number of the table, at a place that is computed."""
        return self._code.emit(f"zext i32 {self._indexed(table, 'i32', place.text)} to i64")

    def _check(self, arrays: Sequence[tuple[int, Argument]]) -> None:
        """One array after another."""
        code = self._code
        if arrays:
            ndarray = code.imported("type.ndarray")
            self._require([self._same(self._field(self._argument(i), LAYOUT.type, "ptr"), ndarray) for i, _ in arrays])
        conditions = []
        dtypes = {dtype: code.imported(f"dtype.{dtype.char}") for dtype in dict.fromkeys(a.dtype for _, a in arrays)}
        for i, (dtype, shape) in arrays:
            array = self._argument(i)
            conditions.append(self._same(self._field(array, LAYOUT.dtype, "ptr"), dtypes[dtype]))
            conditions.append(self._same(self._field(array, LAYOUT.ndim, "i32"), str(len(shape or ())), "i32"))
            flags = code.emit(f"and i32 {self._field(array, LAYOUT.flags, 'i32')}, {REGULAR}")
            conditions.append(self._same(flags, str(REGULAR), "i32"))
        self._require(conditions)
        conditions = []
        for i, (_, shape) in arrays:
            if shape:
                sizes = self._field(self._argument(i), LAYOUT.shape, "ptr")
                conditions += [self._same(self._field(sizes, 8 * k, "i64"), str(n), "i64") for k, n in enumerate(shape)]
        self._require(conditions)

    def _number(self, i: int, dtype: DType) -> Value:
        """A number of Python; the call fails with Python's error if it is none of this kind."""
        code = self._code
        argument = f"ptr {self._argument(i)}"
        if dtype == BOOL:
            found = Value(code, INT32, self._call("python.PyObject_IsTrue", "i32", argument))
        elif dtype.kind == "f":
            found = Value(code, FLOAT64, self._call("python.PyFloat_AsDouble", "double", argument))
        else:
            name = "Unsigned" if dtype.kind == "u" else ""
            found = Value(code, INT64, self._call(f"python.PyLong_As{name}LongLong", "i64", argument))
        suspicious, good = code.name("suspicious"), code.name("number")
        code.branch(found == -1, suspicious, good)
        code.label(suspicious)
        code.branch(self._same(self._call("python.PyErr_Occurred", "ptr"), "null"), good, "failed")
        code.label(good)
        return found.cast(dtype)

    def _data(self, i: int) -> str:
        return self._field(self._argument(i), LAYOUT.data, "ptr")

    def _held(self, place: int) -> str:
        """The elements of an array that the entry's tuple has."""
        array = self._field("%self", LAYOUT.items + 8 * place, "ptr")
        return self._field(array, LAYOUT.data, "ptr")

    # --- the whole program -------------------------------------------------------------------------------------------

    def plan(self) -> None:
        """An entry that gives a tuple of new arrays, and numbers of Python."""
        text, code = self._text, self._code
        schedule, program = text.schedule, text.lowering.program
        outputs = [program.avals[n] for n in program.outputs]
        unpacked: dict[str, str] = {}
        stored = []
        for place, dtype in enumerate(schedule.dtypes):
            for i, number in enumerate(schedule.scalars.get(dtype, ())):
                stored.append((f"w{place}", i, self._number(number, dtype)))
        # The tuple has the results as soon as they are made, and gives them back if something fails.
        results = self._call("python.PyTuple_New", "ptr", f"i64 {len(outputs)}")
        self._require([~self._same(results, "null")], "failed")
        table = self._held(TABLE)
        many = text.has_many_outputs
        if many:
            unpacked["o"] = code.emit(f"alloca ptr, i64 {self._entry(table, text.table.entry(len(outputs)))}")
            self._new_arrays(table, results, unpacked["o"], outputs)
        for i, aval in enumerate(outputs):
            if aval.weak:
                unpacked[f"o{i}"] = code.variable(aval.dtype if aval.dtype != BOOL else INT32)
                if many:
                    code.do(f"store ptr {unpacked[f'o{i}']}, ptr {self._place(unpacked['o'], 'ptr', str(i))}")
            elif not many:
                unpacked[f"o{i}"] = self._given(results, str(i), self._new_array(aval.dtype, aval.shape))
        memory = self._workspaces(table, unpacked)
        for name, i, value in stored:
            code.store(code.offset(unpacked[name], value.dtype, code.integer(i)), value)
        self._inputs(unpacked)
        unlocked = text.nanoseconds >= SHORTEST_UNLOCKED
        state = self._call("python.PyEval_SaveThread", "ptr") if unlocked else ""
        flags = self._kernel([f"ptr {table}", *[f"ptr {unpacked[p]}" for p in text.passed]])
        if unlocked:
            self._call("python.PyEval_RestoreThread", "void", f"ptr {state}")
        if memory:
            self._call("python.PyMem_RawFree", "void", f"ptr {memory}")
        for i, aval in enumerate(outputs):
            if aval.weak:
                made = self._python_number(code.element(unpacked[f"o{i}"], aval.dtype))
                self._require([~self._same(made, "null")], "dropped")
                self._call("python.PyTuple_SetItem", "i32", f"ptr {results}", f"i64 {i}", f"ptr {made}")
        if flags is not None:
            code.branch(flags == 0, "silent", "noted")
            code.label("noted")
            told = self._field("%self", LAYOUT.items + 8 * TOLD, "ptr")
            said = self._call("python.PyObject_Vectorcall", "ptr", f"ptr {told}", "ptr %args", "i64 %nargs", "ptr null")
            self._require([~self._same(said, "null")], "dropped")
            self._call("python.Py_DecRef", "void", f"ptr {said}")
            code.jump("silent")
            code.label("silent")
        code.do(f"ret ptr {results}")
        code.label("exhausted")
        self._call("python.PyErr_NoMemory", "ptr")
        code.jump("dropped")
        code.label("dropped")
        self._call("python.Py_DecRef", "void", f"ptr {results}")
        code.jump("failed")
        self._finish()

    def _kernel(self, arguments: Sequence[str]) -> Value | None:
        """A call of the kernel; the flags that it has raised, None if nobody looks at them."""
        code = self._code
        looked = mask(self._text.lowering.program.quiet)
        # (Not inlined: no instruction is to come after the look at the flags, nor one before pointers are stored.)
        call = f"call void @kernel({', '.join(arguments)}) #5"
        if not looked:
            code.do(call)
            return None
        clear, raised = code.name("clear"), code.name("raised")
        before = Value(code, INT32, self._call("libm.fetestexcept", "i32", f"i32 {looked}"))
        # Looking at them takes 2 ns, putting them down 20.
        code.branch(before == 0, clear, raised)
        code.label(raised)
        self._call("libm.feclearexcept", "i32", f"i32 {looked}")
        code.jump(clear)
        code.label(clear)
        code.do(call)
        return Value(code, INT32, self._call("libm.fetestexcept", "i32", f"i32 {looked}"))

    def _inputs(self, unpacked: dict[str, str]) -> None:
        """Where the elements of the kernel's inputs are: arguments, and constants."""
        text = self._text
        if text.has_many_inputs:
            unpacked["x"] = self._pointers_of_many()
            return
        held = {number: CONSTANTS + i for i, number in enumerate(text.constants)}
        for place, number in text.inputs.items():
            unpacked[f"x{place}"] = self._held(held[number]) if number in held else self._data(number)

    def _pointers_of_many(self) -> str:
        """An array of the addresses of all inputs, filled by a loop over rows of the table."""
        text, code = self._text, self._code
        held = {number: CONSTANTS + i for i, number in enumerate(text.constants)}
        rows = [[place, int(n in held), held.get(n, n)] for place, n in text.inputs.items()]
        table = self._held(TABLE)
        size = self._entry(table, text.table.entry(len(text.lowering.inputs)))
        pointers = code.emit(f"alloca ptr, i64 {size}")
        if not rows:
            return pointers
        count, start = text.table.rows(rows)
        first = Value(code, INT64, self._entry(table, start))
        own = code.emit(f"getelementptr i8, ptr %self, i64 {LAYOUT.items}")

        def fill(k: Value) -> None:
            row = first + k * 3
            is_held = code.emit(f"icmp ne i64 {self._at(table, row + 1)}, 0")
            objects = code.emit(f"select i1 {is_held}, ptr {own}, ptr %args")
            array = self._indexed(objects, "ptr", self._at(table, row + 2))
            target = self._place(pointers, "ptr", self._at(table, row))
            code.do(f"store ptr {self._field(array, LAYOUT.data, 'ptr')}, ptr {target}")

        loop(code, Value(code, INT64, self._entry(table, count)), fill)
        return pointers

    def _workspaces(self, table: str, unpacked: dict[str, str]) -> str:
        """Places for workspaces, one after another; the memory, if it is to be given back."""
        text, code = self._text, self._code
        if not text.workspaces:
            return ""
        made = ""
        if text.workspace_bytes <= LARGEST_ON_STACK:
            memory = f"%{code.name('a')}"
            code.prologue.append(f"  {memory} = alloca [{LARGEST_ON_STACK} x i8], align 64")
        else:
            size = self._entry(table, text.workspace_size)
            memory = made = self._call("python.PyMem_RawMalloc", "ptr", f"i64 {size}")
            self._require([~self._same(memory, "null")], "exhausted")
        for name, entry in text.workspaces.items():
            unpacked[name] = code.emit(f"getelementptr i8, ptr {memory}, i64 {self._entry(table, entry)}")
        return made

    def _entry(self, table: str, place: int) -> str:
        """A number of the table."""
        return self._code.emit(f"zext i32 {self._field(table, 4 * place, 'i32')} to i64")

    def _new_array(self, dtype: DType, shape: tuple[int, ...]) -> str:
        code = self._code
        sizes = "null"
        if shape:
            sizes = f"@shape.{'.'.join(map(str, shape))}"
            content = ", ".join(f"i64 {n}" for n in shape)
            self._module.define(
                sizes[1:], lambda _: (f"{sizes} = internal constant [{len(shape)} x i64] [ {content} ]", INT64)
            )
        return self._made_array(code.imported(f"dtype.{dtype.char}"), str(len(shape)), sizes)

    def _given(self, results: str, place: str, array: str) -> str:
        """Put a new array into the tuple of results; where its elements are."""
        self._require([~self._same(array, "null")], "dropped")
        self._call("python.PyTuple_SetItem", "i32", f"ptr {results}", f"i64 {place}", f"ptr {array}")
        return self._field(array, LAYOUT.data, "ptr")

    def _new_arrays(self, table: str, results: str, pointers: str, outputs: Sequence[Aval]) -> None:
        """Many results, by a loop over rows of the table: place, that of the dtype among the imports, sizes."""
        code = self._code
        arrays = [(i, aval.dtype, aval.shape) for i, aval in enumerate(outputs) if not aval.weak]
        most = max([len(shape) for _, _, shape in arrays], default=0)
        rows = [
            [i, self._module.place_of(f"dtype.{dtype.char}"), len(shape), *shape, *[0] * (most - len(shape))]
            for i, dtype, shape in arrays
        ]
        if not rows:
            return
        count, start = self._text.table.rows(rows)
        first = Value(code, INT64, self._entry(table, start))
        sizes = code.emit(f"alloca i64, i64 {max(most, 1)}")

        def make(k: Value) -> None:
            row = first + k * (3 + most)
            place = self._at(table, row)
            ndim = Value(code, INT64, self._at(table, row + 2))

            def set_size(axis: Value) -> None:
                code.do(f"store i64 {self._at(table, row + 3 + axis)}, ptr {self._place(sizes, 'i64', axis.text)}")

            loop(code, ndim, set_size, guarded=True)
            described = self._indexed("@imports", "ptr", self._at(table, row + 1))
            array = self._made_array(described, code.emit(f"trunc i64 {ndim.text} to i32"), sizes)
            elements = self._given(results, place, array)
            code.do(f"store ptr {elements}, ptr {self._place(pointers, 'ptr', place)}")

        loop(code, Value(code, INT64, self._entry(table, count)), make)

    def _made_array(self, described: str, ndim: str, sizes: str) -> str:
        # The new array has a reference to its dtype.
        self._call("python.Py_IncRef", "void", f"ptr {described}")
        arguments = [f"ptr {self._code.imported('type.ndarray')}", f"ptr {described}", f"i32 {ndim}", f"ptr {sizes}"]
        return self._call("numpy.PyArray_NewFromDescr", "ptr", *arguments, "ptr null", "ptr null", "i32 0", "ptr null")

    def _python_number(self, value: Value) -> str:
        if value.dtype.kind == "f":
            return self._call("python.PyFloat_FromDouble", "ptr", value.cast(FLOAT64).typed)
        if value.dtype == BOOL:
            return self._call("python.PyBool_FromLong", "ptr", value.cast(INT64).typed)
        name = "Unsigned" if value.dtype.kind == "u" else ""
        return self._call(f"python.PyLong_From{name}LongLong", "ptr", value.cast(INT64).typed)

    # --- a part of a program -----------------------------------------------------------------------------------------

    def part(self) -> None:
        """An entry that makes one part of a stage: the numbers of both, begin and end, and all arrays are arguments."""
        code, text = self._code, self._text
        numbers = [self._number(i, INT64) for i in range(len(STAGE))]
        found = {name: self._data(len(STAGE) + i) for i, name in enumerate(text.parameters)}
        for kind, count in many_arrays(text).items():
            found[kind] = code.emit(f"alloca ptr, i64 {count}")
            for name in [name for name in text.parameters if name[0] == kind]:
                code.do(f"store ptr {found[name]}, ptr {self._place(found[kind], 'ptr', name[1:])}")
        arrays = [f"ptr {found[name]}" for name in text.passed]
        table = f"ptr {self._held(TABLE)}"
        state = self._call("python.PyEval_SaveThread", "ptr")
        stage = [n.typed for n in numbers] if text.is_staged else []
        flags = self._kernel([table, *stage, *arrays])
        self._call("python.PyEval_RestoreThread", "void", f"ptr {state}")
        noted = code.integer(0) if flags is None else flags.cast(INT64)
        code.do(f"ret ptr {self._call('python.PyLong_FromLongLong', 'ptr', noted.typed)}")
        self._finish()

    # --- the end -----------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """What is left: arguments that are made regular, for which the entry is called again, and errors."""
        code = self._code
        code.label("irregular")
        function = self._field("%self", LAYOUT.items + 8 * REGULARISED, "ptr")
        # Once: if they are not right then, they are wrong.
        self._require([~Value(code, BOOL, "%again")], "wrong")
        values = self._call(
            "python.PyObject_Vectorcall", "ptr", f"ptr {function}", "ptr %args", "i64 %nargs", "ptr null"
        )
        self._require([~self._same(values, "null")], "failed")
        items = code.emit(f"getelementptr i8, ptr {values}, i64 {LAYOUT.items}")
        found = code.emit(f"call ptr @checked(ptr %self, ptr {items}, i64 %nargs, i1 true)")
        self._call("python.Py_DecRef", "void", f"ptr {values}")
        code.do(f"ret ptr {found}")
        code.label("wrong")
        text = WRONG_ARGUMENTS.encode()
        self._module.define(
            "wrong", lambda _: (f'@wrong = internal constant [{len(text) + 1} x i8] c"{WRONG_ARGUMENTS}\\00"', INT64)
        )
        kind = f"ptr {code.imported('type.TypeError')}"
        self._call("python.PyErr_SetString", "void", kind, "ptr @wrong")
        code.jump("failed")
        code.label("failed")
        code.do("ret ptr null")
        head = f"internal ptr @checked(ptr %self, ptr %args, i64 %nargs, i1 %again) {self._text.attributes}"
        self._module.define("checked", lambda _: (code.definition(head), INT64))
        outside = Code(self._module)
        result = outside.emit("call ptr @checked(ptr %self, ptr %args, i64 %nargs, i1 false)")
        outside.do(f"ret ptr {result}")
        self._module.define(
            "entry", lambda _: (outside.definition("ptr @entry(ptr %self, ptr %args, i64 %nargs) #0"), INT64)
        )
