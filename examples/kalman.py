"""Fit a local level model to the yearly flow of the Nile: the likelihood of a Kalman filter, and its derivatives."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import autodiff as ad

# Flow at Aswan, 1871 to 1970, in 10^8 cubic metres: Cobb, "The problem of the Nile", Biometrika 65 (1978).
FLOW = [
    1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140,
    1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969,
    831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759,
    781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890,
    744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740,
]  # fmt: skip
YEARS = np.arange(1871, 1971)


def levels(flow, noise, drift):
    """Yield for each year but the first what was not foreseen, its variance, and level and variance known after it.

    The level of the river moves at random from year to year, with variance ``drift``; a measurement has variance
    ``noise``. Nothing is known before the first year.
    """
    level, variance = flow[0], noise
    for value in flow[1:]:
        variance = variance + drift
        surprise, spread = value - level, variance + noise
        gain = variance / spread
        level, variance = level + gain * surprise, variance * (1 - gain)
        yield surprise, spread, level, variance


def negative_log_likelihood(logarithms, flow):
    """Return that of the years, for the logarithms of both variances."""
    noise, drift = np.exp(logarithms)
    total = 0.0
    for surprise, spread, _, _ in levels(flow, noise, drift):
        total = total + 0.5 * (np.log(2 * np.pi * spread) + surprise**2 / spread)
    return total


def main(argv=None):
    """Fit both variances, report them with their standard errors, save the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the picture")
    args = parser.parse_args(argv)

    flow = [float(x) for x in FLOW]
    likelihood = ad.function(ad.value_and_grad(lambda p: negative_log_likelihood(p, flow)))
    start = np.log(np.full(2, np.var(flow) / 2))
    fit = minimize(likelihood, start, jac=True, method="BFGS", options={"gtol": 1e-6})
    curvature = ad.hessian(lambda p: negative_log_likelihood(p, flow))(fit.x)
    variances = np.exp(fit.x)
    errors = variances * np.sqrt(np.diag(np.linalg.inv(curvature)))

    known = np.array([(level, np.sqrt(variance)) for _, _, level, variance in levels(flow, *variances)]).T
    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    axes.plot(YEARS, flow, "o-", color="0.6", markersize=3, linewidth=0.8, label="measured")
    axes.plot(YEARS[1:], known[0], color="C0", label="level, from the years before")
    low, high = known[0] - 1.645 * known[1], known[0] + 1.645 * known[1]
    axes.fill_between(YEARS[1:], low, high, color="C0", alpha=0.2, linewidth=0, label="90 % of its probability")
    axes.set(xlabel="year", ylabel="flow of the Nile at Aswan [$10^8$ m³ a year]", xlim=(YEARS[0], YEARS[-1]))
    axes.legend(frameon=False)
    args.output.mkdir(parents=True, exist_ok=True)
    picture = args.output / "kalman.png"
    figure.savefig(picture, dpi=150)
    names = ("of a measurement", "of the level in a year")
    for name, variance, error in zip(names, variances, errors, strict=True):
        print(f"variance {name}: {variance:.0f} ± {error:.0f}")
    print(f"log-likelihood {-fit.fun:.3f} after {fit.nit} steps; saved {picture}")
    return {"variances": variances, "errors": errors, "log_likelihood": -fit.fun, "picture": picture}


if __name__ == "__main__":
    main()
