"""PyTorch: its tensors on any of its devices, and programs as calls of its functions."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import array_api_compat.torch as compat_torch
import numpy as np
import torch

from autodiff.backend import Backend, Capabilities, Plan, missing_special
from autodiff.core.program import Program
from autodiff.errors import BackendError, DTypeError

from ..array_api.calls import DTYPES, missing
from ..array_api.source import Dialect, compile_program, interpret_program
from ..numpy.backend import SHORTEST_INTERPRETED
from ..optional import no_dtype
from .calls import OVERRIDES, SPECIAL, gpu_call, torch_call

Tensor = Any

MISSING = missing_special("PyTorch", SPECIAL)

# NumPy's dtypes that PyTorch has too, and the other way about.
TO_TORCH = {dtype: getattr(torch, dtype.name) for dtype in DTYPES if hasattr(torch, dtype.name)}
TO_NUMPY = {own: dtype for dtype, own in TO_TORCH.items()}

# Kinds of device without double precision.
SINGLE_ONLY = ("mps",)

FEATURES = frozenset(("in-place", "scatter-add", "data-dependent shapes"))


class TorchBackend(Backend):
    """Arrays are ``torch.Tensor`` on one device.

    Parameters
    ----------
    device : str
        As PyTorch prints it: ``"cpu"``, ``"cuda:0"``.
    """

    name = "torch"
    namespace = compat_torch

    def __init__(self, device: str):
        self.device = device
        self._torch_device = torch.device(device)

    @cached_property
    def capabilities(self) -> Capabilities:
        """What it can do on its device."""
        kind = self._torch_device.type
        wide = (np.dtype(np.float64), np.dtype(np.complex128)) if kind in SINGLE_ONLY else ()
        features = FEATURES | ({"asynchronous"} if kind != "cpu" else set())
        return Capabilities(frozenset(TO_TORCH) - set(wide), features, {**missing(compat_torch, OVERRIDES), **MISSING})

    # --- plans -------------------------------------------------------------------------------------------------------

    def compile(self, program: Program) -> Plan:
        """Calls of PyTorch's functions, one after another."""
        return compile_program(program, self._dialect)

    def interpret(self, program: Program) -> Plan | None:
        """The same, without a source for the whole, if the program is not so short that one is made as fast."""
        return interpret_program(program, self._dialect) if len(program.avals) > SHORTEST_INTERPRETED else None

    @cached_property
    def _dialect(self) -> Dialect:
        return Dialect(
            functions=torch,
            namespace=compat_torch,
            device=self._torch_device,
            call=torch_call if self.device == "cpu" else gpu_call,
            dtype=TO_TORCH.__getitem__,
            convert=torch.Tensor.to,
            copy=torch.clone,
            constant=lambda array: self.asarray(array, copy=True),
            quiet=False,
        )

    # --- arrays ------------------------------------------------------------------------------------------------------

    def owns(self, value: Any) -> bool:
        """Whether a value is a tensor, on whichever device."""
        return isinstance(value, torch.Tensor)

    def aval_of(self, array: Tensor) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and NumPy's dtype of a tensor."""
        dtype = TO_NUMPY.get(array.dtype)
        if dtype is None:
            raise DTypeError(
                f"a tensor of shape {tuple(array.shape)} has dtype {array.dtype}, which NumPy has not; convert it "
                "first, for example with .to(torch.float32)"
            )
        return tuple(array.shape), dtype

    def asarray(self, value: Any, dtype: np.dtype[Any] | None = None, copy: bool = False) -> Tensor:
        """A tensor on the device, without a gradient of PyTorch's own; of NumPy's memory on the CPU if it can be."""
        if not self.owns(value):
            return self._from_numpy(value, dtype, copy)
        if value.layout is not torch.strided:
            raise DTypeError(f"a tensor of shape {tuple(value.shape)} is sparse ({value.layout}); call .to_dense()")
        # What functions are called with is taken as it is; the rest would take 1.5 us more.
        here = not copy and dtype is None and value.is_contiguous() and value.device == self._torch_device
        if here and not (value.requires_grad or value.is_conj() or value.is_neg()):
            self.aval_of(value)
            return value
        tensor = value.detach().resolve_conj().resolve_neg()
        if dtype is None:
            dtype = self.aval_of(value)[1]
        elif tensor.is_complex() and np.dtype(dtype).kind != "c":
            tensor = tensor.real
        result = tensor.to(self.device, self._own_dtype(np.dtype(dtype))).contiguous()
        return result.clone() if copy and result.data_ptr() == value.data_ptr() else result

    def _from_numpy(self, value: Any, dtype: np.dtype[Any] | None, copy: bool) -> Tensor:
        array = np.asarray(value, dtype)
        own = self._own_dtype(array.dtype.newbyteorder("="))
        # PyTorch has neither negative strides (which NumPy lets contiguous arrays of one element have) nor foreign byte
        # orders, and it warns of memory that may not be written to.
        if not array.flags.c_contiguous or not array.dtype.isnative or min(array.strides, default=0) < 0:
            array = np.array(array, array.dtype.newbyteorder("="), order="C")
        tensor = torch.from_numpy(array if array.flags.writeable else _as_if_writable(array))
        result = tensor.to(self.device, own)
        return result.clone() if copy and result.data_ptr() == tensor.data_ptr() else result

    def _own_dtype(self, dtype: np.dtype[Any]) -> Any:
        if dtype not in self.capabilities.dtypes:
            raise no_dtype(self, dtype)
        return TO_TORCH[dtype]

    def to_numpy(self, array: Tensor) -> np.ndarray[Any, Any]:
        """The elements on the host: the same memory for a tensor on the CPU."""
        self.aval_of(array)
        result: np.ndarray[Any, Any] = array.detach().cpu().resolve_conj().resolve_neg().numpy()
        return result

    def device_of(self, array: Tensor) -> str:
        """Where a tensor is, as PyTorch prints it."""
        return str(array.device)

    def at(self, device: Any) -> Backend:
        """PyTorch on another device, such as ``"cuda"`` (the current one), ``"cuda:1"``, or a ``torch.device``."""
        found = _backends.get(device) if isinstance(device, str) else None
        if found is not None:
            return found
        name = _canonical(device)
        return _backends.setdefault(name, TorchBackend(name))

    def synchronize(self) -> None:
        """Wait until what was started on the device is done."""
        kind = self._torch_device.type
        if kind == "cuda":
            torch.cuda.synchronize(self.device)
        elif kind != "cpu":
            getattr(torch, kind).synchronize()


def _canonical(device: Any) -> str:
    """A device as tensors on it say it."""
    try:
        made = torch.empty(0, device=device).device
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise BackendError(f"backend 'torch' has no device {device!r} on this machine: {reason}") from error
    if made.type == "meta":
        raise BackendError("backend 'torch': tensors on the device 'meta' have no elements to compute with")
    return str(made)


class _Memory:
    """The memory of an array, said to be writable: plans write to none of their inputs."""

    def __init__(self, array: np.ndarray[Any, Any]):
        self._array = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def _as_if_writable(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(_Memory(array))


BACKEND = TorchBackend("cpu")
_backends: dict[str, TorchBackend] = {"cpu": BACKEND}
