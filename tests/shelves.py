"""A backend for tests: its arrays are on one of two shelves, its devices, and it counts what it computes."""

import collections

import numpy as np

import autodiff as ad
from autodiff.backend import REAL_DTYPES, Capabilities
from autodiff.core.primitives import PRIMITIVES


class Shelved:
    """An array on a shelf."""

    def __init__(self, array, shelf):
        self.array, self.shelf = array, shelf
        self.shape, self.dtype = array.shape, array.dtype


MEANINGS = {
    "identity": np.asarray,
    "where": np.where,
    "astype": lambda x, dtype: np.asarray(x, dtype),
    "reshape": lambda array, shape: array.reshape(shape),
    "transpose": np.transpose,
    "broadcast_to": np.broadcast_to,
    "matmul": np.matmul,
    "sum": lambda x, axes: np.sum(x, axis=axes),
    "inner_product": lambda x, y, axes: np.sum(x * y, axis=axes),
}


class ShelfPlan:
    """An executable program. Calling it may happen in several threads at once, so it keeps no values."""

    def __init__(self, program, backend):
        self.source = str(program)
        self.n_operations = len(program.applications())
        self._program = program
        self._backend = backend

    def __call__(self, *inputs):
        program = self._program
        # An input is an array of this backend, a Python number where it is `weak`, or an index.
        values = {i: x.array if isinstance(x, Shelved) else x for i, x in enumerate(inputs)}
        values.update(program.constants)
        for number, signature, arguments in program.applications():
            function = MEANINGS.get(signature.primitive.name, signature.primitive.numpy_ufunc)
            operands = [values[a] for a in arguments]
            values[number] = np.asarray(function(*operands, **signature.keywords), signature.out.dtype)
            self._backend.counts[signature.primitive.name] += 1
        # New arrays: what is returned shares memory with nothing.
        return tuple(
            values[n].item() if program.avals[n].weak else Shelved(np.array(values[n]), self._backend.device)
            for n in program.outputs
        )


class ShelfBackend(ad.Backend):
    """Shelves of numbers."""

    name = "shelves"
    # What is not declared here is an error that names the function and this backend, before anything runs.
    capabilities = Capabilities(
        dtypes=REAL_DTYPES,
        missing={
            name: "shelves have no such operation"
            for name, primitive in PRIMITIVES.items()
            if name not in MEANINGS and (primitive.module != "numpy" or primitive.numpy_ufunc is None)
        },
    )

    def __init__(self, device="upper"):
        self.device = device
        self.counts = collections.Counter()
        self._others = {}

    def compile(self, program):
        return ShelfPlan(program, self)

    def owns(self, value):
        return isinstance(value, Shelved)

    def aval_of(self, array):
        return array.shape, array.dtype

    def asarray(self, value, dtype=None, copy=False):
        return Shelved(np.array(value.array if self.owns(value) else value, dtype), self.device)

    def to_numpy(self, array):
        return array.array

    def device_of(self, array):
        return array.shelf

    def at(self, device):
        if device not in ("upper", "lower"):
            raise ad.errors.BackendError(f"there is no shelf {device!r}")
        others = self._others or {self.device: self}
        found = others.setdefault(device, others.get(device) or ShelfBackend(device))
        self._others = found._others = others
        return found


backend = ShelfBackend()
