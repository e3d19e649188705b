"""PyTorch: tensors on CPUs and GPUs."""

from autodiff.backend import Backend
from autodiff.importing import imported

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
    found: Backend = imported("autodiff_backends.torch.backend").BACKEND
    return found
