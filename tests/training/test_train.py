import dataclasses
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from isvs_jax import data
from isvs_jax.models import CNN, logits_fn
from isvs_jax.training import (
    Augmentation,
    Inputs,
    OptimizerConfig,
    Resources,
    TerminatedError,
    TrainConfig,
    TrainState,
    View,
    evaluate,
    make_loader,
    placement,
    read_log,
    train,
)
from isvs_jax.training.checkpoint import Checkpoints
from isvs_jax.training.log import LOG_FILE
from isvs_jax.training.loop import CHECKPOINT_DIR
from isvs_jax.training.placement import FILE as PLACEMENT_FILE
from isvs_jax.training.window import Window
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
ONE = Resources(devices=1, smoothing="cache", checkpoint_steps=5, log_steps=4)


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits", image_size=8, limit_train=200, limit_test=100)


@pytest.fixture(scope="module")
def whole(digits: data.Dataset) -> TrainState:
    return train(MODEL, digits.train, CONFIG, resources=ONE, progress=False)


def same(one: TrainState, two: TrainState) -> bool:
    one, two = (dataclasses.replace(state, key=jax.random.key_data(state.key)) for state in (one, two))
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True))


def at_step(step: int, happening: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Something happens when a step is done."""
    add = Window.add

    def watched(window: Window, metrics: object, bar: object) -> None:
        add(window, metrics, bar)  # type: ignore[arg-type]
        if window.done + len(window.waiting) == step:
            happening()

    monkeypatch.setattr(Window, "add", watched)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_the_loss_falls_it_learns_and_the_best_is_kept(digits: data.Dataset, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, epochs=12, inputs=Inputs(), augmentation=Augmentation(), ema_decay=0.0)
    model = CNN(num_classes=10, width=4)
    state = train(
        model,
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
    seconds = [line["seconds"] for line in log]
    assert seconds == sorted(seconds)
    accuracy = evaluate(logits_fn(model, state.variables), digits.test.images, digits.test.labels)
    assert accuracy > 0.7  # chance is 0.1
    tested = [line["validation_accuracy"] for line in log]
    assert tested[-1] == accuracy
    with Checkpoints(tmp_path / CHECKPOINT_DIR, tested=True) as checkpoints:
        best = checkpoints.best_step
    assert best is not None
    assert tested[best // 6 - 1] == max(tested)
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_a_run_taken_up_again_ends_the_same_to_the_bit(
    digits: data.Dataset, whole: TrainState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert int(whole.step) == 4 * 6
    with monkeypatch.context() as patch:
        # In the middle of an epoch, two steps after a checkpoint.
        at_step(17, interrupt, patch)
        with pytest.raises(KeyboardInterrupt):
            train(MODEL, digits.train, CONFIG, run_dir=tmp_path, resources=ONE, progress=False)
    assert [line["step"] for line in read_log(tmp_path)] == [4, 6, 8, 12, 16]
    again = train(MODEL, digits.train, CONFIG, run_dir=tmp_path, resources=ONE, progress=False)
    assert same(whole, again)
    assert [line["step"] for line in read_log(tmp_path)] == [4, 6, 8, 12, 16, 18, 20, 24]
    # A damaged last checkpoint: the one before is taken, and the end is the same.
    for file in (tmp_path / CHECKPOINT_DIR / "24").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with pytest.warns(UserWarning, match="checkpoint of step 24 cannot be read"):
        repaired = train(MODEL, digits.train, CONFIG, run_dir=tmp_path, resources=ONE, progress=False)
    assert same(whole, repaired)


def test_sigterm_saves_before_leaving(
    digits: data.Dataset, whole: TrainState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    resources = dataclasses.replace(ONE, checkpoint_steps=1000)
    with monkeypatch.context() as patch:
        at_step(13, lambda: os.kill(os.getpid(), signal.SIGTERM), patch)
        with pytest.raises(TerminatedError, match="saved after step 13 of 24") as caught:
            train(MODEL, digits.train, CONFIG, run_dir=tmp_path, resources=resources, progress=False)
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    with Checkpoints(tmp_path / CHECKPOINT_DIR) as checkpoints:
        assert checkpoints.latest_step == 13
    assert same(whole, train(MODEL, digits.train, CONFIG, run_dir=tmp_path, resources=resources, progress=False))


def test_views_in_the_step_are_those_of_the_cache(digits: data.Dataset) -> None:
    config = dataclasses.replace(CONFIG, epochs=1, optimizer=OptimizerConfig("sgd", learning_rate=1e-2))
    two_steps = data.take(digits.train, np.arange(64))
    states = [
        train(MODEL, two_steps, config, resources=Resources(devices=2, smoothing=place), progress=False)
        for place in ("step", "cache")
    ]
    # The cache holds half precision: pixels to 2⁻¹², relative.
    for step, cache in zip(*(jax.tree.leaves(state.params) for state in states), strict=True):
        np.testing.assert_allclose(step, cache, atol=3e-4)


def test_where_views_are_made_is_measured_once_and_said(
    digits: data.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    config = dataclasses.replace(CONFIG, epochs=1, inputs=Inputs("fixed", (View(1.0, "blur"),)))

    def run() -> TrainState:
        resources = Resources(devices=1, checkpoint_steps=2)
        return train(
            MODEL, digits.train, config, run_dir=tmp_path, resources=resources, progress=False, say=said.append
        )

    with monkeypatch.context() as patch:
        at_step(3, interrupt, patch)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert "ms" in said[0]
    kept = json.loads((tmp_path / PLACEMENT_FILE).read_text())
    assert kept["place"] in said[0]

    def measured(*arguments: object) -> float:
        raise AssertionError("measured again")

    monkeypatch.setattr(placement, "measured", measured)
    assert int(run().step) == 6
    assert said[1] == said[0]


def test_pmap_trains_as_shard_map_does_and_nothing_compiles_after_the_first_step(
    digits: data.Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    config = dataclasses.replace(
        CONFIG, epochs=1, inputs=Inputs(), optimizer=OptimizerConfig("sgd", learning_rate=1e-2)
    )
    states, add = [], Window.add
    for mapping in ("shard_map", "pmap"):
        resources = Resources(devices=2, mapping=mapping)  # type: ignore[arg-type]
        compiled: list[int] = []

        def counting(window: Window, metrics: object, bar: object, compiled: list[int] = compiled) -> None:
            add(window, metrics, bar)  # type: ignore[arg-type]
            compiled.append(sum("Finished XLA compilation of" in record.message for record in caplog.records))

        with pytest.MonkeyPatch.context() as patch, jax.log_compiles(), caplog.at_level("WARNING"):
            patch.setattr(Window, "add", counting)
            states.append(train(MODEL, digits.train, config, resources=resources, progress=False))
        assert compiled[0] > 0
        assert len(set(compiled)) == 1
        caplog.clear()
    for one, two in zip(*(jax.tree.leaves(state.params) for state in states), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(digits: data.Dataset, tmp_path: Path) -> None:
    images = digits.train.images.copy()
    images[17] = np.nan
    split = data.Split(images, digits.train.labels.copy())
    config = dataclasses.replace(CONFIG, inputs=Inputs(), augmentation=Augmentation())
    loader = make_loader(
        data.Split(np.arange(200, dtype=np.float32).reshape(200, 1, 1, 1), digits.train.labels), config
    )
    step = next(step for step, batch in enumerate(loader) if 17 in batch.images)
    loader.close()
    epoch = step // 6 + 1
    resources = dataclasses.replace(ONE, checkpoint_steps=1)
    kept = rf"the last checkpoint is of step {step}" if step else "no checkpoint is kept"
    with pytest.raises(FloatingPointError, match=rf"at step {step + 1} \(epoch {epoch}\) the loss is nan.*{kept}"):
        train(MODEL, split, config, run_dir=tmp_path, resources=resources, progress=False)


def test_what_cannot_be_is_refused(digits: data.Dataset) -> None:
    with pytest.raises(ValueError, match="batch_size is 504, but there are 200 training images"):
        train(MODEL, digits.train, TrainConfig(batch_size=504), progress=False)
    with pytest.raises(ValueError, match="batch_size is 36, which 8 devices"):
        train(MODEL, digits.train, TrainConfig(batch_size=36), progress=False)
    for field, value in (("epochs", 0), ("accumulate", 0), ("ema_decay", 1.0)):
        with pytest.raises(ValueError, match=f"{field} is {value}"):
            TrainConfig(**{field: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="goes with way 'several'"):
        TrainConfig(inputs=Inputs("several", (View(1.0),), draws=2))
    for field, bad in (("mapping", "jit"), ("smoothing", "disk"), ("workers", -1), ("keep", 0), ("log_steps", 0)):
        with pytest.raises(ValueError, match=f"{field} is {bad!r}"):
            Resources(**{field: bad})  # type: ignore[arg-type]


def test_a_line_cut_off_by_a_kill_does_not_count(tmp_path: Path) -> None:
    (tmp_path / LOG_FILE).write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert read_log(tmp_path) == [{"step": 1, "loss": 2.0}]
    assert read_log(tmp_path / "nothing") == []
