"""Programs as CUDA kernels: groups of statements as loops of many threads, and the launches that execute them.

A kernel is text for sizes that are known, compiled by whoever owns the device. Its parameters are named by the order of
their use, so that what a program does again on other arrays is the same kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from autodiff.core.program import Application, Program

from ..loops.schedule import Schedule
from ..loops.statements import Lowering, is_lowered
from . import launches
from .bodies import Nest
from .expressions import is_written
from .launches import one_block, together
from .loops import Loop, elementwise, reduction
from .prelude import prelude
from .types import C_NAMES

# Products of matrices with fewer multiplications than this are no work for a library.
SMALL_PRODUCT = 1 << 18

Argument = tuple[str, int]


class Launch(NamedTuple):
    """One kernel on some arrays.

    Attributes
    ----------
    name : str
        Of a kernel in the source.
    grid, block : tuple of int
    arguments : tuple of (str, int)
        ``("x", i)`` for the i-th input, ``("o", i)`` for the i-th output, ``("w", i)`` for the i-th workspace,
        ``("s", i)`` for the i-th Python number (passed by value, in its dtype), ``("c", i)`` for the i-th counters.
    """

    name: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    arguments: tuple[Argument, ...]


def supported(program: Program, application: Application) -> bool:
    """Whether an application can be in a kernel region."""
    _, signature, arguments = application
    primitive = signature.primitive
    if any(a.spec is None and a.dtype not in C_NAMES for a in (signature.out, *signature.inputs)):
        return False
    if primitive.kind == "indexing":
        # Which of repeated places is written last is for a library to say.
        return arguments[1] in program.constants and (not primitive.writes or len(arguments) == 3)
    if primitive.kind == "contraction":
        inner = signature.inputs[0].shape[-1]
        return inner == 1 or signature.out.size * inner < SMALL_PRODUCT
    return is_lowered(signature) or is_written(signature)


class KernelRegion:
    """The kernels of a program all of whose applications are supported.

    Kernels are launched one after another in one stream. Arrays that are given are C-contiguous and begin at a
    multiple of 16 bytes; outputs and workspaces share memory with nothing. What counters count is 0 before the first
    launch and after each, so that they are made once for calls that do not overlap.

    Parameters
    ----------
    program : Program

    Attributes
    ----------
    source : str
        A translation unit for NVRTC, without includes.
    launches : list of Launch
    inputs : list of int
        The values of the program (inputs, or constants) that are arrays given.
    scalars : list of int
        The inputs that are Python numbers.
    outputs : list of (tuple of int, numpy.dtype)
        Shape and dtype of each output.
    workspaces : list of (int, numpy.dtype)
        Elements and dtype of each workspace.
    counters : list of int
        How many int32 each array of counters has.
    n_operations : int
        Statements executed.
    """

    def __init__(self, program: Program):
        lowering = Lowering(program)
        schedule = Schedule(lowering, rolling=False)
        self._schedule = schedule
        avals = program.avals
        self.inputs = [n for n in lowering.inputs if not avals[n].weak]
        self.scalars = [n for n in lowering.inputs if avals[n].weak]
        self.outputs = [(avals[n].shape, avals[n].dtype) for n in program.outputs]
        self.workspaces: list[tuple[int, np.dtype[Any]]] = []
        self.counters: list[int] = []
        self.n_operations = len(lowering.statements)
        self._known = {lowering.inputs[n]: ("s", i) for i, n in enumerate(self.scalars)}
        self._known |= {lowering.inputs[n]: ("x", i) for i, n in enumerate(self.inputs)}
        self._places: dict[tuple[str, int], int] = {}
        self._partials: dict[tuple[np.dtype[Any], int], int] = {}
        self._names: dict[str, str] = {}
        self.launches: list[Launch] = []
        for nests in self._kernels():
            self._kernel(nests)
        kernels = "\n".join(text.replace("KERNEL", name, 1) for text, name in self._names.items())
        self.source = f"{prelude(kernels)}\n{kernels}"

    # --- kernels -----------------------------------------------------------------------------------------------------

    def _kernels(self) -> Iterator[list[Nest]]:
        """The loops of each kernel: one large loop, or as many small ones as follow one another."""
        gathered: list[Nest] = []
        statements = 0
        (segment,) = self._schedule.segments
        for group in segment.groups:
            nest = Nest(self._schedule, segment, group)
            if not nest.n_kept or (not nest.n_reduced and not nest.reductions):
                continue
            small = one_block(nest.size)
            statements += len(nest.members)
            if gathered and not (small and together(len(gathered) + 1, statements)):
                yield gathered
                gathered, statements = [], len(nest.members)
            gathered.append(nest)
            if not small:
                yield gathered
                gathered, statements = [], 0
        if gathered:
            yield gathered

    def _kernel(self, nests: list[Nest]) -> None:
        """A kernel that does loops one after another, several or a small one by one block."""
        alone = one_block(nests[0].size)
        parameters = Parameters(self)
        loops: list[Loop] = []
        for nest in nests:
            write = reduction if nest.reductions else elementwise
            loops.append(write(nest, parameters, alone))
        shared = max(loop.shared for loop in loops)
        lines = [f'extern "C" __global__ void __launch_bounds__({launches.THREADS}) KERNEL({parameters.declared()}) {{']
        if shared:
            lines.append(f"    alignas(16) __shared__ unsigned char shared[{shared}];")
        if any(loop.grid[1] > 1 for loop in loops):
            lines.append("    __shared__ bool last;")
        for number, loop in enumerate(loops):
            if number:
                lines.append("    __syncthreads();")
            lines += ["    {", *[f"        {line}" for line in loop.lines], "    }"]
        text = "\n".join([*lines, "}", ""])
        name = self._names.setdefault(text, f"kernel_{len(self._names)}")
        self.launches.append(Launch(name, loops[0].grid, (launches.THREADS, 1, 1), tuple(parameters.arguments)))

    def storage(self, storage: int) -> tuple[Argument, str]:
        """What a storage is to a launch, and its C++ type as a parameter."""
        argument = self._known.get(storage)
        if argument is None:
            argument = self._known[storage] = self._placed(storage)
        kind = C_NAMES[self._schedule.lowering.storages[storage].dtype]
        if argument[0] == "s":
            return argument, kind
        return argument, f"const {kind}* __restrict__" if argument[0] == "x" else f"{kind}* __restrict__"

    def _placed(self, storage: int) -> Argument:
        """An output, or a workspace: each place in those of the schedule is a workspace of its own."""
        array = self._schedule.arrays[storage]
        if array.startswith("o"):
            return "o", int(array[1:])
        place = self._places.setdefault((array, self._schedule.offsets[storage]), len(self.workspaces))
        if place == len(self.workspaces):
            size, dtype = self._schedule.lowering.storages[storage]
            self.workspaces.append((size, dtype))
        return "w", place

    def partials(self, dtype: np.dtype[Any], serial: int, size: int) -> tuple[Argument, str]:
        """A workspace for what blocks leave to the last one, of the kernel's ``serial``-th reduction."""
        place = self._partials.setdefault((dtype, serial), len(self.workspaces))
        if place == len(self.workspaces):
            self.workspaces.append((0, dtype))
        self.workspaces[place] = (max(size, self.workspaces[place][0]), dtype)
        return ("w", place), f"{C_NAMES[dtype]}*"

    def counted(self, size: int) -> tuple[Argument, str]:
        """The counters of as many tiles."""
        self.counters = [max(size, *self.counters)] if self.counters else [size]
        return ("c", 0), "int*"


class Parameters:
    """The parameters of a kernel, named by the order of their use.

    Attributes
    ----------
    arguments : list of (str, int)
        What a launch passes for each.
    """

    def __init__(self, region: KernelRegion):
        self._region = region
        self._types: dict[Argument, str] = {}

    def _named(self, argument: Argument, kind: str) -> str:
        self._types.setdefault(argument, kind)
        return f"p{list(self._types).index(argument)}"

    def storage(self, storage: int) -> str:
        """The name of the array, or the number, that a storage is in."""
        return self._named(*self._region.storage(storage))

    def partials(self, dtype: np.dtype[Any], serial: int, size: int) -> str:
        """The name of a workspace for what blocks leave to the last one."""
        return self._named(*self._region.partials(dtype, serial, size))

    def counters(self, size: int) -> str:
        """The name of the counters of as many tiles."""
        return self._named(*self._region.counted(size))

    @property
    def arguments(self) -> list[Argument]:
        """What a launch passes."""
        return list(self._types)

    def declared(self) -> str:
        """The list of parameters in C++."""
        return ", ".join(f"{kind} p{i}" for i, kind in enumerate(self._types.values()))
