"""The path as a denoiser beside total variation, each at its best parameter for each image: docs/denoising.md.

    python benchmarks/denoising.py --data ../shared/data/natural --out results/denoising
    python benchmarks/denoising.py --data ../shared/data/natural --out results/denoising_choice --choose

The first makes the tables and the picture of the page: Set12 and BSD68 (grey), and the Kodak photographs of even number
(colour, 256×256 pixels of the middle). The second is how ν, κ and the penalty were chosen, on the Kodak photographs of
odd number in grey. Without --data, photographs of scikit-image. The noise is white, Gaussian, not clipped, seeded by
the name of the image.

OUT/denoising.json is written after every image, and a run that was stopped goes on from there.
"""

import argparse
import json
import os
import platform
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import skimage
from matplotlib.figure import Figure
from scipy import stats
from skimage.restoration import denoise_tv_bregman, denoise_tv_chambolle
from tqdm import tqdm

from isvs_jax import Edges, SplitLBI, piecewise_constant
from isvs_jax.plotting import COLOURS

CROP = 256
# Neighbouring weights of total variation.
RATIO = 1.08
# Tolerance and iterations of denoise_tv_chambolle: its defaults, and converged to about 0.01 dB.
STOPS = ({}, {"eps": 1e-6, "max_num_iter": 2000})
# The path is looked at 80 times up to t = 2/σ, the sparse image at every fourth of them.
RECORDS, LAST = 80, 2.0


class Setting(NamedTuple):
    """A flow. `nu` is ν itself, or ν·σ where `by_noise`; `readings` are what is taken from the path."""

    penalty: str
    kappa: float
    nu: float
    by_noise: bool
    readings: tuple[str, ...]

    def solver(self, sigma: float) -> SplitLBI:
        return SplitLBI(self.kappa, self.nu / sigma if self.by_noise else self.nu, self.penalty)


READINGS = ("u(t)", "mean of u", "sparse")
# ν = 0.1 is the default of the library, κ = 1 stands for its 5, at a fifth of the steps; the other is what GRID gave.
SETTINGS = {
    "ν = 0.1": Setting("color", 1.0, 0.1, False, READINGS),
    "ν = 0.03/σ": Setting("color", 0.5, 0.03, True, READINGS),
}
GRID = {
    f"{penalty}, κ = {kappa:g}, νσ = {nu:g}": Setting(penalty, kappa, nu, True, ("u(t)", "mean of u"))
    for penalty in ("color", "isotropic")
    for kappa in (0.25, 0.5, 1.0)
    for nu in (0.015, 0.02, 0.03, 0.04)
}


class Case(NamedTuple):
    """An image of a set, how to read it, and the noise on it."""

    group: str
    path: Path
    grey: bool
    crop: bool
    level: int

    @property
    def key(self) -> str:
        return f"{self.group}/{self.path.stem}/{self.level}"


def cases(data: Path | None, levels: list[int], every: int, choose: bool) -> list[Case]:
    """What is measured: the images of every set at every noise level; of BSD68 and Kodak one in `every`."""
    if data is None:
        from skimage import data as samples

        files = {"scikit-image": [Path(samples.data_dir) / name for name in ("camera.png", "astronaut.png")]}
        modes = {"scikit-image": (False, True)}
    else:
        kodak = sorted((data / "kodak").glob("*.png"))
        odd, even = kodak[0::2], kodak[1::2]
        if choose:
            files, modes = {"Kodak, grey": odd}, {"Kodak, grey": (True, True)}
        else:
            names = {"Set12": "set12", "BSD68": "bsd68_gray"}
            files = {group: sorted((data / name).glob("*.png")) for group, name in names.items()} | {"Kodak": even}
            modes = {"Set12": (True, False), "BSD68": (True, False), "Kodak": (False, True)}
    for group, paths in files.items():
        if not paths:
            raise ValueError(f"--data is {str(data)!r}, where no images of {group} are.")
    return [
        Case(group, path, *modes[group], level)
        for group, paths in files.items()
        for path in (paths[::every] if group.startswith(("BSD68", "Kodak")) else paths)
        for level in levels
    ]


def read(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The clean and the noisy image of a case, float64 and float32 [H, W, C]."""
    from PIL import Image

    with Image.open(case.path) as image:
        clean = np.asarray(image.convert("L") if case.grey else image, np.float64) / 255
    clean = clean.reshape(*clean.shape[:2], -1)
    if case.crop:
        top, left = ((extent - CROP) // 2 for extent in clean.shape[:2])
        clean = clean[top : top + CROP, left : left + CROP]
    noise = np.random.default_rng(zlib.crc32(case.key.encode())).normal(size=clean.shape)
    return clean, (clean + case.level / 255 * noise).astype(np.float32)


def psnr(image: np.ndarray, clean: np.ndarray) -> float:
    """PSNR in dB, the peak at 1; nothing is clipped."""
    return float(-10 * np.log10(np.mean((np.asarray(image, np.float64) - clean) ** 2)))


def climb(value: Callable[[int], float], start: int = 0) -> tuple[float, int]:
    """The maximum of a function on the integers uphill from `start`, and where it is; no value is asked twice."""
    known: dict[int, float] = {}

    def at(k: int) -> float:
        if k not in known:
            known[k] = value(k)
        return known[k]

    best = start
    while True:
        uphill = max((best, best + 1, best - 1), key=at)
        if uphill == best:
            return known[best], best
        best = uphill


def total_variation(noisy: np.ndarray, clean: np.ndarray, sigma: float) -> dict[str, list[float]]:
    """Best PSNR and weight of scikit-image's total variation denoising, channel by channel."""
    noisy = noisy.astype(np.float64)

    def chambolle(k: int, stop: dict) -> float:
        return psnr(denoise_tv_chambolle(noisy, sigma * RATIO**k, channel_axis=-1, **stop), clean)

    def bregman(k: int) -> float:
        # Its weight is the reciprocal of that of ROF.
        image = denoise_tv_bregman(
            noisy, RATIO**-k / sigma, max_num_iter=300, eps=1e-5, isotropic=False, channel_axis=-1
        )
        return psnr(image.reshape(clean.shape), clean)

    found, best = [], -4
    for stop in STOPS:
        highest, best = climb(partial(chambolle, stop=stop), best)
        found.append([highest, sigma * RATIO**best])
    highest, best = climb(bregman, best)
    # The tolerance that is better for the image counts.
    return {"ROF": max(found), "ROF, converged": found[1], "anisotropic TV": [highest, sigma * RATIO**best]}


@partial(jax.jit, static_argnames=("records", "steps", "readings"))
def path_errors(
    noisy: jax.Array, clean: jax.Array, solver: SplitLBI, spacing: float, *, records: int, steps: int, readings: tuple
) -> dict[str, jax.Array]:
    """Mean squared error [records] of each reading at spacing·(1, ..., records), each `steps` Euler steps further."""

    def error(image: jax.Array) -> jax.Array:
        return jnp.mean((image - clean) ** 2)

    def sparse_error(support: Edges) -> jax.Array:
        return error(piecewise_constant(noisy, support))

    def record(state, k):
        state = jax.lax.fori_loop(0, steps, lambda _, state: solver.step(noisy, state, spacing / steps), state)
        image, sparse = solver.dense(state), jnp.full((), jnp.inf)
        if "sparse" in readings:
            sparse = jax.lax.cond(k % 4 == 3, sparse_error, lambda _: sparse, solver.support(state))
        return state, (image, error(image), sparse)

    images, dense, sparse = jax.lax.scan(record, solver.init(noisy), jnp.arange(records))[1]
    # Means of u over [t/2, t] as differences of running sums.
    sums = jnp.cumsum(images - noisy, axis=0)
    last = jnp.arange(1, records)
    first = last // 2
    means = jax.lax.map(lambda k: error(noisy + (sums[k[1]] - sums[k[0]]) / (k[1] - k[0])), (first, last))
    errors = {"u(t)": dense, "mean of u": jnp.append(dense[0], means), "sparse": sparse}
    return {reading: errors[reading] for reading in readings}


def along_the_path(
    noisy: np.ndarray, clean: np.ndarray, sigma: float, setting: Setting, records: int = RECORDS
) -> dict[str, list[float]]:
    """Best PSNR and time of each reading of one path."""
    solver = setting.solver(sigma)
    spacing = LAST / sigma / records
    # 95% of the stability bound at most.
    steps = int(np.ceil(spacing / float(solver.default_step_size)))
    counts = {"records": records, "steps": steps, "readings": setting.readings}
    errors = path_errors(noisy, clean.astype(np.float32), solver, spacing, **counts)
    best = {}
    for reading in setting.readings:
        k = int(np.argmin(errors[reading]))
        best[reading] = [float(-10 * np.log10(errors[reading][k])), (k + 1) * spacing]
    return best


def measure(case: Case, settings: dict[str, Setting]) -> dict[str, list[float]]:
    """Best PSNR and parameter of every method on one case."""
    clean, noisy = read(case)
    sigma = case.level / 255
    found = {"noisy": [psnr(noisy, clean), 0.0]} | total_variation(noisy, clean, sigma)
    for name, setting in settings.items():
        best = along_the_path(noisy, clean, sigma, setting)
        found |= {f"{reading}, {name}": value for reading, value in best.items()}
    return found


def resumed(path: Path, settings: dict[str, Setting]) -> dict:
    """What an earlier run left in the file, or an empty record of these settings."""
    made_by = json.loads(json.dumps({"records": RECORDS, "last": LAST, "ratio": RATIO, "settings": settings}))
    if not path.exists():
        return {"made by": made_by, "seconds": 0.0, "cases": {}}
    kept = json.loads(path.read_text())
    if kept["made by"] != made_by:
        raise ValueError(f"--out holds {str(path)!r} of other settings; it may be a folder without one, or of these.")
    return kept


def run(path: Path, todo: list[Case], settings: dict[str, Setting]) -> dict:
    """Measure the cases that the file lacks, and write it after each."""
    record = resumed(path, settings)
    for case in tqdm([case for case in todo if case.key not in record["cases"]], unit="image"):
        start = time.perf_counter()
        record["cases"][case.key] = measure(case, settings)
        record["seconds"] += time.perf_counter() - start
        partly = path.with_suffix(".partly")
        partly.write_text(json.dumps(record, indent=1, ensure_ascii=False))
        os.replace(partly, path)
    return record


def groups(found: dict, todo: list[Case]) -> Iterator[tuple[str, int, dict[str, np.ndarray]]]:
    """The PSNR of every method on the images of each set and noise level."""
    for group, level in dict.fromkeys((case.group, case.level) for case in todo):
        rows = [found[case.key] for case in todo if (case.group, case.level) == (group, level)]
        yield group, level, {method: np.array([row[method][0] for row in rows]) for method in rows[0]}


def compared(differences: np.ndarray) -> str:
    """Mean difference with its 95% interval over the images (Student), and how many are above and below 0."""
    interval = ""
    if len(differences) > 1:
        half = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
        interval = f" ± {half:.2f}"
    return f"{differences.mean():+.2f}{interval} ({(differences > 0).sum()}:{(differences < 0).sum()})"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))


def tables(found: dict, todo: list[Case]) -> str:
    """Mean PSNR of every method, and the differences of u(t) and its means to ROF."""
    means, differences = [], []
    for group, level, values in groups(found, todo):
        start = [group, str(len(values["ROF"])), str(level)]
        dense = [method for method in values if method.startswith(("u(t)", "mean of u"))]
        means.append([*start, *(f"{value.mean():.2f}" for value in values.values())])
        differences.append([*start, *(compared(values[method] - values["ROF"]) for method in dense)])
    head = ["set", "images", "σ·255"]
    return markdown([*head, *values], means) + "\n" + markdown([*head, *dense], differences)


def ranking(found: dict, todo: list[Case]) -> str:
    """Mean difference to ROF of every flow of the grid at each noise level, and over them, the best first."""
    measured = {level: values for _, level, values in groups(found, todo)}
    methods = [method for values in measured.values() for method in values if method.startswith(("u(t)", "mean of u"))]
    scores = {m: [(values[m] - values["ROF"]).mean() for values in measured.values()] for m in methods}
    rows = [
        [method, *(f"{value:+.3f}" for value in (np.mean(differences), *differences))]
        for method, differences in sorted(scores.items(), key=lambda item: -np.mean(item[1]))
    ]
    return markdown(["taken from the path", "mean", *(f"σ·255 = {level}" for level in measured)], rows)


def picture(found: dict, todo: list[Case], path: Path) -> None:
    """The difference to ROF of each image against the PSNR of ROF."""
    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    panels = ("u(t), ν = 0.1", "u(t), ν = 0.03/σ", "mean of u, ν = 0.03/σ")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True)
    levels, sets = (list(dict.fromkeys(column)) for column in zip(*((c.level, c.group) for c in todo), strict=True))
    for group, level, values in groups(found, todo):
        style = {"color": COLOURS[levels.index(level)], "marker": "os^"[sets.index(group)], "s": 14, "alpha": 0.7}
        for ax, method in zip(axes, panels, strict=True):
            ax.scatter(values["ROF"], values[method] - values["ROF"], label=f"{group}, σ = {level}/255", **style)
    for ax, method in zip(axes, panels, strict=True):
        ax.axhline(0, color="black", linewidth=0.8)
        ax.set(title=method, xlabel="PSNR of ROF in dB")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("difference to ROF in dB")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=7)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with set12, bsd68_gray and kodak (default: scikit-image's)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the record, the tables and the picture")
    parser.add_argument("--picture", type=Path, help="file of the picture (default: OUT/denoising.png)")
    parser.add_argument("--sigmas", type=int, nargs="+", default=[15, 25, 50], help="standard deviations, times 255")
    parser.add_argument("--every", type=int, default=2, help="of BSD68 and Kodak one image in so many")
    parser.add_argument("--choose", action="store_true", help="compare the flows of a grid instead")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    todo = cases(arguments.data, arguments.sigmas, arguments.every, arguments.choose)
    record = run(arguments.out / "denoising.json", todo, GRID if arguments.choose else SETTINGS)
    report = ranking(record["cases"], todo) if arguments.choose else tables(record["cases"], todo)
    report += (
        f"\n{platform.machine()}, {os.cpu_count()} cores, JAX {jax.__version__}, scikit-image {skimage.__version__}, "
        f"{date.today()}; {record['seconds']:.0f} s\n"
    )
    (arguments.out / "denoising.md").write_text(report)
    if not arguments.choose:
        picture(record["cases"], todo, arguments.picture or arguments.out / "denoising.png")
    print(report)


if __name__ == "__main__":
    main()
