"""Randomized smoothing: certify the prediction of an image within a radius, or only predict."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax import environment
from isvs_jax._checks import check_integer, check_key
from isvs_jax.robustness._inputs import check_labels
from isvs_jax.robustness.attacks._model import LogitsFn, as_pytree, logits_of
from isvs_jax.robustness.certification._certificate import Certificate, decided
from isvs_jax.robustness.certification.bounds import ABSTAINS, check_draws, leading_classes
from isvs_jax.robustness.certification.cost import Bar, say_cost
from isvs_jax.robustness.certification.record import Record
from isvs_jax.robustness.certification.sampler import Sampler, make_sampler
from isvs_jax.robustness.certification.tally import Tally, count, vote
from isvs_jax.robustness.defences import Defence

_PROBED = 8


def certify(
    logits_fn: LogitsFn,
    images: np.ndarray | jax.Array,
    key: jax.Array,
    *,
    sigma: float,
    n0: int = 100,
    n: int = 10_000,
    alpha: float = 0.001,
    defence: Defence | None = None,
    labels: np.ndarray | jax.Array | None = None,
    batch_size: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Certificate:
    """Certify images by randomized smoothing: no image within the radius, in L2, gets another class.

    The smoothed classifier g(x) = argmax_c P(f(x + ε) = c), ε ~ N(0, σ²I), is that of f, the network behind the
    defence. Of each image n0 draws choose a class ĉ, and n others, independent of them, bound its probability from
    below by p; then g(x + δ) = ĉ for all ‖δ‖₂ < σ Φ⁻¹(p). Where p ≤ ½ it abstains. The noise comes before the defence,
    and noisy images are not clipped to [0, 1]. Draws with logits that are not finite are of no class.

    It takes N (n0 + n) forwards, and the largest radius is bounded by n: at alpha = 0.001 it is 1.50 σ for n = 100,
    2.46 σ for 1,000, 3.20 σ for 10,000 and 3.81 σ for 100,000. The statement is about g, which is asked by `predict`,
    and not about the network by itself.

    Args:
        logits_fn: A function from images [B, H, W, C] to logits [B, K], deterministic, each image for itself; also one
            of `from_torch` or `from_host`, as no gradient is asked for.
        images: Floats [N, H, W, C] in [0, 1].
        key: A PRNG key; the noise follows from it, the place of the image and the number of the draw.
        sigma: The standard deviation of the noise on the scale of [0, 1], whatever the network does to its input.
        n0: How many draws choose the class.
        n: How many draws bound its probability.
        alpha: The chance, for each image, that the radius is too large.
        defence: What stands between the noise and the network.
        labels: Integers [N]. Where they are given, the n draws are left out for images for which another class was
            chosen: nothing about the label is certified there.
        batch_size: The noisy images on the devices at a time, a multiple of the devices; by default 512, or the next
            multiple.
        devices: The devices; by default all.
        folder: Where draws are kept; the same call goes on from there after a stop.
        progress: Whether to say the number of forwards and the expected time, and to show a bar.

    Returns:
        A `Certificate` with `prediction` int [N] (−1 where it abstains), `radius` float64 [N], `counts` int [N], and
        what was asked.

    Raises:
        TypeError: Images are not floating-point, labels are no integers, or an argument is of another kind.
        ValueError: n is so small that every example would abstain, an argument is out of range, or the folder holds
            another certification.

    Example:
        >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], axis=1)
        >>> images = jnp.full((1, 2, 2, 1), 0.7)  # at the distance 0.4 from the other class
        >>> found = certify(logits_fn, images, jax.random.key(0), sigma=0.25, n=1000, progress=False)
        >>> found.prediction.tolist(), bool(0.3 < found.radius[0] < 0.4)
        ([0], True)

    References:
        Cohen, Rosenfeld, Kolter, "Certified adversarial robustness via randomized smoothing", ICML 2019.
        Salman, Sun, Yang, Kapoor, Kolter, "Denoised smoothing: a provable defense for pretrained classifiers",
        NeurIPS 2020.
        Voráček, Hein, "Sound randomized smoothing in floating-point arithmetics", ICLR 2023: what rounding of the
        noise leaves open.
    """
    n, alpha = check_draws(n, alpha)
    n0 = check_integer("n0", n0)
    work, num_classes = make_sampler(logits_fn, images, key, sigma, defence, batch_size, devices, (n0, n))
    num_images = len(work.images)
    given = None if labels is None else np.asarray(check_labels(labels, num_images, num_classes))
    tally = Tally.empty(num_images, num_classes)
    asked = _asked(work, logits_fn, key, defence, given, folder) | {"n0": n0, "n": n, "alpha": alpha}
    # A network behind a plain function has no parameters that can be seen.
    probe = np.zeros(0) if folder is None else logits_of(work.model, jnp.asarray(work.images[:_PROBED]))
    record = Record(folder, asked, probe, environment.session(tuple(work.layout.mesh.devices.flat)), tally)
    if record.certificate is not None:
        return record.certificate
    chosen_key, bound_key = jax.random.split(check_key(key))
    most = num_images * (n0 + n) - tally.voted - tally.counted
    if progress:
        say_cost(work, f"{num_images:,} images × (n0 = {n0:,} + n = {n:,})", most)
    with Bar(most, progress) as bar:

        def done(draws: int) -> None:
            bar.update(draws)
            record.keep(draws)

        try:
            vote(work, chosen_key, n0, tally, done)
            candidates = np.where(tally.votes.any(axis=1), tally.votes.argmax(axis=1), ABSTAINS)
            rows = np.flatnonzero((candidates != ABSTAINS) & ((given is None) | (candidates == given)))
            bar.less(n * (num_images - len(rows)))
            count(work, bound_key, n, rows, candidates, tally, done)
        finally:
            record.keep(now=True)
    drawn = np.zeros(num_images, np.int64)
    drawn[rows] = n
    prediction, radius = decided(candidates, tally.counts, drawn, sigma=work.sigma, alpha=alpha)
    certificate = Certificate(
        prediction,
        radius,
        tally.counts,
        drawn,
        tally.no_class,
        sigma=work.sigma,
        alpha=alpha,
        n0=n0,
        n=n,
        image_shape=work.images.shape[1:],
        defence="" if defence is None else defence.description,
        made=record.made,
    )
    record.keep(now=True, certificate=certificate)
    return certificate


def predict(
    logits_fn: LogitsFn,
    images: np.ndarray | jax.Array,
    key: jax.Array,
    *,
    sigma: float,
    n: int = 100,
    alpha: float = 0.001,
    defence: Defence | None = None,
    batch_size: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    progress: bool = True,
) -> np.ndarray:
    """The class of the smoothed classifier, which `certify` speaks about, or −1 where n draws do not tell.

    It answers where a two-sided binomial test says that the two leading classes are not even. The chance of an answer
    other than that of the smoothed classifier is at most alpha.

    Args:
        logits_fn: As for `certify`, and so are the other arguments.
        images: Floats [N, H, W, C] in [0, 1].
        key: A PRNG key.
        sigma: The standard deviation of the noise on the scale of [0, 1].
        n: The number of draws.
        alpha: The chance, for each image, of another answer.
        defence: What stands between the noise and the network.
        batch_size: The noisy images on the devices at a time.
        devices: The devices; by default all.
        progress: Whether to say the number of forwards and the expected time, and to show a bar.

    Returns:
        int [N].

    Raises:
        TypeError: An argument is of another kind.
        ValueError: n is so small that every example would abstain, or an argument is out of range.

    Example:
        >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], axis=1)
        >>> predict(logits_fn, jnp.full((1, 2, 2, 1), 0.8), jax.random.key(0), sigma=0.25, progress=False).tolist()
        [0]
    """
    n, alpha = check_draws(n, alpha, tested=True)
    work, num_classes = make_sampler(logits_fn, images, key, sigma, defence, batch_size, devices, (n,))
    num_images = len(work.images)
    tally = Tally.empty(num_images, num_classes)
    if progress:
        say_cost(work, f"{num_images:,} images × n = {n:,}", num_images * n)
    with Bar(num_images * n, progress) as bar:
        vote(work, check_key(key), n, tally, bar.update)
    return leading_classes(tally.votes, alpha)


def _asked(
    work: Sampler,
    logits_fn: LogitsFn,
    key: jax.Array,
    defence: Defence | None,
    labels: np.ndarray | None,
    folder: str | os.PathLike[str] | None,
) -> dict[str, Any]:
    """All that the draws depend on but for their number."""
    if defence is not None and not defence.description and folder is not None:
        raise ValueError("defence.description must be a text that tells defences apart, with a folder; got ''.")
    arrays = [leaf for leaf in jax.tree.leaves(as_pytree(logits_fn)) if isinstance(leaf, jax.Array | np.ndarray)]
    return {
        "sigma": work.sigma,
        "defence": "" if defence is None else defence.description,
        "key": [int(number) for number in np.asarray(jax.random.key_data(check_key(key))).ravel()],
        "images": environment.parameters_hash(work.images),
        "labels": None if labels is None else environment.parameters_hash(labels),
        "parameters": environment.parameters_hash(arrays) if arrays else None,
        "versions": environment.versions("scipy"),
    }
