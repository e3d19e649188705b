"""Design a digital filter by its frequency response: the coefficients follow the gradient of what it lets through."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

import autodiff as ad

TAPS = 41
POINTS = 1024  # of the discrete Fourier transform
RATE = 48_000  # samples a second
PASS, STOP = 8_000, 10_000  # hertz: what is below passes, what is above does not
SHARPNESS = 600.0  # of the smooth greatest deviation


def response(half):
    """Return how much of each frequency passes a filter that is symmetric, given one half of it and its middle."""
    taps = np.concatenate([half, half[-2::-1]])
    return np.abs(np.fft.rfft(taps, POINTS))


def deviation(half, wanted, matters):
    """Return about the greatest deviation from what is wanted, where it matters."""
    errors = SHARPNESS * np.abs(response(half) - wanted)[matters]
    top = np.max(errors)
    return (top + np.log(np.mean(np.exp(errors - top)))) / SHARPNESS


def main(argv=None):
    """Optimise the coefficients, report what passes, save the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the picture")
    parser.add_argument("--steps", type=int, default=500, help="steps of the optimizer")
    args = parser.parse_args(argv)

    frequencies = np.fft.rfftfreq(POINTS, 1 / RATE)
    wanted = np.where(frequencies < (PASS + STOP) / 2, 1.0, 0.0)
    matters = (frequencies <= PASS) | (frequencies >= STOP)
    # The usual design, to begin with and to compare: the ideal filter, cut off by a window.
    order = np.arange(TAPS) - TAPS // 2
    cutoff = (PASS + STOP) / RATE
    windowed = cutoff * np.sinc(cutoff * order) * np.hamming(TAPS)
    half = ad.Tensor(windowed[: TAPS // 2 + 1])

    graph = ad.Graph()
    graph.add_variables(half)
    optimizer = ad.optim.Adam([half], ad.optim.Cosine(3e-4, args.steps))
    losses = []
    progress = tqdm(range(args.steps), unit="step")
    for _ in progress:
        value, gradients = graph.value_and_gradient(deviation(half, wanted, matters), [half])
        optimizer.step(gradients)
        losses.append(float(value))
        if len(losses) % 100 == 0:
            progress.set_postfix(deviation=f"{losses[-1]:.4f}")

    before = response(windowed[: TAPS // 2 + 1])
    after = np.asarray(response(half))
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", width_ratios=[1.6, 1])
    for name, curve, colour in (("window", before, "0.6"), ("optimised", after, "C0")):
        left.plot(frequencies / 1000, 20 * np.log10(np.maximum(curve, 1e-6)), color=colour, label=name)
    left.axvspan(PASS / 1000, STOP / 1000, color="0.9", label="does not matter")
    left.set(xlabel="frequency [kHz]", ylabel="response [dB]", ylim=(-80, 5), xlim=(0, RATE / 2000))
    left.legend(frameon=False)
    right.semilogy(losses, color="C0")
    right.set(xlabel="step", ylabel="greatest deviation, smoothed")
    args.output.mkdir(parents=True, exist_ok=True)
    picture = args.output / "fft_filter.png"
    figure.savefig(picture, dpi=150)
    worst = [np.max(np.abs(curve - wanted)[matters]) for curve in (before, after)]
    print(f"greatest deviation {worst[0]:.4f} with a window, {worst[1]:.4f} optimised; saved {picture}")
    return {
        "window": worst[0],
        "optimised": worst[1],
        "losses": losses,
        "cache": graph.cache_info(),
        "picture": picture,
    }


if __name__ == "__main__":
    main()
