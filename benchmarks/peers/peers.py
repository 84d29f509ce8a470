"""Who is timed: how each peer makes a `Call` of a `Case`."""

from __future__ import annotations

import functools
import importlib
import os
import shutil
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import isvs_jax
from benchmarks.peers import textbook, total_variation
from benchmarks.peers.cases import CASES, Call, Case, Peer, Seconds, share_of
from isvs_jax.augment import along_path
from isvs_jax.solver.integrator import choose_integrator

# Recorded times of a whole path: up to the cartoon, and up to where noise enters.
TO_4, TO_16 = (0.5, 1.0, 2.0, 3.0, 4.0), (1.0, 2.0, 4.0, 8.0, 16.0)
# Images of a batch that a peer is timed on where it takes them one by one.
ONE_BY_ONE = 4


def library(output: str = "dense", **options: float) -> Callable[[np.ndarray, Case], Call]:
    """`isvs_jax.smooth`."""

    def prepare(images: np.ndarray, case: Case) -> Call:
        solver, on_device = isvs_jax.SplitLBI(**options), jnp.asarray(images)
        solves = choose_integrator(solver, on_device, case.time, None).solves()
        return Call(lambda: isvs_jax.smooth(on_device, case.time, solver, output), len(images), f"{solves} solves")

    return prepare


def whole_path(times: tuple[float, ...], **options: float) -> Callable[[np.ndarray, Case], Call]:
    """`isvs_jax.scale_space`; its outcome is u at the case's time, which is among the times."""

    def prepare(images: np.ndarray, case: Case) -> Call:
        solver, on_device = isvs_jax.SplitLBI(**options), jnp.asarray(images)
        solves = choose_integrator(solver, on_device, times[-1], None).solves(len(times))
        index = times.index(case.time)
        return Call(
            lambda: jax.block_until_ready(isvs_jax.scale_space(on_device, times, solver)).dense[index],
            len(images),
            f"{solves} solves",
        )

    return prepare


def training_batch(images: np.ndarray, case: Case) -> Call:
    """`isvs_jax.augment.along_path` at its defaults: half of the batch raw, a sixth at each of t = 2, 4 and 8."""
    on_device, key = jnp.asarray(images), jax.random.key(0)
    augment = jax.jit(along_path)
    return Call(lambda: augment(key, on_device), len(images), "half raw, a sixth each to t = 2, 4, 8")


def explicit(*, fewest: bool) -> Callable[[np.ndarray, Case], Call]:
    """`SplitLBI(scheme="explicit")`, at its default steps or at the fewest that are stable."""

    def prepare(images: np.ndarray, case: Case) -> Call:
        solver, on_device = isvs_jax.SplitLBI(scheme="explicit"), jnp.asarray(images)
        steps = (
            textbook.fewest_steps(case.time)
            if fewest
            else choose_integrator(solver, on_device, case.time, None).num_steps
        )
        # A hundred steps say what a thousand cost.
        share = share_of(100 if case.heavy else steps, steps)
        count, until = round(share * steps), share * case.time
        return Call(
            lambda: isvs_jax.smooth(on_device, until, solver, num_steps=count),
            len(images),
            f"{steps} steps",
            share,
        )

    return prepare


def plain_jax(images: np.ndarray, case: Case) -> Call:
    """The textbook as one writes it, [B, H, W, C]."""
    steps = textbook.fewest_steps(case.time)
    on_device, start = jnp.asarray(images), jnp.asarray(textbook.start(images))
    return Call(lambda: textbook.with_jax(on_device, start, case.time, steps), len(images), f"{steps} steps")


def numpy_one_by_one(images: np.ndarray, case: Case) -> Call:
    """The textbook in NumPy."""
    steps = textbook.fewest_steps(case.time)
    share = share_of({32: steps, 224: 200}.get(case.size, 10), steps)
    some = images[:ONE_BY_ONE]

    def run() -> np.ndarray:
        return np.stack([textbook.with_numpy(image, share * case.time, round(share * steps)) for image in some])

    return Call(run, len(some), f"{steps} steps", share)


def pytorch(*, compiled: bool) -> Callable[[np.ndarray, Case], Call | str]:
    """The textbook in PyTorch, on all cores."""

    def prepare(images: np.ndarray, case: Case) -> Call | str:
        if reason := missing("torch"):
            return reason
        import torch

        if compiled and shutil.which(os.environ.get("CXX", "g++")) is None:
            return "PyTorch compiles with a C++ compiler, and there is none"
        torch.set_num_threads(cores())
        steps = textbook.fewest_steps(case.time)
        # Compiled anew for each case: for its very shapes.
        step = torch.compile(textbook.torch_step, dynamic=False) if compiled else textbook.torch_step
        taken = 20 if case.heavy else 100
        run = functools.partial(textbook.with_torch, images, case.time, steps, step, taken=taken)
        return Call(run, len(images), f"{steps} steps", share_of(taken, steps))

    return prepare


def skimage(function: Callable, *, iterations: int | None = None) -> Callable[[np.ndarray, Case], Call]:
    """A function of total_variation.py: until it stops by itself, or for so many iterations."""

    def prepare(images: np.ndarray, case: Case) -> Call:
        # One thread, image by image. When it stops depends on the image; else a few tell the time of all.
        some = images if iterations is None else images[: 4 * ONE_BY_ONE]
        options = {} if iterations is None else {"eps": 0.0, "max_num_iter": iterations}
        limit = functools.partial(function, some[:ONE_BY_ONE], eps=0.0, max_num_iter=5000) if case.size == 32 else None
        taken = [iterations or total_variation.iterations_taken(function, image) for image in some[:ONE_BY_ONE]]
        steps = f"{min(taken)} to {max(taken)} iterations" if min(taken) < max(taken) else f"{taken[0]} iterations"
        return Call(lambda: function(some, **options), len(some), steps, limit=limit, note="total variation")

    return prepare


def deepinv(images: np.ndarray, case: Case) -> Call | str:
    """TVDenoiser of deepinv, on all cores; it stops where the whole batch hardly moves."""
    limit = functools.partial(total_variation.chambolle, images[:ONE_BY_ONE], eps=0.0, max_num_iter=20000)
    return missing("deepinv.models") or Call(
        lambda: total_variation.deepinv(images),
        len(images),
        "1000 iterations at most",
        limit=limit if case.size == 32 else None,
        note="total variation",
    )


def kornia(images: np.ndarray, case: Case) -> Call | str:
    """Gradient descent on kornia's total variation, on all cores."""
    steps, taken = 500, 50
    return missing("kornia.losses") or Call(
        lambda: total_variation.kornia(images, taken),
        len(images),
        f"{steps} steps",
        share_of(taken, steps),
        note="anisotropic total variation",
    )


def missing(module: str) -> str | None:
    """Why a package cannot be timed: it is not installed, or does not fit the PyTorch that is."""
    try:
        importlib.import_module(module)
    except (ImportError, RuntimeError) as error:
        return f"{module} cannot be imported: {error}"
    return None


def scico(images: np.ndarray, case: Case) -> Call | str:
    """SCICO's ADMM, in the interpreter $SCICO_PYTHON."""
    worker = scico_process()
    if isinstance(worker, str):
        return worker
    some = images[:ONE_BY_ONE]
    worker.load(some)
    everything = worker.solve(iterations=2)["all"] / len(some)
    limit = functools.partial(total_variation.chambolle, some, eps=0.0, max_num_iter=20000)

    def run() -> Seconds:
        seconds = worker.solve()["iterating"]
        return Seconds(worker.outcome(), seconds)

    return Call(
        run,
        len(some),
        f"{total_variation.SCICO_ITERATIONS} iterations",
        # The same problem with the same weight.
        limit=limit if case.size == 32 else None,
        note=f"total variation; its compilation, {everything:.1f} s for each image, not counted",
    )


@functools.cache
def scico_process() -> total_variation.Scico | str:
    """The one process of SCICO, or why there is none."""
    python = os.environ.get("SCICO_PYTHON")
    if not python:
        return "SCICO needs an interpreter of its own: set SCICO_PYTHON"
    return total_variation.Scico(python)


def cores() -> int:
    """Cores that may be used."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


SMALL = ("cifar-128", "cifar-1")
SINGLE = ("cifar-1", "imagenet-1", "photograph-1")
ALL = tuple(case.name for case in CASES)
# Equal times t for all that follow the flow.
PEERS = (
    Peer("isvs_jax", "flow", ALL, library()),
    Peer("isvs_jax, tolerance 0.006", "flow", (*SMALL, "imagenet-1"), library(tolerance=0.006)),
    Peer("isvs_jax, Euler steps", "flow", (*SMALL, "imagenet-1"), library(step_size=0.038)),
    Peer("isvs_jax, sparse", "sparse", (*SMALL, "imagenet-1", "photograph-1"), library(output="sparse")),
    Peer("isvs_jax, in one piece", "flow", ("photograph-1",), library(tiles=False)),
    Peer("isvs_jax, in tiles", "flow", ("photograph-1",), library(tiles=True)),
    Peer("isvs_jax, along_path", "batch", ("cifar-128", "imagenet-128"), training_batch),
    Peer("isvs_jax, five times to 4", "path", (*SMALL, "imagenet-1"), whole_path(TO_4)),
    Peer("isvs_jax, five times to 4, tolerance 0.006", "path", SMALL, whole_path(TO_4, tolerance=0.006)),
    Peer("isvs_jax, five times to 4, Euler steps", "path", SMALL, whole_path(TO_4, step_size=0.038)),
    Peer("isvs_jax, five times to 16", "path", SMALL, whole_path(TO_16)),
    Peer("textbook, JAX (isvs_jax)", "textbook", ALL, explicit(fewest=True)),
    Peer("textbook, JAX (isvs_jax), default step", "textbook", SMALL, explicit(fewest=False)),
    Peer("textbook, JAX (plain)", "textbook", (*SMALL, "imagenet-1"), plain_jax),
    Peer("textbook, NumPy", "textbook", ("cifar-128", *SINGLE), numpy_one_by_one),
    Peer("textbook, PyTorch", "textbook", (*SMALL, "imagenet-1"), pytorch(compiled=False)),
    Peer("textbook, PyTorch compiled", "textbook", ("cifar-128", *SINGLE), pytorch(compiled=True)),
    Peer("denoise_tv_chambolle", "other", ("cifar-128", *SINGLE), skimage(total_variation.chambolle)),
    Peer("denoise_tv_bregman", "other", ("cifar-128", *SINGLE), skimage(total_variation.bregman)),
    # As near to their limit as `SplitLBI()` is to the flow.
    Peer("denoise_tv_chambolle, longer", "other", ("cifar-128",), skimage(total_variation.chambolle, iterations=500)),
    Peer("denoise_tv_bregman, longer", "other", ("cifar-128",), skimage(total_variation.bregman, iterations=25)),
    Peer("deepinv, TVDenoiser", "other", ("cifar-128", "imagenet-1"), deepinv),
    Peer("kornia, gradient descent", "other", ("cifar-128", "imagenet-1"), kornia),
    Peer("SCICO, ADMM", "other", ("cifar-128", "imagenet-1"), scico),
)
