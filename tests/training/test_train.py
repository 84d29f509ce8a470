import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isvs_jax import data
from isvs_jax.models import CNN, logits_fn
from isvs_jax.training import (
    Augmentation,
    Batch,
    Inputs,
    OptimizerConfig,
    TrainConfig,
    TrainState,
    View,
    evaluate,
    init_state,
    loop,
    make_train_step,
    train,
)
from isvs_jax.training.batches import draw_batch, epoch_order, load_samples
from isvs_jax.training.loop import LOG_FILE

MODEL = CNN(num_classes=10, width=4)
CONFIG = TrainConfig(
    epochs=4,
    batch_size=32,
    inputs=Inputs("random", (View(0.5),)),
    augmentation=Augmentation(crop=1, noise=0.05),
    optimizer=OptimizerConfig(learning_rate=1e-2),
)


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits", image_size=8, limit_train=200, limit_test=100)


@pytest.fixture(scope="module")
def whole(digits: data.Dataset) -> TrainState:
    return train(MODEL, digits.train, CONFIG, progress=False)


def same(one: TrainState, two: TrainState) -> bool:
    one, two = (dataclasses.replace(state, key=jax.random.key_data(state.key)) for state in (one, two))
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True))


def test_the_loss_falls_and_it_learns(digits: data.Dataset, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, epochs=12, inputs=Inputs(), augmentation=Augmentation())
    state = train(MODEL, digits.train, config, checkpoint_dir=tmp_path, checkpoint_every=12, progress=False)
    log = [json.loads(line) for line in (tmp_path / LOG_FILE).read_text().splitlines()]
    assert [line["epoch"] for line in log] == list(range(1, 13))
    assert log[-1]["loss"] < 0.3 * log[0]["loss"]
    accuracy = evaluate(logits_fn(MODEL, state.variables), digits.test.images, digits.test.labels)
    assert accuracy > 0.7  # chance is 0.1


def test_a_seed_gives_the_same_run_to_the_bit(digits: data.Dataset, whole: TrainState) -> None:
    assert int(whole.step) == 4 * 6
    assert same(whole, train(MODEL, digits.train, CONFIG, progress=False))


def test_a_run_taken_up_again_ends_the_same_to_the_bit(
    digits: data.Dataset, whole: TrainState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(run: object, metrics: object, step: int) -> None:
        if step == 15:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "_require_finite", stop)
        with pytest.raises(KeyboardInterrupt):
            train(MODEL, digits.train, CONFIG, checkpoint_dir=tmp_path, checkpoint_every=1, progress=False)
    assert len((tmp_path / LOG_FILE).read_text().splitlines()) == 2
    again = train(MODEL, digits.train, CONFIG, checkpoint_dir=tmp_path, checkpoint_every=1, progress=False)
    assert same(whole, again)
    assert len((tmp_path / LOG_FILE).read_text().splitlines()) == 4
    # A damaged last checkpoint: the one before is taken, and the end is the same.
    for file in (tmp_path / "24").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with pytest.warns(UserWarning, match="checkpoint of step 24 cannot be read"):
        repaired = train(MODEL, digits.train, CONFIG, checkpoint_dir=tmp_path, checkpoint_every=1, progress=False)
    assert same(whole, repaired)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(digits: data.Dataset) -> None:
    images = digits.train.images.copy()
    images[17] = np.nan
    split = data.Split(images, digits.train.labels.copy())
    config = dataclasses.replace(CONFIG, inputs=Inputs(), augmentation=Augmentation(), seed=1)
    state = init_state(MODEL, optax.identity(), (8, 8, 1), seed=1)
    order = np.asarray(epoch_order(state.key, jnp.int32(0), 200))
    step = int(np.flatnonzero(order == 17)[0]) // 32
    assert step < 6  # else the image is in the part of the epoch that fills no batch
    with pytest.raises(FloatingPointError, match=rf"at step {step} \(epoch 1\) the loss is nan.*no checkpoint"):
        train(MODEL, split, config, progress=False)


def test_a_batch_larger_than_the_data_is_refused(digits: data.Dataset) -> None:
    with pytest.raises(ValueError, match="batch_size is 500, but there are 200 training images"):
        train(MODEL, digits.train, TrainConfig(batch_size=500), progress=False)
    with pytest.raises(ValueError, match="epochs is 0"):
        TrainConfig(epochs=0)


def test_an_epoch_shows_each_example_once(digits: data.Dataset) -> None:
    config = dataclasses.replace(CONFIG, inputs=Inputs(), augmentation=Augmentation())
    numbered = np.broadcast_to(np.arange(200, dtype=np.float32)[:, None, None, None] / 256, (200, 2, 2, 1))
    samples = load_samples(data.Split(numbered.copy(), digits.train.labels.copy()), config, progress=False)
    key = jax.random.key(0)

    def epoch(number: int) -> np.ndarray:
        order = epoch_order(key, jnp.int32(number), 200)
        batches = [draw_batch(samples, order, key, jnp.int32(number * 6 + i), config) for i in range(6)]
        shown = np.concatenate([np.asarray(batch.images[:, 0, 0, 0] * 256) for batch in batches]).astype(int)
        labels = np.concatenate([np.asarray(batch.labels) for batch in batches])
        np.testing.assert_array_equal(labels, digits.train.labels[shown])
        return shown

    first, second = epoch(0), epoch(1)
    assert len(set(first)) == len(set(second)) == 192
    assert not np.array_equal(first, second)


def test_each_example_is_shown_in_its_own_version(digits: data.Dataset) -> None:
    config = dataclasses.replace(CONFIG, inputs=Inputs("random", (View(1.0), View(2.0))), augmentation=Augmentation())
    samples = load_samples(digits.train, config, progress=False)
    order = epoch_order(jax.random.key(0), jnp.int32(0), 200)
    shown = draw_batch(samples, order, jax.random.key(0), jnp.int32(0), config).images
    candidates = np.asarray(samples.versions[:, order[:32]], np.float32)
    match = (candidates == np.asarray(shown)).all((2, 3, 4))
    # Two views of an image are equal where nothing has entered yet, so more than one may match.
    assert match.any(0).all()
    assert match.any(1).all()


def test_the_step_follows_the_gradient_of_optax_cross_entropy() -> None:
    optimizer = optax.sgd(0.1)
    state = init_state(MODEL, optimizer, (8, 8, 1), seed=0)
    key = jax.random.key(1)
    batch = Batch(jax.random.uniform(key, (6, 8, 8, 1)), jnp.arange(6))

    def loss(params: object) -> jax.Array:
        variables = {"params": params, "batch_stats": state.batch_stats}
        logits, _ = MODEL.apply(variables, batch.images, train=True, mutable=["batch_stats"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels).mean()

    moved, metrics = jax.jit(make_train_step(MODEL, optimizer))(state, batch)
    value, grads = jax.value_and_grad(loss)(state.params)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, grads)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), moved.params, expected)
    np.testing.assert_allclose(metrics.loss, value, rtol=1e-5)
    assert int(moved.step) == 1
    before, after = jax.tree.leaves(state.batch_stats), jax.tree.leaves(moved.batch_stats)
    assert not any(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
