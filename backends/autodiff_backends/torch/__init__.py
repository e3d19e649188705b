"""PyTorch: tensors on CPUs and GPUs."""

from importlib import import_module

from autodiff.backend import Backend

from ..optional import required


def torch() -> Backend:
    """The backend of PyTorch.

    Returns
    -------
    Backend
        On the CPU; ``.at("cuda")`` gives it on another device.

    Raises
    ------
    BackendError
        If the package is not installed.
    """
    required("torch", "torch")
    found: Backend = import_module("autodiff_backends.torch.backend").BACKEND
    return found
