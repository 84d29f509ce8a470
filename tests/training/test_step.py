import jax
import jax.numpy as jnp
import numpy as np
import optax

from isvs_jax import smooth
from isvs_jax.training import (
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
from isvs_jax.training.step import shown
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


def test_examples_are_shown_in_the_versions_chosen() -> None:
    inputs = Inputs("several", (View(1.0), View(2.0)), draws=2)
    images = np.asarray(jax.random.uniform(jax.random.key(0), (3, 8, 8, 3)))
    versions = np.array([[0, 1], [0, 2], [0, 1]], np.int32)
    batch = Batch(images[:, None], np.zeros(3, np.int32), versions, np.arange(3))  # type: ignore[arg-type]
    found = shown(batch, inputs, chosen_before=False)
    assert found.shape == (3, 2, 8, 8, 3)
    np.testing.assert_array_equal(found[:, 0], images)
    for row, time in enumerate((1.0, 2.0, 1.0)):
        np.testing.assert_allclose(found[row, 1], smooth(images[row], time), atol=1e-5)
    ready = batch._replace(images=found)
    np.testing.assert_array_equal(shown(ready, inputs, chosen_before=True), found)


def test_bytes_are_divided_by_255() -> None:
    batch = plain_batch(np.full((1, 2, 2, 1), 51, np.uint8), np.zeros(1, np.int32))  # type: ignore[arg-type]
    np.testing.assert_allclose(shown(batch, Inputs(), chosen_before=False), 0.2, rtol=1e-6)


def test_large_gradients_are_clipped() -> None:
    optimizer = make_optimizer(OptimizerConfig("sgd", clip_norm=1e-3, weight_decay=0, learning_rate=1.0), 10)
    params = {"kernel": jnp.ones((2, 2))}
    updates, _ = optimizer.update({"kernel": jnp.full((2, 2), 100.0)}, optimizer.init(params), params)
    reference = make_optimizer(OptimizerConfig("sgd", weight_decay=0, learning_rate=1.0), 10)
    expected, _ = reference.update({"kernel": jnp.full((2, 2), 0.5e-3)}, reference.init(params), params)
    np.testing.assert_allclose(updates["kernel"], expected["kernel"], rtol=1e-5)
