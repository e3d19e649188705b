"""Where all contestants of a run compute: the processor, a CUDA GPU, or the processor as a rehearsal of the GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from benchmarks.compilers import DEFAULT, NUMPY
from benchmarks.workload import UnavailableError


@dataclass(frozen=True, slots=True)
class Place:
    """A device, in the words of each library.

    Parameters
    ----------
    name : str
        Of the place.
    device : str
        As PyTorch and JAX call it.
    backends : mapping
        Ours that compute there, the default among them if it does, and the device that each is given.
    peers : sequence of str
        The others, by the names that `benchmarks.gradients` knows them by.
    queued : bool
        Whether a step only starts its work there, so that it is waited for, and the host timed, apart.
    """

    name: str
    device: str
    backends: Mapping[str, str | None]
    peers: Sequence[str]
    queued: bool

    def waiting(self, module: ModuleType) -> Callable[[Any], Any] | None:
        """What waits for steps of NumPy, CuPy or PyTorch; None where they are not waited for apart."""
        if not self.queued:
            return None
        if module.__name__ == "cupy":
            return lambda _result: module.cuda.Device().synchronize()
        if module.__name__ == "torch" and self.device == "cuda":
            return lambda _result: module.cuda.synchronize()
        return lambda _result: None

    def tensor(self, torch: ModuleType, array: Any) -> Any:
        """A PyTorch tensor there; on the processor, in the array's memory."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UnavailableError("this PyTorch finds no CUDA device")
        return torch.as_tensor(array, device=self.device)

    def jax_device(self, jax: ModuleType) -> Any:
        """JAX's device."""
        try:
            return jax.devices(self.device)[0]
        except RuntimeError as error:
            raise UnavailableError(f"this JAX finds no device {self.device!r}: {error}") from error


CPU = Place(
    "cpu",
    "cpu",
    {DEFAULT: None, NUMPY: None, "llvm": None},
    ("jax", "torch", "torch compile", "autograd", "mygrad"),
    queued=False,
)

CUDA = Place("cuda", "cuda", {"cupy": None, "torch": "cuda"}, ("torch", "torch compile", "jax"), queued=True)

REHEARSAL = Place("rehearsal", "cpu", {DEFAULT: None, "torch": "cpu"}, ("torch", "jax"), queued=True)
"""Runs what `CUDA` runs, in small sizes and without what takes long to compile, where there is no GPU."""

PLACES: Mapping[str, Place] = {place.name: place for place in (CPU, CUDA, REHEARSAL)}
