"""The optimizers, with the defaults of PyTorch."""

from __future__ import annotations

from typing import Any

from ..arguments import flag, number
from ..backend import Backend
from ..errors import ArgumentError, shown
from ..tracebacks import boundaries
from .formulas import AdaptiveMoments, MeanSquare, Momentum, SignedMomentum
from .optimizer import Optimizer, Rate


@boundaries
class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    Parameters
    ----------
    parameters : list of Tensor
        What is trained, or nested lists, tuples and dicts. Not constant, of floating or complex dtypes.
    rate : float or callable, optional
        The learning rate, or a function that takes the number of steps taken so far and returns it.
    momentum : float, optional
        How much of its velocity a parameter keeps; less than 1.
    nesterov : bool, optional
        True for Nesterov's momentum, which looks ahead.
    weight_decay : float, optional
        This times the parameter is added to the gradient.
    clip_norm : float, optional
        A bound on the norm of all gradients together, as by ``clip_norm``.
    clip_value : float, optional
        A bound on each element of the gradients, as by ``clip_value``; before that on the norm.
    backend : str or Backend, optional
        What computes the steps; the library that the parameters' arrays are of if not given.

    Raises
    ------
    DifferentiationError
        If a parameter is no Tensor, is constant, or has a dtype without derivatives.
    ArgumentError
        If a number makes no sense, there are no parameters, or one is given twice.

    Notes
    -----
    With gradient g, rate a and momentum m::

        v = m * v + g
        p = p - a * v              nesterov: p - a * (g + m * v)

    For complex parameters g is the conjugate of what ``Graph.gradient`` gives.

    References
    ----------
    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964. Sutskever et al., "On the
    importance of initialization and momentum in deep learning", 2013.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> w = ad.Tensor([1.0, -2.0])
    >>> graph, optimizer = ad.Graph(), ad.optim.SGD([w], 0.25)
    >>> for _ in range(3):
    ...     optimizer.step(graph.gradient(np.sum(w**2), [w]))
    >>> w
    Tensor([ 0.125, -0.25 ])
    """

    def __init__(
        self,
        parameters: Any,
        rate: Rate = 1e-3,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        backend: str | Backend | None = None,
    ):
        momentum = number(momentum, "SGD: momentum", below=1.0)
        nesterov = flag(nesterov, "SGD: nesterov", ArgumentError)
        if nesterov and not momentum:
            raise ArgumentError("SGD: nesterov=True needs a momentum of more than 0")
        super().__init__(
            parameters,
            rate,
            Momentum(momentum, nesterov),
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            clip_value=clip_value,
            backend=backend,
        )


@boundaries
class RMSprop(Optimizer):
    """Gradients divided by the root of a running mean of their squares.

    Parameters
    ----------
    parameters : list of Tensor
        What is trained, or nested lists, tuples and dicts. Not constant, of floating or complex dtypes.
    rate : float or callable, optional
        The learning rate, or a function that takes the number of steps taken so far and returns it.
    decay : float, optional
        How much of the running means is kept in a step.
    epsilon : float, optional
        Added to the root.
    momentum : float, optional
        How much of its velocity a parameter keeps; less than 1.
    centered : bool, optional
        True to divide by the standard deviation: the mean of gradients is subtracted.
    weight_decay : float, optional
        This times the parameter is added to the gradient.
    clip_norm : float, optional
        A bound on the norm of all gradients together, as by ``clip_norm``.
    clip_value : float, optional
        A bound on each element of the gradients, as by ``clip_value``; before that on the norm.
    backend : str or Backend, optional
        What computes the steps; the library that the parameters' arrays are of if not given.

    Raises
    ------
    DifferentiationError
        If a parameter is no Tensor, is constant, or has a dtype without derivatives.
    ArgumentError
        If a number makes no sense, there are no parameters, or one is given twice.

    Notes
    -----
    With gradient g, rate a, decay d and momentum m::

        s = d * s + (1 - d) * |g|^2
        u = d * u + (1 - d) * g    centered only, else u = 0
        v = m * v + g / (sqrt(s - |u|^2) + epsilon)
        p = p - a * v

    For complex parameters g is the conjugate of what ``Graph.gradient`` gives.

    References
    ----------
    Tieleman and Hinton, "Lecture 6.5: RMSProp", Neural Networks for Machine Learning, 2012. Graves, "Generating
    sequences with recurrent neural networks", 2013, equations 38 to 41 (centered).

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> w = ad.Tensor([1.0, -200.0])
    >>> ad.optim.RMSprop([w], 0.01).step([2 * w.value])
    >>> w
    Tensor([   0.9, -199.9])
    """

    def __init__(
        self,
        parameters: Any,
        rate: Rate = 1e-2,
        decay: float = 0.99,
        epsilon: float = 1e-8,
        momentum: float = 0.0,
        centered: bool = False,
        weight_decay: float = 0.0,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        backend: str | Backend | None = None,
    ):
        formula = MeanSquare(
            number(decay, "RMSprop: decay", below=1.0),
            number(epsilon, "RMSprop: epsilon"),
            number(momentum, "RMSprop: momentum", below=1.0),
            flag(centered, "RMSprop: centered", ArgumentError),
        )
        super().__init__(
            parameters,
            rate,
            formula,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            clip_value=clip_value,
            backend=backend,
        )


@boundaries
class Adam(Optimizer):
    """Adaptive moment estimation.

    Parameters
    ----------
    parameters : list of Tensor
        What is trained, or nested lists, tuples and dicts. Not constant, of floating or complex dtypes.
    rate : float or callable, optional
        The learning rate, or a function that takes the number of steps taken so far and returns it.
    betas : pair of float, optional
        How much of the running means of gradients and of their squares is kept in a step.
    epsilon : float, optional
        Added to the root.
    weight_decay : float, optional
        This times the parameter is added to the gradient; see ``AdamW`` for the better way.
    amsgrad : bool, optional
        True to divide by the greatest mean of squares so far.
    clip_norm : float, optional
        A bound on the norm of all gradients together, as by ``clip_norm``.
    clip_value : float, optional
        A bound on each element of the gradients, as by ``clip_value``; before that on the norm.
    backend : str or Backend, optional
        What computes the steps; the library that the parameters' arrays are of if not given.

    Raises
    ------
    DifferentiationError
        If a parameter is no Tensor, is constant, or has a dtype without derivatives.
    ArgumentError
        If a number makes no sense, there are no parameters, or one is given twice.

    Notes
    -----
    With gradient g, rate a, and betas b and c, in step t = 1, 2 ...::

        m = b * m + (1 - b) * g
        v = c * v + (1 - c) * |g|^2
        p = p - a * (m / (1 - b^t)) / (sqrt(v / (1 - c^t)) + epsilon)

    With amsgrad the greatest v so far stands in its place. For complex parameters g is the conjugate of what
    ``Graph.gradient`` gives, and v is real; PyTorch treats real and imaginary parts as two parameters.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", 2015. Reddi, Kale and Kumar, "On the convergence
    of Adam and beyond", 2018 (amsgrad).

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> w = ad.Tensor([1.0, -200.0])
    >>> ad.optim.Adam([w], 0.1).step([2 * w.value])
    >>> w
    Tensor([   0.9, -199.9])
    """

    def __init__(
        self,
        parameters: Any,
        rate: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        backend: str | Backend | None = None,
    ):
        formula = _adaptive("Adam", betas, epsilon, amsgrad)
        super().__init__(
            parameters,
            rate,
            formula,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            clip_value=clip_value,
            backend=backend,
        )


@boundaries
class AdamW(Optimizer):
    """Adam with decoupled weight decay: parameters shrink by themselves, not as a part of the gradient.

    Parameters
    ----------
    parameters : list of Tensor
        What is trained, or nested lists, tuples and dicts. Not constant, of floating or complex dtypes.
    rate : float or callable, optional
        The learning rate, or a function that takes the number of steps taken so far and returns it.
    betas : pair of float, optional
        How much of the running means of gradients and of their squares is kept in a step.
    epsilon : float, optional
        Added to the root.
    weight_decay : float, optional
        The rate times this is how much a parameter shrinks in a step.
    amsgrad : bool, optional
        True to divide by the greatest mean of squares so far.
    clip_norm : float, optional
        A bound on the norm of all gradients together, as by ``clip_norm``.
    clip_value : float, optional
        A bound on each element of the gradients, as by ``clip_value``; before that on the norm.
    backend : str or Backend, optional
        What computes the steps; the library that the parameters' arrays are of if not given.

    Raises
    ------
    DifferentiationError
        If a parameter is no Tensor, is constant, or has a dtype without derivatives.
    ArgumentError
        If a number makes no sense, there are no parameters, or one is given twice.

    Notes
    -----
    With rate a and weight decay d, ``p = p * (1 - a * d)`` comes before the step of ``Adam``.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> w = ad.Tensor([1.0, -200.0])
    >>> ad.optim.AdamW([w], 0.1, weight_decay=0.5).step([2 * w.value])
    >>> w
    Tensor([   0.85, -189.9 ])
    """

    def __init__(
        self,
        parameters: Any,
        rate: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        backend: str | Backend | None = None,
    ):
        super().__init__(
            parameters,
            rate,
            _adaptive("AdamW", betas, epsilon, amsgrad),
            weight_decay=weight_decay,
            decoupled=True,
            clip_norm=clip_norm,
            clip_value=clip_value,
            backend=backend,
        )


@boundaries
class Lion(Optimizer):
    """Steps of one size, by the sign of a mix of gradients: half of Adam's memory, a rate of about a tenth of its.

    Parameters
    ----------
    parameters : list of Tensor
        What is trained, or nested lists, tuples and dicts. Not constant, of floating or complex dtypes.
    rate : float or callable, optional
        The learning rate, or a function that takes the number of steps taken so far and returns it.
    betas : pair of float, optional
        How much of the running mean is in the mix that gives the sign, and how much of it is kept in a step.
    weight_decay : float, optional
        The rate times this is how much a parameter shrinks in a step.
    clip_norm : float, optional
        A bound on the norm of all gradients together, as by ``clip_norm``.
    clip_value : float, optional
        A bound on each element of the gradients, as by ``clip_value``; before that on the norm.
    backend : str or Backend, optional
        What computes the steps; the library that the parameters' arrays are of if not given.

    Raises
    ------
    DifferentiationError
        If a parameter is no Tensor, is constant, or has a dtype without derivatives.
    ArgumentError
        If a number makes no sense, there are no parameters, or one is given twice.

    Notes
    -----
    With gradient g, rate a, betas b and c, and weight decay d::

        p = p * (1 - a * d) - a * sign(b * m + (1 - b) * g)
        m = c * m + (1 - c) * g

    For complex parameters g is the conjugate of what ``Graph.gradient`` gives, and the sign of z is ``z / |z|``.

    References
    ----------
    Chen et al., "Symbolic discovery of optimization algorithms", 2023, algorithm 2.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> w = ad.Tensor([1.0, -200.0])
    >>> ad.optim.Lion([w], 0.1).step([2 * w.value])
    >>> w
    Tensor([   0.9, -199.9])
    """

    def __init__(
        self,
        parameters: Any,
        rate: Rate = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        backend: str | Backend | None = None,
    ):
        super().__init__(
            parameters,
            rate,
            SignedMomentum(*_betas("Lion", betas)),
            weight_decay=weight_decay,
            decoupled=True,
            clip_norm=clip_norm,
            clip_value=clip_value,
            backend=backend,
        )


def _betas(what: str, betas: tuple[float, float]) -> tuple[float, float]:
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise ArgumentError(f"{what}: betas={shown(betas)} must be two numbers")
    return (
        number(betas[0], f"{what}: betas[0]", below=1.0),
        number(betas[1], f"{what}: betas[1]", below=1.0),
    )


def _adaptive(what: str, betas: tuple[float, float], epsilon: float, amsgrad: bool) -> AdaptiveMoments:
    return AdaptiveMoments(
        *_betas(what, betas),
        number(epsilon, f"{what}: epsilon"),
        flag(amsgrad, f"{what}: amsgrad", ArgumentError),
    )
