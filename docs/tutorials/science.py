r"""
Derivatives for science
=======================

Fit a model and know its errors, solve a large sparse system, fit a differential equation: three things that take a
derivative each, and a page each in most libraries.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import optimize, sparse

import autodiff as ad

rng = np.random.default_rng(0)

# %%
# A fit with standard errors: the Hessian
# ---------------------------------------
#
# Counts of a detector: a line over a background. The likelihood is a function of four parameters in plain NumPy. SciPy
# finds its maximum with our gradient, and the Hessian there gives the errors.

energy = np.linspace(0, 10, 100)


def expected(p):
    """Counts: height, position [keV], width [keV], background."""
    return np.exp(p[0]) * np.exp(-0.5 * ((energy - p[1]) / p[2]) ** 2) + np.exp(p[3])


truth = np.array([np.log(40), 4.0, 0.7, np.log(8)])
counts = rng.poisson(expected(truth))


def negative_log_likelihood(p):
    rate = expected(p)
    return np.sum(rate - counts * np.log(rate))


fit = optimize.minimize(
    ad.value_and_grad(negative_log_likelihood),
    np.array([3.0, 5.0, 1.0, 1.0]),
    jac=True,
    hess=ad.hessian(negative_log_likelihood),
    method="trust-exact",
)
covariance = np.linalg.inv(ad.hessian(negative_log_likelihood)(fit.x))
for name, value, error in zip(["position", "width"], fit.x[1:3], np.sqrt(np.diag(covariance))[1:3]):
    print(f"{name}: ({value:.3f} ± {error:.3f}) keV")

# %%
# The error of the curve itself is one more derivative, by the parameters: the band is ± one standard deviation.

slopes = ad.jacobian(expected)(fit.x)
deviation = np.sqrt(np.sum(slopes @ covariance * slopes, axis=1))
curve = expected(fit.x)

figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
axes.step(energy, counts, where="mid", color="0.6", linewidth=0.9, label="counted")
axes.plot(energy, curve, color="C0", label="fitted")
axes.fill_between(energy, curve - deviation, curve + deviation, color="C0", alpha=0.3, linewidth=0, label="± 1 σ")
axes.set(xlabel="energy [keV]", ylabel="counts in a channel", xlim=(0, 10), ylim=(0, None))
axes.legend(frameon=False)

# %%
# A boundary value problem: the sparse Jacobian
# ---------------------------------------------
#
# Bratu's equation u″ + λ exp(u) = 0 on 10,000 points. Each equation knows three unknowns, so the Jacobian has 30,000
# entries and not 100 million. ``sparse=True`` finds where they are, and computes all of them in three products.

points = 10_000
width = 1 / (points + 1)


def bratu(u, strength):
    padded = np.pad(u, 1)
    return (padded[2:] - 2 * u + padded[:-2]) / width**2 + strength * np.exp(u)


jacobian = ad.function(ad.jacobian(bratu, sparse=True))
u = np.zeros(points)
steps = 0
while np.max(np.abs(residual := bratu(u, 3.0))) > 1e-5:
    u = u - sparse.linalg.spsolve(sparse.csc_array(jacobian(u, 3.0)), residual)
    steps += 1
print(f"{steps} steps of Newton's method; the Jacobian has {jacobian(u, 3.0).nnz:,} entries; u(1/2) = {u.max():.6f}")

# %%
# The pattern, for twenty points:

ad.sparsity(lambda u: bratu(u, 3.0), np.zeros(20))

# %%
# A differential equation, fitted
# -------------------------------
#
# Prey and predators. :func:`autodiff.odeint` integrates with SciPy, and has derivatives by the initial state, the times
# and the parameters. So least squares may fit the four rates to what was counted.


def lotka_volterra(state, t, rates):
    prey, predators = state
    return np.stack(
        [
            rates[0] * prey - rates[1] * prey * predators,
            rates[2] * prey * predators - rates[3] * predators,
        ]
    )


times = np.linspace(0, 12, 25)
start = np.array([2.0, 1.0])
true_rates = np.array([1.1, 0.6, 0.3, 0.8])
counted = ad.odeint(lotka_volterra, start, times, true_rates) * rng.lognormal(0, 0.08, (25, 2))


def residuals(rates):
    return np.ravel(np.log(ad.odeint(lotka_volterra, start, times, rates)) - np.log(counted))


found = optimize.least_squares(residuals, np.array([0.8, 0.5, 0.4, 1.0]), jac=ad.jacobian(residuals))
print("rates:", found.x.round(2), "after", found.nfev, "evaluations")

# %%
fine = np.linspace(0, 12, 200)
figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
for i, (name, colour) in enumerate([("prey", "C2"), ("predators", "C3")]):
    axes.plot(times, counted[:, i], "o", color=colour, markersize=4, label=f"{name}, counted")
    axes.plot(fine, ad.odeint(lotka_volterra, start, fine, found.x)[:, i], color=colour, label=f"{name}, fitted")
axes.set(xlabel="time [years]", ylabel="animals [thousands]", xlim=(0, 12), ylim=(0, None))
axes.legend(frameon=False, ncols=2)

# %%
# Where next
# ----------
#
# - :doc:`/howto/scipy`: which argument of which solver of SciPy takes which derivative.
# - :doc:`/gallery/kalman`, :doc:`/gallery/gaussian_process`, :doc:`/gallery/fft_filter`, :doc:`/gallery/fluid`.
# - :doc:`/guide`: solvers whose results have derivatives, loops that are one operation, memory limits.
