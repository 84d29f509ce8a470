from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isvs_jax import smooth
from isvs_jax.training import (
    Augmentation,
    Batch,
    Inputs,
    OptimizerConfig,
    TrainConfig,
    View,
    init_state,
    make_optimizer,
    make_train_step,
    plain_batch,
)
from tests.training.networks import Minute

MODEL = Minute()


def test_the_step_follows_the_gradient_of_optax_cross_entropy() -> None:
    optimizer = optax.sgd(0.1)
    state = init_state(MODEL, optimizer, (8, 8, 1), seed=0)
    images = jax.random.uniform(jax.random.key(1), (6, 8, 8, 1))
    batch = plain_batch(images, jnp.arange(6))

    def loss(params: object) -> jax.Array:
        variables = {"params": params, "batch_stats": state.batch_stats}
        logits, _ = MODEL.apply(variables, images, train=True, mutable=["batch_stats"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels).mean()

    moved, metrics = jax.jit(make_train_step(MODEL, optimizer))(state, batch, jax.random.key(2))
    value, grads = jax.jit(jax.value_and_grad(loss))(state.params)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, grads)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), moved.params, expected)
    np.testing.assert_allclose(metrics.loss, value, rtol=1e-5)
    np.testing.assert_allclose(metrics.grad_norm, optax.tree.norm(grads), rtol=1e-4)
    assert int(moved.step) == 1
    before, after = jax.tree.leaves(state.batch_stats), jax.tree.leaves(moved.batch_stats)
    assert not any(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_average_follows_the_parameters() -> None:
    optimizer = optax.sgd(0.1)
    config = TrainConfig(ema_decay=0.3)
    state = init_state(MODEL, optimizer, (8, 8, 1), seed=0, average=True)
    start = state.params
    step = jax.jit(make_train_step(MODEL, optimizer, config))
    batch = plain_batch(jnp.ones((4, 8, 8, 1)) * 0.5, jnp.arange(4))
    one, _ = step(state, batch, jax.random.key(0))
    two, _ = step(one, batch, jax.random.key(0))
    # The decay is (1 + step)/(10 + step) until that is 0.3.
    for first, p1, p2, average in zip(
        *map(jax.tree.leaves, (start, one.params, two.params, two.average["params"])), strict=True
    ):
        after_one = 0.1 * first + 0.9 * p1
        np.testing.assert_allclose(average, 2 / 11 * after_one + 9 / 11 * p2, rtol=2e-5, atol=1e-7)
    assert two.variables is two.average
    assert one.last_variables["params"] is one.params


class Seeing(nn.Module):
    """A network whose logits show which images it was given."""

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        jax.debug.callback(SEEN.append, images, ordered=True)
        return nn.Dense(10)(images.mean((1, 2)))


SEEN: list[np.ndarray] = []


def test_the_step_shows_the_path_to_anybody_and_compiles_once() -> None:
    """A plain batch of bytes, and a configuration with the path: half of it is followed inside."""
    model, optimizer = Seeing(), optax.sgd(0.1)
    config = TrainConfig(inputs=Inputs("random", (View(4.0), View(8.0)), solver_kappa=1.0))
    state = init_state(model, optimizer, (8, 8, 1), seed=0)
    jax.effects_barrier()
    step = jax.jit(make_train_step(model, optimizer, config))
    pixels = jax.random.randint(jax.random.key(0), (8, 8, 8, 1), 0, 256).astype(jnp.uint8)
    images = pixels / jnp.float32(255)
    every = np.stack([images, *(smooth(images, time, config.inputs.solver) for time in (4.0, 8.0))])
    SEEN.clear()
    for number in (1, 2):
        step(state, plain_batch(pixels, jnp.arange(8)), jax.random.key(number))
    jax.effects_barrier()
    assert step._cache_size() == 1
    assert len(SEEN) == 2
    chosen = [np.abs(every - seen).max((2, 3, 4)).argmin(0) for seen in SEEN]
    for seen, versions in zip(SEEN, chosen, strict=True):
        np.testing.assert_allclose(seen, every[versions, np.arange(8)], atol=5e-6)
        assert np.bincount(versions).tolist() == [4, 2, 2]
    assert (chosen[0] != chosen[1]).any()


@pytest.mark.parametrize("place", ["first", "unsmoothed"])
def test_the_network_sees_noise_where_the_inputs_put_it(place: Literal["first", "unsmoothed"]) -> None:
    """Grey images, half of them blurred: blurred noise is smooth, and noise that comes last is not."""
    inputs = Inputs("random", (View(1.5, "blur"),), noise_place=place)
    config = TrainConfig(inputs=inputs, augmentation=Augmentation(noise=0.2))
    model, optimizer = Seeing(), optax.sgd(0.1)
    state = init_state(model, optimizer, (16, 16, 1), seed=0)
    jax.effects_barrier()
    SEEN.clear()
    batch = plain_batch(jnp.full((8, 16, 16, 1), 0.5), jnp.arange(8))
    jax.jit(make_train_step(model, optimizer, config))(state, batch, jax.random.key(4))
    jax.effects_barrier()
    (seen,) = SEEN
    deviation = seen.std((1, 2, 3))
    # √2 between neighbours of white noise.
    rough = np.diff(seen, axis=1).std((1, 2, 3)) > deviation
    assert rough.sum() == 4
    if place == "first":
        assert (deviation[~rough] > 1e-4).all()
    else:
        np.testing.assert_allclose(seen[~rough], 0.5, atol=1e-6)


BATCH = plain_batch(jnp.zeros((4, 8, 8, 1)), jnp.arange(4))


@pytest.mark.parametrize(
    ("batch", "error", "sentence"),
    [
        (tuple(BATCH), TypeError, r"batch must be a Batch, such as plain_batch\(images, labels\); got"),
        (
            BATCH._replace(images=jnp.zeros((4, 1, 8, 8, 1))),
            ValueError,
            r"images of a batch must be \[B, H, W, C\] .*; got shape \(4, 1, 8, 8, 1\)",
        ),
        (
            BATCH._replace(images=jnp.zeros((4, 8, 8, 1), int)),
            TypeError,
            "images of a batch must be .*; got dtype int32",
        ),
        (BATCH._replace(labels=jnp.zeros(4)), ValueError, "labels of a batch must be integers .*; got dtype float32"),
        (BATCH._replace(positions=jnp.arange(3)), ValueError, r"positions of a batch must .*; got .* shape \(3,\)"),
        (plain_batch(BATCH.images[:3], BATCH.labels[:3]), ValueError, "must be a multiple of accumulate=2, .*; got 3"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(batch: Batch, error: type, sentence: str) -> None:
    step = make_train_step(MODEL, optax.sgd(0.1), TrainConfig(accumulate=2))
    state = jax.eval_shape(lambda: init_state(MODEL, optax.sgd(0.1), (8, 8, 1), seed=0))
    with pytest.raises(error, match=sentence):
        jax.eval_shape(step, state, batch, jax.random.key(0))


def test_stages_of_a_run_need_its_length() -> None:
    config = TrainConfig(inputs=Inputs("coarse_to_fine", (View(1.0),)))
    with pytest.raises(ValueError, match=r"num_steps must be given for way 'coarse_to_fine', .*; got None"):
        make_train_step(MODEL, optax.sgd(0.1), config)


def test_large_gradients_are_clipped() -> None:
    optimizer = make_optimizer(OptimizerConfig("sgd", clip_norm=1e-3, weight_decay=0, learning_rate=1.0), 10)
    params = {"kernel": jnp.ones((2, 2))}
    updates, _ = optimizer.update({"kernel": jnp.full((2, 2), 100.0)}, optimizer.init(params), params)
    reference = make_optimizer(OptimizerConfig("sgd", weight_decay=0, learning_rate=1.0), 10)
    expected, _ = reference.update({"kernel": jnp.full((2, 2), 0.5e-3)}, reference.init(params), params)
    np.testing.assert_allclose(updates["kernel"], expected["kernel"], rtol=1e-5)
