"""Averages over steps: of gradients, into one step of an optimizer; and of parameters, which are evaluated then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import count, number
from ..containers import leaf_names, unflatten
from ..errors import ArgumentError
from ..places import bring, home_of
from ..registry import get_backend
from ..tracebacks import boundaries
from ..transforms import function
from ..whole import commit
from . import checkpoint
from .checks import parameter_leaves
from .keeping import Beside
from .optimizer import Optimizer


def _copied(terms: list[Any]) -> list[Any]:
    return [np.copy(x) for x in terms]


def _added(sums: list[Any], terms: list[Any]) -> list[Any]:
    return [x + y for x, y in zip(sums, terms, strict=True)]


def _mean(sums: list[Any], terms: list[Any], number: Any) -> list[Any]:
    # The number is of Python's, so each keeps its dtype.
    return [(x + y) / number for x, y in zip(sums, terms, strict=True)]


def _mixed(averages: list[Any], values: list[Any], decay: Any) -> list[Any]:
    return [decay * x + (1 - decay) * y for x, y in zip(averages, values, strict=True)]


_compiled_copied, _compiled_added = function(_copied), function(_added)
_compiled_mean, _compiled_mixed = function(_mean), function(_mixed)


@boundaries
class Accumulate:
    """One step of an optimizer for the mean of so many gradients: a batch that is larger than memory.

    What was added up is a part of the optimizer's state: its ``save`` and ``load`` go on in the middle.

    Parameters
    ----------
    optimizer : Optimizer
        What makes the steps. Bounds on gradients are of the mean.
    every : int
        How many gradients make a step.

    Attributes
    ----------
    optimizer : Optimizer
        The one given.
    pending : int
        How many gradients are added up since the last step.

    Raises
    ------
    ArgumentError
        If ``optimizer`` is no ``SGD``, ``Adam`` or the like, or accumulates already.

    Notes
    -----
    The mean over equal parts of a batch is the gradient of the mean loss over the batch, to rounding.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> w = ad.Tensor([1.0])
    >>> steps = ad.optim.Accumulate(ad.optim.SGD([w], 0.5), every=2)
    >>> steps.step([np.array([1.0])]), w
    (False, Tensor([1.]))
    >>> steps.step([np.array([2.0])]), w
    (True, Tensor([0.25]))
    """

    def __init__(self, optimizer: Optimizer, every: int):
        if not isinstance(optimizer, Optimizer) or not optimizer.takes_gradients:
            raise ArgumentError("Accumulate: optimizer must be one that takes gradients, such as ad.optim.Adam(...)")
        if any(isinstance(keeper, Accumulate) for keeper in optimizer._keepers):
            raise ArgumentError("Accumulate: this optimizer accumulates already")
        self.optimizer = optimizer
        self.every = count(every, "Accumulate: every")
        # How many, and their sums; both change at once.
        self._state: tuple[int, list[Any] | None] = 0, None
        optimizer._keepers.append(self)

    def __repr__(self) -> str:
        return f"Accumulate({self.optimizer!r}, every={self.every}, {self.pending} pending)"

    @property
    def pending(self) -> int:
        """How many gradients are added up since the last step."""
        return self._state[0]

    def step(self, gradients: Any) -> bool:
        """Add gradients up; with the last one of so many, let the optimizer make a step with the mean.

        Parameters
        ----------
        gradients : list of array
            As for the optimizer's own ``step``.

        Returns
        -------
        bool
            Whether a step was made.
        """
        arrays = self.optimizer._checked(gradients)
        n, sums = self._state
        if n + 1 < self.every:
            # Copies of the first: somebody may write into an array that he has given.
            self._state = n + 1, _compiled_copied(arrays) if sums is None else _compiled_added(sums, arrays)
            return False
        # The sums end with the step that uses them: both are done, or neither.
        mean = arrays if sums is None else _compiled_mean(sums, arrays, self.every)
        self.optimizer._step(mean, [(self, "_state", (0, None))])
        return True

    def _state_arrays(self) -> dict[str, Any]:
        """The sums, which the optimizer saves with its state."""
        n, sums = self._state
        parameters = self.optimizer._parameters
        arrays = [np.zeros(p.shape, p.dtype) for p in parameters] if sums is None else sums
        names = leaf_names(self.optimizer._structure)
        return {"accumulated": np.array(n, np.int64)} | {
            f"gradients{name}": x for name, x in zip(names, arrays, strict=True)
        }

    def _state_from(self, arrays: Sequence[Any]) -> Beside:
        """What changes if these are the sums."""
        n = checkpoint.checked_steps(arrays[0].item(), "load: accumulated")
        if n >= self.every:
            raise ArgumentError(f"load: {n} gradients were accumulated, but every={self.every} make a step here")
        homes = [home_of(p.value) for p in self.optimizer._parameters]
        sums = [bring(x, home) for x, home in zip(arrays[1:], homes, strict=True)]
        return [(self, "_state", (n, sums if n else None))]


@boundaries
class ExponentialAverage:
    """Parameters averaged over the steps of training, the older the less: they often predict better than the last.

    Parameters
    ----------
    parameters : list of Tensor
        What is trained, or nested lists, tuples and dicts.
    decay : float, optional
        How much of the average is kept in an update; less than 1.

    Attributes
    ----------
    updates : int
        How many there were.

    Notes
    -----
    The first update takes the parameters as they are; with decay d each further one is
    ``average = d * average + (1 - d) * parameter``. That is PyTorch's ``AveragedModel`` with ``get_ema_multi_avg_fn``.

    Examples
    --------
    >>> import autodiff as ad
    >>> w = ad.Tensor([0.0])
    >>> average = ad.optim.ExponentialAverage([w], decay=0.5)
    >>> for value in 1.0, 2.0, 3.0:
    ...     w = w.assign([value])
    ...     average.update()
    >>> average.values
    [array([2.25])]
    >>> with average.applied():
    ...     print(w)
    [2.25]
    >>> w
    Tensor([3.])
    """

    def __init__(self, parameters: Any, decay: float = 0.999):
        self._parameters, _, self._structure = parameter_leaves(parameters, "ExponentialAverage")
        self._decay = number(decay, "ExponentialAverage: decay", below=1.0)
        self._state: tuple[int, list[Any]] = 0, [p.value for p in self._parameters]

    def __repr__(self) -> str:
        return f"ExponentialAverage({len(self._parameters)} parameters, decay={self._decay!r}, {self.updates} updates)"

    @property
    def updates(self) -> int:
        """How many updates there were."""
        return self._state[0]

    @property
    def values(self) -> Any:
        """The averages, in the structure of the parameters; read-only."""
        return unflatten(self._structure, iter(self._state[1]))

    def update(self) -> None:
        """Take the present parameters into the average; after each step of an optimizer, for one."""
        n, averages = self._state
        values = [p.value for p in self._parameters]
        self._state = n + 1, _compiled_mixed(averages, values, self._decay) if n else values

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The parameters are the averages in the block, such as for an evaluation, and themselves again after it.

        Yields
        ------
        None
            Steps of an optimizer in the block would be lost, and are of no use.
        """
        values = [p.value for p in self._parameters]
        assign_all(self._parameters, self._state[1])
        try:
            yield
        finally:
            assign_all(self._parameters, values)

    def state_dict(self) -> dict[str, Any]:
        """Everything that averaging goes on from.

        Returns
        -------
        dict of str to ndarray, int or str
            ``"optimizer"`` (the name of this class), ``"steps"`` (the updates), and copies of the averages under names
            such as ``"average[0]"``.
        """
        averages = {
            name: bring(x, get_backend(), copy=True) for name, x in zip(self._names(), self._state[1], strict=True)
        }
        return {"optimizer": type(self).__name__, "steps": self.updates, **averages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave.

        Parameters
        ----------
        state : dict
            Of parameters of the same shapes and dtypes.

        Raises
        ------
        ArgumentError
            If it is of something else; nothing is changed then.
        ShapeError
            If an array has another shape or dtype.
        """
        found = checkpoint.check(state, type(self).__name__, self._expected(), "load_state_dict: the state")
        self._restore({name: x if name == "steps" else np.array(x) for name, x in found.items()})

    def save(self, path: str | Path) -> None:
        """Write what ``state_dict`` gives to a file, as ``Optimizer.save`` does.

        Parameters
        ----------
        path : str or Path
            Where to.
        """
        checkpoint.write(checkpoint.file_path(path, "save"), self.state_dict())

    def load(self, path: str | Path) -> None:
        """Go on from what ``save`` wrote: the same bits.

        Parameters
        ----------
        path : str or Path
            Of a file that ``save`` wrote, for parameters of the same shapes and dtypes.

        Raises
        ------
        ArgumentError
            If it is no such file; nothing is changed then.
        ShapeError
            If an array has another shape or dtype.
        """
        self._restore(checkpoint.read(checkpoint.file_path(path, "load"), type(self).__name__, self._expected()))

    def _names(self) -> list[str]:
        return checkpoint.unique([f"average{name}" for name in leaf_names(self._structure)])

    def _expected(self) -> dict[str, tuple[tuple[int, ...], Any]]:
        return {name: home_of(x).aval_of(x) for name, x in zip(self._names(), self._state[1], strict=True)}

    def _restore(self, state: dict[str, Any]) -> None:
        homes = [home_of(p.value) for p in self._parameters]
        averages = [bring(state[name], home) for name, home in zip(self._names(), homes, strict=True)]
        self._state = state["steps"], averages


def assign_all(parameters: Sequence[Any], values: Sequence[Any]) -> None:
    """New versions of all parameters, or of none."""
    brought = [bring(value, home_of(p.value)) for p, value in zip(parameters, values, strict=True)]
    versions = [p._version(value) for p, value in zip(parameters, brought, strict=True)]
    slots, arrays, nodes = zip(*versions, strict=True)
    n = len(parameters)
    commit((*parameters, *slots), ("_node",) * n + ("value",) * n, (*nodes, *arrays))
