"""Total variation and the path, each at its best parameter for an image."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from skimage.restoration import denoise_tv_bregman, denoise_tv_chambolle

from benchmarks.denoising.images import Case, psnr, read
from isvs_jax import Edges, SplitLBI, piecewise_constant

# Neighbouring weights of total variation.
RATIO = 1.08
# Tolerance and iterations of denoise_tv_chambolle: its defaults, and nearer to the minimum.
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
        """The flow for noise of standard deviation σ."""
        return SplitLBI(self.kappa, self.nu / sigma if self.by_noise else self.nu, self.penalty)


TOTAL_VARIATION = ("ROF", "ROF, converged", "anisotropic TV")
READINGS = ("u(t)", "mean of u", "sparse")
# The second is what GRID gave; the first has the ν that the library has as its default, at a fifth of the steps.
SETTINGS = {
    "κ = 1, ν = 0.1": Setting("color", 1.0, 0.1, False, READINGS),
    "κ = 0.5, ν = 0.03/σ": Setting("color", 0.5, 0.03, True, READINGS),
}
DENSE = ("u(t)", "mean of u")
GRID = {
    f"{penalty}, κ = {kappa:g}, ν = {nu:g}/σ": Setting(penalty, kappa, nu, True, DENSE)
    for penalty in ("color", "isotropic")
    for kappa in (0.25, 0.5, 1.0)
    for nu in (0.015, 0.02, 0.03, 0.04)
} | {f"color, κ = {kappa:g}, ν = 0.1": Setting("color", kappa, 0.1, False, DENSE) for kappa in (1.0, 5.0)}


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
    return dict(zip(TOTAL_VARIATION, (max(found), found[1], [highest, sigma * RATIO**best]), strict=True))


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


def names(settings: dict[str, Setting]) -> set[str]:
    """The methods of a whole measurement."""
    return set(TOTAL_VARIATION) | {
        f"{reading}, {name}" for name, setting in settings.items() for reading in setting.readings
    }


def measure(case: Case, settings: dict[str, Setting], known: dict[str, list[float]]) -> dict[str, list[float]]:
    """Best PSNR and parameter of every method on one case; what is known of it is kept."""
    clean, noisy = read(case)
    sigma = case.level / 255
    found = dict(known)
    if not found.keys() >= set(TOTAL_VARIATION):
        found |= {"noisy": [psnr(noisy, clean), 0.0]} | total_variation(noisy, clean, sigma)
    for name, setting in settings.items():
        if not found.keys() >= names({name: setting}):
            best = along_the_path(noisy, clean, sigma, setting)
            found |= {f"{reading}, {name}": value for reading, value in best.items()}
    return found
