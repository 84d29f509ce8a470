import dataclasses
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from isvs_jax import data
from isvs_jax.models import init, logits_fn
from isvs_jax.training import (
    Augmentation,
    Inputs,
    OptimizerConfig,
    Resources,
    TrainConfig,
    View,
    evaluate,
    make_loader,
    read_log,
    train,
)
from isvs_jax.training.checkpoint import CHECKPOINT_DIR, Checkpoints
from isvs_jax.training.log import LOG_FILE, RunLog
from tests.training.networks import Minute

MODEL = Minute()
CONFIG = TrainConfig(
    epochs=4,
    batch_size=32,
    inputs=Inputs("random", (View(0.5),)),
    augmentation=Augmentation(crop=1, noise=0.05),
    optimizer=OptimizerConfig(learning_rate=1e-2),
    ema_decay=0.9,
)
ONE = Resources(devices=1, checkpoint_steps=5, log_steps=4)


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits", image_size=8, limit_train=200, limit_test=100)


Arrange = Callable[[int, Callable[[], None]], None]


def interrupt() -> None:
    raise KeyboardInterrupt


def test_the_loss_falls_it_learns_and_the_best_is_kept(digits: data.Dataset, tmp_path: Path) -> None:
    optimizer = OptimizerConfig(learning_rate=6e-2)
    config = TrainConfig(epochs=12, batch_size=32, optimizer=optimizer)
    state = train(
        MODEL,
        digits.train,
        config,
        run_dir=tmp_path,
        validation=digits.test,
        # Saved in the middle of epochs, and at their ends because there is an accuracy to keep.
        resources=Resources(devices=1, log_steps=1000, checkpoint_steps=5),
        progress=False,
    )
    log = read_log(tmp_path)
    assert [line["epoch"] for line in log] == list(range(1, 13))
    assert log[-1]["loss"] < 0.3 * log[0]["loss"]
    assert all(line["images_per_second"] > 0 for line in log)
    for spent in ("seconds", "processor_seconds"):
        assert [line[spent] for line in log] == sorted(line[spent] for line in log)
    accuracy = evaluate(logits_fn(MODEL, state.variables), digits.test.images, digits.test.labels)
    assert accuracy > 0.7  # chance is 0.1
    tested = [line["validation_accuracy"] for line in log]
    assert tested[-1] == accuracy
    with Checkpoints(tmp_path / CHECKPOINT_DIR, tested=True) as checkpoints:
        best = checkpoints.best_step
    assert best is not None
    assert tested[best // 6 - 1] == max(tested)
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_pmap_trains_as_shard_map_does_and_nothing_compiles_after_the_first_step(
    digits: data.Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    config = dataclasses.replace(
        CONFIG, epochs=1, inputs=Inputs(), optimizer=OptimizerConfig("sgd", learning_rate=1e-2)
    )
    states, add = [], RunLog.add
    for mapping in ("shard_map", "pmap"):
        resources = Resources(devices=2, mapping=mapping)  # type: ignore[arg-type]
        compiled: list[int] = []

        def counting(log: RunLog, metrics: object, compiled: list[int] = compiled) -> None:
            add(log, metrics)  # type: ignore[arg-type]
            compiled.append(sum("Finished XLA compilation of" in record.message for record in caplog.records))

        with pytest.MonkeyPatch.context() as patch, jax.log_compiles(), caplog.at_level("WARNING"):
            patch.setattr(RunLog, "add", counting)
            states.append(train(MODEL, digits.train, config, resources=resources, progress=False))
        assert compiled[0] > 0
        assert len(set(compiled)) == 1
        caplog.clear()
    for one, two in zip(*(jax.tree.leaves(state.params) for state in states), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(digits: data.Dataset, tmp_path: Path) -> None:
    split = data.Split(digits.train.images.copy(), digits.train.labels.copy())
    # A split refuses such pixels; these come later.
    split.images.setflags(write=True)
    split.images[17] = np.nan
    config = dataclasses.replace(CONFIG, inputs=Inputs(), augmentation=Augmentation())
    numbers = np.arange(200, dtype=np.uint8).reshape(200, 1, 1, 1)
    loader = make_loader(data.Split(numbers, digits.train.labels), config)
    step = next(step for step, batch in enumerate(loader) if 17 in batch.images)
    loader.close()
    epoch = step // 6 + 1
    resources = dataclasses.replace(ONE, checkpoint_steps=1)
    kept = rf"The last checkpoint is of step {step}\." if step else r"No checkpoint is kept\."
    with pytest.raises(FloatingPointError, match=rf"at step {step + 1} \(epoch {epoch}\) the loss is nan.*{kept}"):
        train(MODEL, split, config, run_dir=tmp_path, resources=resources, progress=False)


def test_what_cannot_be_is_refused(digits: data.Dataset) -> None:
    with pytest.raises(ValueError, match="batch_size must be at most 200, the number of training images; got 504"):
        train(MODEL, digits.train, TrainConfig(batch_size=504), progress=False)
    with pytest.raises(ValueError, match=r"batch_size must be a multiple of 8, 8 devices .*; got 36"):
        train(MODEL, digits.train, TrainConfig(batch_size=36), progress=False)
    for field, value in (("epochs", 0), ("accumulate", 0), ("ema_decay", 1.0), ("seed", -1)):
        with pytest.raises(ValueError, match=f"{field} must be .*; got {value}"):
            TrainConfig(**{field: value})  # type: ignore[arg-type]
    for field, value in (("epochs", 1.5), ("batch_size", True)):
        with pytest.raises(TypeError, match=f"{field} must be an integer of at least 1; got {value}"):
            TrainConfig(**{field: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"objective must be 'consistency', .*; got 'cross_entropy' with 'several'"):
        TrainConfig(inputs=Inputs("several", (View(1.0),), draws=2))


def test_a_line_cut_off_by_a_kill_does_not_count(tmp_path: Path) -> None:
    (tmp_path / LOG_FILE).write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert read_log(tmp_path) == [{"step": 1, "loss": 2.0}]
    assert read_log(tmp_path / "nothing") == []


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("mapping", "jit", "one of 'shard_map', 'pmap'"),
        ("workers", -1, "an integer of at least 0"),
        ("devices", 0, "an integer of at least 1"),
        ("keep", 0, "an integer of at least 1"),
        ("log_steps", 0, "an integer of at least 1"),
    ],
)
def test_resources_that_cannot_be_are_refused(field: str, value: object, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be {wanted}; got {value!r}"):
        Resources(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("shift", [3, -1])
def test_labels_outside_of_the_classes_are_refused(digits: data.Dataset, shift: int) -> None:
    wrong = data.Split(digits.train.images, digits.train.labels + np.int32(shift))
    with pytest.raises(ValueError, match=r"labels of the training images must be from 0 to 9, the classes .*; got"):
        train(MODEL, wrong, CONFIG, progress=False)
    with pytest.raises(ValueError, match=r"labels of the validation images must be from 0 to 9, the classes .*; got"):
        train(MODEL, digits.train, CONFIG, validation=wrong, progress=False)


def test_a_run_of_one_step_moves_the_parameters(digits: data.Dataset) -> None:
    one_step = data.take(digits.train, np.arange(32))
    optimizer = OptimizerConfig("sgd", learning_rate=0.1, schedule="cosine", weight_decay=0.0)
    config = TrainConfig(epochs=1, batch_size=32, optimizer=optimizer)
    variables = init(MODEL, jax.random.key(0), (8, 8, 1))
    state = train(MODEL, one_step, config, variables=variables, resources=Resources(devices=1), progress=False)
    for before, after in zip(*map(jax.tree.leaves, (variables["params"], state.params)), strict=True):
        assert not np.array_equal(before, after)
