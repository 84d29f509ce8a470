"""How ν, κ and t change a path: the pictures of docs/choosing.md and the tables of docs/notes/choosing.md.

    python benchmarks/choosing.py --out docs/images

Images are scikit-image's camera and astronaut, shrunk to 128×128 by means of blocks of 4×4 pixels.
"""

import argparse
import dataclasses
import platform
import time
from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.restoration import denoise_tv_chambolle

from isvs_jax import ScaleSpace, SplitLBI, piecewise_constant, plotting, scale_space, smooth_until

TIMES = np.arange(1.0, 41.0)
NUS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
KAPPAS = (1.0, 2.0, 5.0, 10.0, 20.0)
SIGMAS = (0.05, 0.1, 0.15, 0.2)
DPI = 100


def photograph(name: str) -> np.ndarray:
    """A photograph of scikit-image as float32 [128, 128, C] in [0, 1]."""
    levels = np.asarray(getattr(data, name)(), np.float32) / 255
    return levels.reshape(128, 4, 128, 4, -1).mean(axis=(1, 3))


def with_noise(image: np.ndarray, sigma: float) -> np.ndarray:
    """The image with Gaussian noise of standard deviation σ, not clipped."""
    noise = np.random.default_rng(0).normal(size=image.shape)
    return (image + sigma * noise).astype(np.float32)


def euler(kappa: float = 5.0, nu: float = 0.1) -> SplitLBI:
    """Euler steps on one grid, 95% of the stability bound: cheaper where many times of a path are recorded."""
    solver = SplitLBI(kappa=kappa, nu=nu)
    return dataclasses.replace(solver, step_size=float(solver.default_step_size))


def steps_to_8(solver: SplitLBI) -> int:
    """How many steps of this solver t = 8 takes."""
    return ceil(8 / float(solver.step_size))


def psnr(image: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """PSNR in dB of images [..., H, W, C], the peak at 1."""
    return -10 * np.log10(np.mean((np.asarray(image, np.float64) - clean) ** 2, axis=(-3, -2, -1)))


def best_along(path: ScaleSpace, noisy: np.ndarray, clean: np.ndarray) -> str:
    """Cells of a table: the best time and PSNR of the dense and of the sparse image."""
    cells = []
    for images in (path.dense, piecewise_constant(noisy, path.support)):
        values = psnr(images, clean)
        cells.append(f"{float(path.times[values.argmax()]):.3g} | {values.max():.1f}")
    return " | ".join(cells)


def strip(out: Path) -> None:
    """The astronaut along its path."""
    image = photograph("astronaut")
    figure = plotting.scale_space_strip(image, scale_space(image, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]))
    figure.savefig(out / "choosing_strip.png", dpi=DPI)


def stripe_entry(width: int, height: float, nu: float) -> tuple[float, float]:
    """When a stripe of this width and height enters: along the flow, and by the formula of docs/choosing.md."""
    image = np.zeros((1, 512, 1), np.float32)
    image[:, 256 : 256 + width] = height
    formula = sqrt(nu * (nu + 4)) / (height * (1 - _decay(nu) ** width))
    solver = SplitLBI(nu=nu)
    # A fortieth of the bound: the entry is found to within one step.
    solver = SplitLBI(nu=nu, step_size=float(solver.stability_bound) / 40)
    entered = smooth_until(image, 1e-6, 3 * formula, solver)
    return float(entered.time), formula


def _decay(nu: float) -> float:
    """By which factor the influence of an edge falls from one pixel to the next."""
    return 1 + nu / 2 - sqrt((1 + nu / 2) ** 2 - 1)


def order_of_scales(out: Path) -> None:
    """A wide low stripe and a narrow high one against ν."""
    print(
        "| ν | reach in pixels | wide, measured | formula | narrow, measured | formula | first |\n" + "|---" * 7 + "|"
    )
    stripes = {"wide and low: 50 px × 0.5": (50, 0.5), "narrow and high: 5 px × 1.0": (5, 1.0)}
    entries = np.array([[stripe_entry(*stripe, nu) for stripe in stripes.values()] for nu in NUS])
    for nu, (wide, narrow) in zip(NUS, entries, strict=True):
        cells = [f"{value:.3f}" for value in (*wide, *narrow)]
        first = "wide" if wide[0] < narrow[0] else "narrow"
        print(f"| {nu:g} | {-1 / np.log(_decay(nu)):.1f} | " + " | ".join(cells) + f" | {first} |")
    figure = Figure(figsize=(5.0, 3.4), layout="constrained")
    ax = figure.subplots()
    for column, (label, colour, marker) in enumerate(zip(stripes, plotting.COLOURS, "os", strict=False)):
        ax.loglog(NUS, entries[:, column, 1], color=colour, linestyle=("-", "--")[column], label=label)
        ax.loglog(NUS, entries[:, column, 0], color=colour, linestyle="", marker=marker, markersize=5)
    ax.set(xlabel="ν", ylabel="time of entry")
    ax.legend(fontsize=8, title="lines: formula, points: measured", title_fontsize=8)
    ax.grid(alpha=0.3)
    figure.savefig(out / "choosing_nu_order.png", dpi=DPI)


def pictures_by_nu(out: Path, fractions: Sequence[float] = (0.02, 0.05, 0.1, 0.2)) -> None:
    """The camera where the same share of its edges has entered, for three ν."""
    image = photograph("camera")
    figure = Figure(figsize=(1.55 * len(fractions) + 1.9, 9.6), layout="constrained")
    # The smaller ν, the more steps to a time: none goes further than it must.
    for part, (nu, last) in zip(figure.subfigures(3, 1), ((0.01, 36.0), (0.1, 40.0), (1.0, 120.0)), strict=True):
        solver = euler(nu=nu)
        copies = jnp.repeat(image[None], len(fractions), axis=0)
        stopped = smooth_until(copies, np.array(fractions), last, solver)
        assert np.asarray(stopped.reached).all(), (nu, stopped.fraction)
        path = scale_space(image, stopped.time, solver)
        axes = part.subplots(2, 1 + len(fractions))
        plotting.scale_space_strip(image, path, axes=axes)
        for ax, fraction, when in zip(axes[0, 1:], fractions, path.times, strict=True):
            ax.set_title(f"{100 * fraction:g}% of edges, t = {float(when):.2g}", fontsize=7)
        part.suptitle(f"ν = {nu:g}", fontsize=10)
    figure.savefig(out / "choosing_nu.png", dpi=DPI)


def denoising_by_nu(sigma: float = 0.1) -> None:
    """The best PSNR of the noisy camera for each ν."""
    clean = photograph("camera")
    noisy = with_noise(clean, sigma)
    print("| ν | dense: best t | PSNR | sparse: best t | PSNR | Euler steps to t = 8 |\n" + "|---" * 6 + "|")
    for nu in NUS:
        solver = euler(nu=nu)
        # An edge enters at √(ν(ν + 4))/h and later: the times are scaled by what ν alone changes.
        times = TIMES * sqrt(nu * (nu + 4)) / sqrt(0.1 * 4.1)
        path = scale_space(noisy, np.round(times, 3), solver)
        print(f"| {nu:g} | {best_along(path, noisy, clean)} | {steps_to_8(solver)} |")


def effect_of_kappa(sigma: float = 0.1) -> None:
    """Steps, distance from the flow of large κ and best PSNR, for each κ."""
    clean = photograph("camera")
    noisy = with_noise(clean, sigma)
    limit = scale_space(noisy, TIMES, euler(kappa=80.0)).dense[7]
    print("| κ | Euler steps to t = 8 | distance at t = 8 from κ = 80 | dense: best t | PSNR | sparse: best t | PSNR |")
    print("|---" * 7 + "|")
    for kappa in KAPPAS:
        solver = euler(kappa=kappa)
        path = scale_space(noisy, TIMES, solver)
        distance = float(jnp.linalg.norm(path.dense[7] - limit) / jnp.linalg.norm(limit - limit.mean()))
        print(f"| {kappa:g} | {steps_to_8(solver)} | {100 * distance:.1f}% | {best_along(path, noisy, clean)} |")


def denoising_by_time(out: Path) -> None:
    """The best time for each level of noise, beside the best Gaussian blur and the best total variation."""
    print("| image | σ | noisy | dense: best t | PSNR | sparse: best t | PSNR | best Gaussian blur | best ROF |")
    print("|---" * 9 + "|")
    figure = Figure(figsize=(9.0, 6.4), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    for name in ("camera", "astronaut"):
        clean = photograph(name)
        for sigma, ax in zip(SIGMAS, axes, strict=True):
            noisy = with_noise(clean, sigma)
            path = scale_space(noisy, TIMES, euler())
            blur = max(psnr(gaussian_filter(noisy, (s, s, 0), mode="nearest"), clean) for s in np.arange(0.3, 2, 0.05))
            weights = sigma * np.arange(0.4, 2.0, 0.1)
            rof = max(psnr(denoise_tv_chambolle(noisy, weight=w, channel_axis=-1), clean) for w in weights)
            row = f"{psnr(noisy, clean):.1f} | {best_along(path, noisy, clean)} | {blur:.1f} | {rof:.1f}"
            print(f"| {name} | {sigma:g} | {row} |")
            if name == "camera":
                plotting.denoising_curves(noisy, clean, path, ax=ax)
                ax.set_title(f"σ = {sigma:g}", fontsize=10)
                ax.set_ylim(10, 34)
    figure.savefig(out / "choosing_time.png", dpi=DPI)


def support_of_noise(out: Path) -> None:
    """Entered edges and their times, of the camera without and with noise."""
    clean = photograph("camera")
    both = np.stack([clean, with_noise(clean, 0.1)])
    names = ["clean", "noise σ = 0.1"]
    figure = Figure(figsize=(9.6, 3.0), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.35))
    plotting.support_size(scale_space(both, TIMES[::2], euler()), names=names, share=True, ax=left.subplots())
    plotting.entry_times(scale_space(both, [1.0, 2.0, 4.0, 8.0, 16.0]), names=names, axes=right.subplots(1, 2))
    figure.savefig(out / "choosing_support.png", dpi=DPI)


def penalties(out: Path) -> None:
    """The astronaut at one time under the three penalties."""
    image = photograph("astronaut")
    paths = [scale_space(image, [4.0, 8.0], SplitLBI(penalty=penalty)) for penalty in PENALTIES]
    figure = Figure(figsize=(5.6, 4.6), layout="constrained")
    axes = figure.subplots(3, 3)
    for row, penalty, path in zip(axes, PENALTIES, paths, strict=True):
        plotting.scale_space_strip(image, path, ["sparse"], names=[penalty], axes=row)
    print("| penalty | edges entered in some channel at t = 4 | in each channel, on average |\n" + "|---" * 3 + "|")
    for penalty, path in zip(PENALTIES, paths, strict=True):
        entered = [np.broadcast_to(edge[0], (*edge.shape[1:-1], 3)) for edge in path.support]
        total = sum(edge.size for edge in entered)
        somewhere = sum(edge.any(-1).sum() for edge in entered) / (total / 3)
        values = sum(edge.sum() for edge in entered) / total
        print(f"| {penalty} | {100 * somewhere:.1f}% | {100 * values:.1f}% |")
    figure.savefig(out / "choosing_penalty.png", dpi=DPI)


PENALTIES = ("color", "anisotropic", "isotropic")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the folder of the pictures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    parts = (
        lambda: strip(out),
        lambda: order_of_scales(out),
        lambda: pictures_by_nu(out),
        denoising_by_nu,
        effect_of_kappa,
        lambda: denoising_by_time(out),
        lambda: support_of_noise(out),
        lambda: penalties(out),
    )
    for part in parts:
        before = time.perf_counter()
        part()
        print(f"({time.perf_counter() - before:.0f} s)\n", flush=True)
    print(f"{platform.machine()}, jax {jax.__version__}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
