"""Machine code: text compiled by LLVM for this processor, kept on disk, and loaded for as long as somebody has it."""

from __future__ import annotations

import ctypes
import itertools
import os
import weakref
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from glob import escape as glob_escape
from glob import glob
from importlib.util import find_spec
from threading import RLock
from typing import Any

import numpy as np

from autodiff.errors import BackendError
from autodiff.forks import around_forks
from autodiff.importing import imported
from autodiff.whole import sheltered

from ..loops.files import keep_kernel, kernel_name, read_kernel
from .code import Module, attributes
from .layout import address_of

METH_FASTCALL = 0x0080

# How hard LLVM tries, for texts of so many lines: very long ones would take it seconds.
LEVELS = ((20_000, 3), (100_000, 1))


def _opened() -> None:
    """LLVM's library opened by the C library, if it has a function for that: while ``ctypes`` opens it, which takes
    15 ms, no other thread goes on."""
    # Whatever goes wrong here, the import says better.
    with suppress(Exception):
        found = find_spec("llvmlite")
        for folder in [] if found is None else found.submodule_search_locations or []:
            for path in glob(os.path.join(glob_escape(folder), "binding", "libllvmlite.*")):
                ctypes.CDLL(None).dlopen(path.encode(), os.RTLD_NOW)


def _locked(lock: Any) -> Callable[[], Any]:
    """What opens LLVM's one lock again."""
    lock.__enter__()
    return lambda: lock.__exit__(None, None, None)


@cache
def library() -> Any:
    """``llvmlite.binding``, imported when it is first needed."""
    _opened()
    try:
        llvm = imported("llvmlite.binding")  # takes 15 ms, and is not always there
    except ImportError as error:
        raise BackendError(f"backend 'llvm' needs the package llvmlite (pip install llvmlite): {error}") from error
    around_forks(partial(_locked, llvm.ffi.lib._lock))
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


class Processor:
    """What machine code is made for.

    Attributes
    ----------
    name, features : str
        As LLVM calls them.
    has_fma : bool
        Whether it multiplies and adds in one instruction.
    vector_bytes : int
        Of its vectors.
    about : bytes
        All of that, and the version of LLVM: what machine code depends on beside its text.
    """

    def __init__(self) -> None:
        llvm = library()
        self.name = llvm.get_host_cpu_name()
        found = llvm.get_host_cpu_features()
        self.features = found.flatten()
        triple = llvm.get_process_triple()
        # Every ARM of 64 bits has it.
        self.has_fma = bool(found.get("fma")) or triple.startswith(("aarch64", "arm64"))
        wide = (("avx512f", 64), ("avx", 32))
        self.vector_bytes = next((size for feature, size in wide if found.get(feature)), 16)
        about = (triple, self.name, self.features, llvm.llvm_version_info)
        self.about = repr(about).encode()
        self._llvm = llvm
        self._target = llvm.Target.from_triple(triple)

    def machine(self, level: int) -> Any:
        """LLVM's description of it. (A new one each time: a compiler takes possession of it.)"""
        return self._target.create_target_machine(
            cpu=self.name, features=self.features, opt=level, reloc="pic", codemodel="small"
        )


@cache
def processor() -> Processor:
    """The one that this is running on."""
    return Processor()


# What each kernel's machine code is in, with what CPython keeps of its builtins, and the weak reference to its token.
_engines: dict[int, tuple[Any, Any, Any]] = {}
# At the end of the process too they stay: somebody's finalizer may call a kernel.
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_engines))
_numbers = itertools.count()


class MachineCode:
    """The machine code of a module, in this process, until no builtin of it is left.

    Each builtin has a token: an array, which the collector of cycles knows nothing of. When it finds a kernel in a
    cycle it calls the finalizers of all that it has found, and clears them in any order: an engine among them would be
    gone before the builtin that runs its code. The token is gone after the builtin, and the engine after the token.

    Attributes
    ----------
    text : str
        What it was compiled from.
    definition : ctypes.Structure
        What CPython keeps of its builtins.
    """

    def __init__(self, text: str, content: bytes, imports: list[str]):
        self.text = text
        llvm = library()
        # In the context that is never given back.
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), processor().machine(0))
        engine.add_object_file(llvm.ObjectFileRef.from_data(content))
        engine.finalize_object()
        places = (ctypes.c_void_p * max(len(imports), 1)).from_address(engine.get_global_value_address("imports"))
        for place, name in enumerate(imports):
            places[place] = address_of(name)
        definition = _Definition(b"kernel", engine.get_function_address("entry"), METH_FASTCALL, None)
        number = next(_numbers)
        self._token = np.empty(0)
        # (A method of the table itself: when the interpreter ends, this module's names are gone before some kernels.)
        _engines[number] = engine, definition, weakref.ref(self._token, partial(_engines.pop, number))
        self.definition = definition

    def function(self) -> Callable[..., Any]:
        """The entry as a function of C, of two addresses; it lasts as long as this."""
        return ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(self.definition.meth)

    def builtin(self, regular: Any, table: Any, *constants: Any, told: Any) -> Callable[..., Any]:
        """The entry as a builtin, whose ``self`` is a tuple of what is given and this (see ``entry``)."""
        own = (regular, self, table, told, *constants, self._token)
        return _new_builtin()(ctypes.addressof(self.definition), own, None)  # type: ignore[no-any-return]


class _Definition(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("meth", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


@cache
def _new_builtin() -> Any:
    new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    return new(("PyCFunction_NewEx", ctypes.pythonapi))


# Machine code is given back, but not what llvmlite takes to run LLVM's passes: 200 bytes for each line of a text. So
# there are only so many compilations in a process. (Machine code from disk costs nothing that is not given back.)
MOST_BYTES, BYTES_A_LINE = 1 << 30, 200

_bytes_lost = 0


class Exhausted(Exception):
    """As much was compiled as a process may compile."""


class Refused(Exception):
    """This version of LLVM does not take a text."""


# By text: what several kernels have in common.
_loaded: weakref.WeakValueDictionary[str, MachineCode] = weakref.WeakValueDictionary()
# By process: in the child of a fork, nobody would open the lock of its parent.
_alone: defaultdict[int, Any] = defaultdict(RLock)


def load(module: Module) -> MachineCode:
    """The machine code of a module, compiled or found."""
    text = module.text() + attributes(module.vector_bytes)
    found = _loaded.get(text)
    if found is None:
        # An interrupt would leave llvmlite's own lock held, so that no other thread compiled any more.
        found = sheltered(partial(_made, text, module.imports))
    return found


def _made(text: str, imports: list[str]) -> MachineCode:
    global _bytes_lost  # noqa: PLW0603  (what LLVM keeps is the process's, and so is the count)
    with _alone[os.getpid()]:
        found = _loaded.get(text)
        if found is None:
            about = processor().about + b"%d\n" % level_of(text) + text.encode()
            name = kernel_name("kernel", about, ".o")
            content = read_kernel(name, about)
            if content is None:
                if _bytes_lost > MOST_BYTES:
                    raise Exhausted(f"compiling has taken {_bytes_lost >> 20} MiB of this process by now")
                content = compiled(text)
                _bytes_lost += BYTES_A_LINE * text.count("\n")
                keep_kernel(name, about, content)
            found = _loaded[text] = MachineCode(text, content, imports)
    return found


def level_of(text: str) -> int:
    """How hard LLVM tries."""
    length = text.count("\n")
    return next((level for most, level in LEVELS if length <= most), 0)


def compiled(text: str) -> bytes:
    """The object code of a text."""
    llvm = library()
    try:
        module = llvm.parse_assembly(text, llvm.create_context())
        module.verify()
    except RuntimeError as error:
        raise Refused(" ".join(str(error).split())) from error
    level = level_of(text)
    machine = processor().machine(min(level, 2))
    options = llvm.create_pipeline_tuning_options(speed_level=level)
    options.loop_vectorization = options.loop_interleaving = level > 1
    # Loops are short, or vectors: unrolling them, and looking for vectors between them, takes a third of the time and
    # makes them slower.
    options.loop_unrolling = options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_object(module)  # type: ignore[no-any-return]
