"""How fast the devices at hand are, beside what their memory and their arithmetic allow."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax import SplitLBI, models, smooth
from isvs_jax.augment import View
from isvs_jax.robustness import CORRUPTIONS, corrupt
from isvs_jax.robustness.attacks import autoattack_report
from isvs_jax.solver.flow import difference
from isvs_jax.solver.integrator import choose_integrator
from isvs_jax.solver.stabilised import Stabilised, Stage, next_stage
from isvs_jax.training import (
    Inputs,
    OptimizerConfig,
    TrainConfig,
    init_state,
    make_optimizer,
    make_train_step,
    plain_batch,
)

_TIME = 4.0


class Ceilings(NamedTuple):
    """What a device reaches with nothing else to do.

    Attributes:
        bytes_a_second: Read and written by adding a number to a large array.
        operations_a_second: Of a product of large matrices in float32, in full precision.
        operations_a_second_bfloat16: The same in bfloat16.
    """

    bytes_a_second: float
    operations_a_second: float
    operations_a_second_bfloat16: float


class Rate(NamedTuple):
    """One measurement.

    Attributes:
        name: What was measured.
        images_a_second: The number of images in a second, all devices together.
        first_call: The seconds of the first call, with compiling.
        memory_share: The bytes that XLA counts, as a share of the ceiling; None where they were not counted.
        arithmetic_share: The operations that XLA counts, as a share of the ceiling.
    """

    name: str
    images_a_second: float
    first_call: float
    memory_share: float | None = None
    arithmetic_share: float | None = None


class Extent(NamedTuple):
    """How much is measured.

    Attributes:
        paths: Pairs of an image's side and a batch size.
        network: The network that is trained.
        attacked: The network that is attacked.
        batch: The images of a training step and of the corruptions.
        attack: The number of images attacked.
        num_steps: The steps of AutoAttack's white-box attacks.
        num_queries: The queries of its black-box attack.
        dtypes: The dtypes that a network is trained in.
        kappas: The κ of the paths in a training step.
        repetitions: The number of calls of which the median is taken.
        matrix: The side of the matrices, and the square root of the numbers in the array, for the ceilings.
    """

    paths: tuple[tuple[int, int], ...]
    network: str
    attacked: str
    batch: int
    attack: int
    num_steps: int
    num_queries: int
    dtypes: tuple[str, ...]
    kappas: tuple[float, ...]
    repetitions: int
    matrix: int


FULL = Extent(
    paths=((32, 1024), (64, 256), (224, 32)),
    network="resnet18",
    attacked="resnet20",
    batch=256,
    attack=128,
    num_steps=100,
    num_queries=5000,
    dtypes=("float32", "bfloat16"),
    kappas=(5.0, 2.0),
    repetitions=10,
    matrix=8192,
)
SMALL = Extent(((16, 4),), "cnn", "cnn", 4, 2, 5, 20, ("float32",), (2.0,), 1, 256)


def ceilings(extent: Extent) -> Ceilings:
    """Measure what the first device reaches."""
    side = extent.matrix
    numbers = jnp.ones((side, side), jnp.float32)
    copy, _ = seconds(jax.jit(lambda x: x + 1), numbers, repetitions=extent.repetitions)
    exact = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    product, _ = seconds(jax.jit(exact), numbers, numbers, repetitions=extent.repetitions)
    half = numbers.astype(jnp.bfloat16)
    short, _ = seconds(jax.jit(jnp.matmul), half, half, repetitions=extent.repetitions)
    return Ceilings(2 * numbers.nbytes / copy, 2 * side**3 / product, 2 * side**3 / short)


def seconds(function: Callable[..., Any], *arguments: Any, repetitions: int) -> tuple[float, float]:
    """The median time of a call, and that of the first one, which compiles."""
    taken = []
    for _ in range(repetitions + 1):
        began = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        taken.append(time.perf_counter() - began)
    return float(np.median(taken[1:])), taken[0]


def rates(extent: Extent, limits: Ceilings, is_gpu: bool) -> Iterator[Callable[[], Rate]]:
    """The measurements, each to be called, on the first device."""
    for side, count in extent.paths:
        yield partial(_path, side, count, extent, limits, on_chip=False)
        if is_gpu and side <= 64:
            yield partial(_path, side, count, extent, limits, on_chip=True)
    for dtype in extent.dtypes:
        yield partial(_step, extent, "raw", None, dtype)
        for kappa in extent.kappas:
            yield partial(_step, extent, f"along the path, κ = {kappa:g}", kappa, dtype)
    yield partial(_corruptions, extent)
    yield partial(_autoattack, extent)


def _path(side: int, count: int, extent: Extent, limits: Ceilings, *, on_chip: bool) -> Rate:
    solver = SplitLBI(on_chip=on_chip)
    images = _noise(count, side)
    taken, first = seconds(
        jax.jit(lambda images: smooth(images, _TIME, solver)), images, repetitions=extent.repetitions
    )
    name = f"path to t = {_TIME:g}, {side}×{side}×3, batch {count}"
    if on_chip:
        return Rate(f"{name}, on the chip", count / taken, first)
    moved, done = _counted(count, side)
    return Rate(
        name, count / taken, first, moved / taken / limits.bytes_a_second, done / taken / limits.operations_a_second
    )


def _counted(count: int, side: int) -> tuple[float, float]:
    """Bytes and operations of a batch's path: XLA's count of one stage, as often as there are solves."""
    solver = SplitLBI(tiles=False)
    planar = jnp.zeros((count, 3, side, side))
    edges = difference(planar)
    stage = jax.jit(lambda x, stage, row, h: next_stage(solver.flow, x, stage, (row, h)))
    lowered = stage.lower(planar, Stage(edges, edges), jnp.zeros(3), jnp.zeros(count))
    counted = lowered.compile().cost_analysis() or {}
    steps = choose_integrator(solver, jnp.zeros((side, side, 3)), _TIME, None)
    solves = steps.solves() if isinstance(steps, Stabilised) else 0
    return solves * counted.get("bytes accessed", np.nan), solves * counted.get("flops", np.nan)


def _step(extent: Extent, name: str, kappa: float | None, dtype: str) -> Rate:
    model = models.build(extent.network, 10, dtype=dtype)
    optimizer = make_optimizer(OptimizerConfig(), 100)
    views = (View(2.0), View(4.0), View(8.0))
    inputs = Inputs() if kappa is None else Inputs("random", views, solver_kappa=kappa)
    step = jax.jit(make_train_step(model, optimizer, TrainConfig(inputs=inputs)))
    state = init_state(model, optimizer, (32, 32, 3), seed=0)
    batch = plain_batch(_noise(extent.batch, 32), jnp.arange(extent.batch) % 10)
    taken, first = seconds(step, state, batch, jax.random.key(1), repetitions=extent.repetitions)
    title = f"training step of {extent.network}, {name}, {dtype}, batch {extent.batch} of 32×32×3"
    return Rate(title, extent.batch / taken, first)


def _corruptions(extent: Extent) -> Rate:
    images, key = _noise(extent.batch, 32), jax.random.key(1)
    functions = [jax.jit(partial(corrupt, name=name, severity=3)) for name in CORRUPTIONS]

    def each(images: jax.Array) -> list[jax.Array]:
        return [function(images, key=key) for function in functions]

    taken, first = seconds(each, images, repetitions=extent.repetitions)
    name = f"corruptions, the mean of {len(functions)}, batch {extent.batch} of 32×32×3"
    return Rate(name, len(functions) * extent.batch / taken, first)


def _autoattack(extent: Extent) -> Rate:
    model = models.build(extent.attacked, 10)
    logits_fn = models.logits_fn(model, models.init(model, jax.random.key(0), (32, 32, 3)))
    images = _noise(extent.attack, 32)
    labels = logits_fn(images).argmax(-1)

    def attack(images: jax.Array) -> jax.Array:
        # So small a radius that each attack goes all its steps.
        attacked = autoattack_report(
            logits_fn,
            images,
            labels,
            jax.random.key(1),
            epsilon=1e-6,
            num_steps=extent.num_steps,
            num_queries=extent.num_queries,
        )
        return attacked.images

    taken, first = seconds(attack, images, repetitions=1)
    name = (
        f"AutoAttack on {extent.attacked}, {extent.num_steps} steps and {extent.num_queries} queries, no image broken, "
        f"{extent.attack} of 32×32×3"
    )
    return Rate(name, extent.attack / taken, first)


def _noise(count: int, side: int) -> jax.Array:
    return jax.random.uniform(jax.random.key(0), (count, side, side, 3))
