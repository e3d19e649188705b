r"""
autodiff in ten minutes
=======================

From an array to a picture of a function's derivatives, and to the fastest form of each. You know NumPy, and that is
enough. Install it first::

    pip install autodiff-numpy matplotlib
"""

import matplotlib.pyplot as plt
import numpy as np

import autodiff as ad

# %%
# A function and its slope
# ------------------------
#
# Write a function as you always did, with NumPy. :func:`autodiff.grad` makes of it the function of its derivative.


def f(x):
    return np.sin(x**2 * np.tanh(x))


slope = ad.grad(f)
f(1.0), slope(1.0)

# %%
# The derivative is exact, not a difference of two values:

step = 1e-6
slope(1.0) - (f(1.0 + step) - f(1.0 - step)) / (2 * step)

# %%
# It is a function as well, and has a derivative again. For a whole array of points, each with its own derivative, there
# are :func:`autodiff.elementwise_grad` and, for higher orders, :func:`autodiff.nth_derivative`.

x = np.linspace(-2, 2, 400)
orders = {"f": f(x), "f′": ad.elementwise_grad(f)(x)}
orders |= {"f″": ad.nth_derivative(f, 2)(x), "f‴": ad.nth_derivative(f, 3)(x)}

figure, panels = plt.subplots(4, 1, sharex=True, figsize=(7, 6), layout="constrained")
for axes, (name, curve), colour in zip(panels, orders.items(), ["0.3", "C0", "C1", "C2"]):
    axes.axhline(0, color="0.85", linewidth=0.8)
    axes.plot(x, curve, color=colour)
    axes.set(ylabel=f"{name}(x)")
panels[-1].set(xlabel="x", xlim=(-2, 2))
figure.suptitle("f(x) = sin(x² tanh x) and its derivatives")

# %%
# Many arguments
# --------------
#
# The gradient with respect to an array is an array of the same shape. Arguments may also be lists, tuples, dicts or
# dataclasses of arrays: the gradient is one of the same form.


def loss(parameters, x, y):
    return np.mean((x @ parameters["weights"] + parameters["bias"] - y) ** 2)


parameters = {"weights": np.array([1.0, -1.0]), "bias": 0.5}
inputs, targets = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.0, 1.0])
ad.value_and_grad(loss)(parameters, inputs, targets)

# %%
# Other derivatives
# -----------------
#
# All of them take a function and give a function, and may be nested in any order.


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


point = np.array([-1.2, 1.0, 0.5])
ad.hessian(rosenbrock)(point)

# %%
# The product of that matrix and a vector, without the matrix:

ad.hvp(rosenbrock)(point, np.ones(3))

# %%
# One gradient for each row of a batch:

ad.vmap(ad.grad(rosenbrock))(np.linspace(0, 1, 12).reshape(4, 3))

# %%
# The same, step by step
# ----------------------
#
# Underneath there are two things. A :class:`autodiff.Tensor` is an array that remembers what was done to it: nothing is
# computed until somebody looks. A :class:`autodiff.Graph` differentiates what was recorded, compiles the derivative,
# and keeps it for the next time the same computation comes along.

a = ad.Tensor([1.0, 2.0, 3.0])
b = np.sum(np.sin(a) * a)

graph = ad.Graph()
graph.add_variables(a)
graph.gradient(b, [a])

# %%
# What ran is NumPy code, and can be read:

print(graph.source(b, [a]))

# %%
# Fast, for loops
# ---------------
#
# :func:`autodiff.function` traces a function once for each set of shapes, and then calls the compiled code only. With
# ``pip install "autodiff-numpy[llvm]"`` what is called often becomes machine code by itself, in the background.

descend = ad.function(lambda x: x - 1e-3 * ad.grad(rosenbrock)(x))
for _ in range(2_000):
    point = descend(point)
point, descend.cache_info()

# %%
# Where next
# ----------
#
# - :doc:`/learn/training`: a network, an optimizer, a file to go on from.
# - :doc:`/learn/science`: Hessians, sparse Jacobians, differential equations.
# - :doc:`/guide`: everything, one section each.
# - You come from another library: :doc:`/howto/from_jax`, :doc:`/howto/from_pytorch`, :doc:`/howto/from_autograd`,
#   :doc:`/howto/from_mygrad`.
