"""``Optimizer``: what all have in common. It owns the parameters and their moments, and compiles their update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import number
from ..backend import Backend, Plan
from ..containers import leaf_names
from ..core.avals import WEAK_FLOAT, Aval, intern_aval
from ..errors import BackendError
from ..nodes import Node
from ..places import bring, home_of
from ..plan import PlanCache, compile_nodes
from ..registry import computing, get_backend
from ..tensor import Tensor, wrap
from ..tracebacks import boundaries, hide
from ..tracing import trace
from ..whole import commit
from . import checkpoint
from .checks import gradient_array, gradient_leaves, parameter_leaves
from .clipping import clipped
from .formulas import Formula
from .keeping import Beside, Keeper
from .plateau import ReduceOnPlateau
from .schedules import WarmUp
from .units import Moments, Units

Rate = float | Callable[[int], float]

# Plans of all optimizers, by what is recorded: the same network trained again compiles nothing.
_plans = PlanCache()


@boundaries
class Optimizer:
    """What ``SGD``, ``RMSprop``, ``Adam``, ``AdamW``, ``Lion`` and ``LBFGS`` have in common. Make one of those.

    Parameters
    ----------
    parameters : list of Tensor
        What is trained, or nested lists, tuples and dicts.
    rate : float or callable
        The learning rate.
    formula : Formula
        How a gradient becomes a step.
    weight_decay : float
        How much parameters shrink.
    decoupled : bool
        Whether they do so by themselves, not as a part of the gradient.
    clip_norm, clip_value : float or None
        Bounds on gradients.
    backend : str, Backend or None
        What computes the steps.

    Attributes
    ----------
    parameters : list of Tensor
        What is trained, in the order of gradients.
    rate : float or callable
        May be changed at any time.
    steps : int
        How many steps were taken.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> w = ad.Tensor([1.0, 2.0])
    >>> optimizer = ad.optim.SGD([w], 0.5)
    >>> isinstance(optimizer, ad.optim.Optimizer)
    True
    >>> optimizer.step([np.ones(2)])
    >>> w, optimizer.steps
    (Tensor([0.5, 1.5]), 1)
    """

    # Whether ``step`` takes gradients, and no function that gives them.
    takes_gradients = True

    def __init__(
        self,
        parameters: Any,
        rate: Rate,
        formula: Formula,
        *,
        weight_decay: float = 0.0,
        decoupled: bool = False,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        backend: str | Backend | None = None,
    ):
        what = type(self).__name__
        self._parameters, self._names, self._structure = parameter_leaves(parameters, what)
        self._formula = formula
        self._weight_decay = number(weight_decay, f"{what}: weight_decay")
        self._decoupled = decoupled
        self._clip_norm = None if clip_norm is None else number(clip_norm, f"{what}: clip_norm")
        self._clip_value = None if clip_value is None else number(clip_value, f"{what}: clip_value")
        self._options = self._weight_decay, self._clip_norm or 0.0, self._clip_value or 0.0
        self.rate = rate if callable(rate) else number(rate, f"{what}: rate")
        self.steps = 0
        self._backend = None if backend is None else get_backend(backend)
        self._moments = Moments(
            Units([p._node.aval for p in self._parameters]),
            [np.zeros(p.shape, _dtype(p, real)) for p in self._parameters for real in formula.moments.values()],
        )
        n = len(self._parameters)
        self._changing = ("_node",) * n + ("value",) * n + ("_moments", "steps")
        self._avals: list[Aval] = []
        self._on_numpy = False
        self._plan: Plan | None = None
        # What else is a part of the state, such as gradients that are being accumulated.
        self._keepers: list[Keeper] = []

    @property
    def parameters(self) -> list[Tensor]:
        """The Tensors that are trained, in the order of gradients: what ``Graph.gradient`` takes."""
        return list(self._parameters)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._parameters)} parameters, rate={self.rate!r}, {self.steps} steps)"

    def __getstate__(self) -> dict[str, Any]:
        # Its plan is compiled again, or found, by the first step.
        return {**vars(self), "_plan": None}

    # --- a step ------------------------------------------------------------------------------------------------------

    def step(self, gradients: Any) -> None:
        """Give every parameter a new value: a new version, which earlier graphs do not see.

        Parameters
        ----------
        gradients : list of array
            One for each parameter, of its shape and dtype, as ``Graph.gradient`` gives them; or structured as the
            parameters are.

        Raises
        ------
        ArgumentError
            If there are more or fewer than parameters, or the rate is negative or not finite.
        ShapeError
            If a gradient has another shape than its parameter.
        DTypeError
            If a gradient has another dtype than its parameter, or is complex and was to be clipped by value.
        """
        try:
            self._step(gradients)
        except Exception as error:
            hide(error)
            raise

    def _step(self, gradients: Any, beside: Beside = ()) -> None:
        """A step, with which something else changes."""
        parameters = self._parameters
        avals = [p._node.aval for p in parameters]
        if self._plan is None or avals != self._avals:
            self._compile(avals)
        plan = self._plan
        assert plan is not None
        arrays = self._gradients(gradients, avals)
        rate = number(self.rate(self.steps) if callable(self.rate) else self.rate, "step: rate")
        numbers = (rate, *self._options, *self._formula.numbers(self.steps + 1, rate))
        units, moments = self._moments
        values = units.joined([p.value for p in parameters])
        results = plan(*values, *units.joined(arrays), *moments, *numbers)
        if not self._on_numpy:
            results = tuple(home_of(parameters[0].value).keep(results, [*values, *moments]))
        new, kept = units.parted(results[: len(values)]), Moments(units, results[len(values) :])
        self._commit(new, kept, self.steps + 1, beside)

    def _commit(self, values: Sequence[Any], moments: Moments, steps: int, beside: Beside = ()) -> None:
        """A new state: as a whole, or not at all if this is interrupted. ``beside`` is what others keep of it."""
        parameters = self._parameters
        # Old versions are let go of after the new ones are there. Whoever is told of that comes after the step.
        before = [p._node for p in parameters]
        versions = [p._version(value) for p, value in zip(parameters, values)]  # noqa: B905  (costs 0.1 us)
        slots, values, nodes = zip(*versions)  # noqa: B905  (costs 0.3 us, and they are triples)
        owners: tuple[Any, ...] = (*parameters, *slots, self, self)
        names: tuple[str, ...] = self._changing
        new: tuple[Any, ...] = (*nodes, *values, moments, steps)
        for owner, name, value in beside:
            owners, names, new = (*owners, owner), (*names, name), (*new, value)
        commit(owners, names, new)
        del before

    def _gradients(self, gradients: Any, avals: list[Aval]) -> list[Any]:
        """The gradients as arrays that fit the parameters; the common case passes a few comparisons."""
        if type(gradients) is list and len(gradients) == len(avals) and self._on_numpy:
            for g, aval in zip(gradients, avals, strict=True):
                if type(g) is not np.ndarray or g.dtype != aval.dtype or g.shape != aval.shape:
                    break
            else:
                return gradients
        leaves = gradient_leaves(gradients, self._structure, len(avals))
        home = home_of(self._parameters[0].value)
        return [gradient_array(g, aval, name, home) for g, aval, name in zip(leaves, avals, self._names, strict=True)]

    def _checked(self, gradients: Any) -> list[Any]:
        """The gradients as arrays that fit the parameters; errors as in a step."""
        return self._gradients(gradients, [p._node.aval for p in self._parameters])

    def _compile(self, avals: list[Aval]) -> None:
        """Make the plan of a step for parameters of these shapes and dtypes; moments are brought to where they are."""
        backend = self._computing()
        on_numpy = backend.home is get_backend()
        units = Units(avals, on_numpy)
        moments = self._beside(self._kept(), units)
        clips = self._clip_norm is not None, self._clip_value is not None
        key = (type(self._formula), self._formula.structure, self._decoupled, self._weight_decay > 0, clips)
        recorded = units.avals
        plan: Plan = _plans.get(
            (key, tuple(recorded), backend), lambda: compile_nodes(*self._recorded(recorded), backend)
        )
        commit((self,) * 4, ("_moments", "_avals", "_on_numpy", "_plan"), (moments, avals, on_numpy, plan))

    def _computing(self) -> Backend:
        """What computes the steps: what was asked for, if its arrays are those of the parameters; else their own."""
        homes = [home_of(p.value) for p in self._parameters]
        wanted = homes[0] if self._backend is None else self._backend
        for home, name in zip(homes, self._names, strict=True):
            if home is not wanted.home:
                raise BackendError(
                    f"{type(self).__name__}: {name} is on backend {home.label}, but steps are computed on "
                    f"{wanted.label}; put all parameters on one backend (Graph.add_variables)"
                    f"{'' if self._backend is None else ', or leave out backend='}"
                )
        return computing(self._parameters[0]._node.aval.place) if self._backend is None else wanted

    def _recorded(self, avals: list[Aval]) -> tuple[list[Node], list[Node]]:
        """A step recorded on arguments: their nodes, and those of new parameters and new moments."""
        kinds = self._formula.moments.values()
        moments = [intern_aval(aval.shape, _dtype(aval, real), place=aval.place) for aval in avals for real in kinds]
        numbers = [WEAK_FLOAT for _ in (*range(4), *self._formula.numbers(1, 0.0))]

        def step(*nodes: Node) -> list[Node]:
            tensors = iter([wrap(node) for node in nodes])
            parameters, gradients = [list(islice(tensors, len(avals))) for _ in range(2)]
            kept = [list(islice(tensors, len(kinds))) for _ in avals]
            rate, decay, norm, value, *own = tensors
            # A gradient is du/dx - i du/dy, and its conjugate points uphill.
            uphill = [np.conj(g) if g.dtype.kind == "c" else g for g in gradients]
            uphill = clipped(
                uphill, None if self._clip_value is None else value, None if self._clip_norm is None else norm
            )
            new_parameters: list[Tensor] = []
            new_moments: list[Tensor] = []
            for p, g, of in zip(parameters, uphill, kept, strict=True):
                if self._weight_decay and self._decoupled:
                    p = p * (1 - rate * decay)
                elif self._weight_decay:
                    g = g + decay * p
                new, moved = self._formula.update(p, g, of, *own)
                new_parameters.append(new)
                new_moments += moved
            return [t.node for t in (*new_parameters, *new_moments)]

        return trace(step, [*avals, *avals, *moments, *numbers])

    # --- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything that training goes on from: parameters, moments, and the number of steps.

        Returns
        -------
        dict of str to ndarray, int or str
            ``"optimizer"`` (its name), ``"steps"``, and copies of the arrays under names such as
            ``"parameters[0]"`` and ``"first_moment[0]"``.
        """
        return {
            "optimizer": type(self).__name__,
            "steps": self.steps,
            **{
                name: bring(array, get_backend(), copy=True)
                for name, array in zip(self._array_names(), self._arrays(), strict=True)
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave: parameters, moments and the number of steps.

        Parameters
        ----------
        state : dict
            Of the same kind of optimizer, with parameters of the same shapes and dtypes.

        Raises
        ------
        ArgumentError
            If it is of another optimizer, or has other arrays; nothing is changed then.
        ShapeError
            If an array has another shape or dtype.
        """
        found = checkpoint.check(state, type(self).__name__, self._expected(), "load_state_dict: the state")
        self._restore({name: x if name == "steps" else np.array(x) for name, x in found.items()})

    def save(self, path: str | Path) -> None:
        """Write what ``state_dict`` gives to a file in NumPy's format ``.npz``.

        Parameters
        ----------
        path : str or Path
            Where to. A file that is there stays as it was until the new one is complete and on the disk, also where
            several processes write to it at once: the last one wins.

        Raises
        ------
        ArgumentError
            If there is something at ``path`` that is no file.
        OSError
            If it cannot be written, such as for want of space; nothing is left behind then.

        Examples
        --------
        >>> import autodiff as ad
        >>> import numpy as np, tempfile, pathlib
        >>> w = ad.Tensor([1.0, 2.0])
        >>> optimizer = ad.optim.Adam([w], 0.1)
        >>> optimizer.step([np.ones(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     optimizer.save(pathlib.Path(folder) / "run.npz")
        ...     again = ad.optim.Adam([ad.Tensor(np.zeros(2))], 0.1)
        ...     again.load(pathlib.Path(folder) / "run.npz")
        >>> again
        Adam(1 parameters, rate=0.1, 1 steps)
        """
        checkpoint.write(checkpoint.file_path(path, "save"), self.state_dict())

    def load(self, path: str | Path) -> None:
        """Go on from what ``save`` wrote, as if training had never stopped: the same bits.

        Parameters
        ----------
        path : str or Path
            Of a file that an optimizer of the same kind wrote, with parameters of the same shapes and dtypes. The
            rate and other options are those of this optimizer.

        Raises
        ------
        ArgumentError
            If it is no such file, damaged, or of another optimizer; nothing is changed then. No more memory is taken
            than the state needs, whatever the file says of itself.
        ShapeError
            If an array has another shape or dtype.
        """
        found = checkpoint.read(checkpoint.file_path(path, "load"), type(self).__name__, self._expected())
        self._restore(found)

    def _expected(self) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Shape and dtype of each array of a state."""
        names, arrays = self._array_names(), self._arrays()
        return {name: home_of(a).aval_of(a) for name, a in zip(names, arrays, strict=True)}

    def _restore(self, state: dict[str, Any]) -> None:
        """Go on from a state that was checked, and whose arrays nobody else has."""
        arrays = [state[name] for name in self._array_names()]
        n = len(self._parameters)
        values = [bring(array, home_of(p.value)) for p, array in zip(self._parameters, arrays[:n], strict=True)]
        m = n + n * len(self._formula.moments)
        beside: list[Any] = []
        rest = arrays[m:]
        for keeper in self._all_keepers():
            count = len(keeper._state_arrays())
            beside += keeper._state_from(rest[:count])
            rest = rest[count:]
        self._commit(values, self._beside(arrays[n:m], self._moments.units), state["steps"], beside)

    def _all_keepers(self) -> list[Keeper]:
        """Those of this optimizer, and the schedule of its rate if that has a state."""
        rate = self.rate
        while isinstance(rate, WarmUp):
            rate = rate.schedule
        return [*self._keepers, rate] if isinstance(rate, ReduceOnPlateau) else self._keepers

    def _kept(self) -> list[Any]:
        """The moments of each parameter."""
        units, moments = self._moments
        return units.parted(moments, len(self._formula.moments))

    def _beside(self, kept: Sequence[Any], units: Units) -> Moments:
        """The moments of each parameter where its value is, then as those of units."""
        kinds = len(self._formula.moments)
        brought = [bring(m, home_of(self._parameters[i // kinds].value)) for i, m in enumerate(kept)]
        return Moments(units, units.joined(brought, kinds))

    def _arrays(self) -> list[Any]:
        beside = [array for keeper in self._all_keepers() for array in keeper._state_arrays().values()]
        return [*[p.value for p in self._parameters], *self._kept(), *beside]

    def _array_names(self) -> list[str]:
        """What the arrays are called in files: where parameters stand is part of it, their own names are not."""
        paths = leaf_names(self._structure)
        kinds = self._formula.moments
        names = [f"parameters{path}" for path in paths] + [f"{kind}{path}" for path in paths for kind in kinds]
        names += [name for keeper in self._all_keepers() for name in keeper._state_arrays()]
        return checkpoint.unique(names)


def _dtype(parameter: Tensor | Aval, real: bool) -> Any:
    """The dtype of a moment of a parameter, which may be real where that is complex."""
    return np.finfo(parameter.dtype).dtype if real else parameter.dtype
