import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.training import (
    AXIS,
    Augmentation,
    Batch,
    Distributed,
    Inputs,
    Objective,
    OptimizerConfig,
    TrainConfig,
    TrainState,
    View,
    init_state,
    make_optimizer,
    make_train_step,
    map_over_devices,
)
from isvs_jax.training.devices import Mapped, check_divides, chosen_devices
from tests.training.networks import Minute

MODEL = Minute()
CONFIG = TrainConfig(
    batch_size=16,
    # Sixteen examples and three views: no two devices of eight need the same.
    inputs=Inputs("random", (View(8.0), View(4.0, "sparse"), View(0.8, "blur")), solver_kappa=1.0),
    augmentation=Augmentation(crop=1, flip=True, noise=0.1),
    optimizer=OptimizerConfig("sgd", learning_rate=0.05),
    ema_decay=0.9,
)


class Plain(nn.Module):
    """A network without batch statistics."""

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        return nn.Dense(10)(nn.tanh(nn.Dense(8)(images.reshape(len(images), -1))))


def batch_of(size: int) -> Batch:
    rng = np.random.default_rng(0)
    return Batch(
        rng.integers(0, 256, (size, 8, 8, 1), dtype=np.uint8),
        rng.integers(0, 10, size).astype(np.int32),
        np.arange(size, dtype=np.int32),
    )


def after(mapped: Mapped, state: TrainState, batch: Batch, steps: int = 3) -> list[np.ndarray]:
    """Losses and the last parameters, statistics and averages."""
    state = mapped.place_state(jax.tree.map(jnp.copy, state))
    losses = []
    for _ in range(steps):
        state, metrics = mapped.advance(state, mapped.place_batch(batch))
        losses.append(np.asarray(metrics.loss))
    return [*losses, *map(np.asarray, jax.tree.leaves((state.variables, state.last_variables)))]


def assert_close(one: list[np.ndarray], two: list[np.ndarray]) -> None:
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)


def a_state() -> TrainState:
    return init_state(MODEL, make_optimizer(CONFIG.optimizer, 10), (8, 8, 1), seed=0, average=True)


@pytest.fixture(scope="module")
def of_one_device() -> list[np.ndarray]:
    step = make_train_step(MODEL, make_optimizer(CONFIG.optimizer, 10), CONFIG, axis_name=AXIS)
    return after(map_over_devices(step, jax.devices()[:1]), a_state(), batch_of(16))


@pytest.mark.parametrize("mapping", ["shard_map", "pmap"])
def test_eight_devices_take_the_steps_of_one(mapping: str, of_one_device: list[np.ndarray]) -> None:
    step = make_train_step(MODEL, make_optimizer(CONFIG.optimizer, 10), CONFIG, axis_name=AXIS)
    eight = map_over_devices(step, jax.devices(), mapping)  # type: ignore[arg-type]
    assert_close(of_one_device, after(eight, a_state(), batch_of(16)))


def test_without_a_mapping_the_step_is_the_same(of_one_device: list[np.ndarray]) -> None:
    step = jax.jit(make_train_step(MODEL, make_optimizer(CONFIG.optimizer, 10), CONFIG))
    alone = Mapped(
        lambda state, batch: step(state, batch, jax.random.fold_in(state.key, state.step)),
        lambda state: state,
        lambda rows: jax.tree.map(jnp.asarray, rows),
    )
    assert_close(of_one_device, after(alone, a_state(), batch_of(16)))


def test_a_batch_in_parts_has_the_gradient_of_the_whole() -> None:
    # What is random and of the batch: views, augmentation, an attack, two terms.
    configs = [
        TrainConfig(
            inputs=Inputs("random", (View(0.8, "blur"),)),
            objective=Objective("trades", attack_steps=1),
            augmentation=Augmentation(noise=0.1),
            optimizer=OptimizerConfig("sgd"),
            accumulate=parts,
        )
        for parts in (1, 4)
    ]
    optimizer = make_optimizer(CONFIG.optimizer, 10)
    state = init_state(Plain(), optimizer, (8, 8, 1), seed=0)
    results = []
    for config in configs:
        step = make_train_step(Plain(), optimizer, config, axis_name=AXIS)
        results.append(after(map_over_devices(step, jax.devices()[:2]), state, batch_of(16)))
    assert_close(*results)


def test_a_batch_that_the_devices_do_not_divide_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"batch_size must be a multiple of 16, 8 devices × 2 parts .*; got 100\. 96 is near"
    ):
        check_divides(100, 8, 2)
    check_divides(96, 8, 2)


def test_devices_are_counted() -> None:
    assert chosen_devices(None) == jax.devices()
    assert chosen_devices(3) == jax.devices()[:3]
    with pytest.raises(ValueError, match="devices must be at most 8, the number of cpu devices here; got 9"):
        chosen_devices(9)


def test_processes_are_said_whole_or_not_at_all() -> None:
    with pytest.raises(ValueError, match="mode must be one of 'none', 'auto', 'address'; got 'slurm'"):
        Distributed("slurm")
    with pytest.raises(ValueError, match="num_processes and process_id must be given for mode 'address'"):
        Distributed("address", "localhost:1")
    with pytest.raises(ValueError, match="num_processes and process_id must be None for mode 'auto'"):
        Distributed("auto", "localhost:1")
