"""The accuracy of a classifier, and training from weights that were trained before."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax import models
from isvs_jax.models.pytorch import export_names
from isvs_jax.training import ConfigurationChangedError, ModelChoice, Run, correct, evaluate, execute
from isvs_jax.training.command import parse
from isvs_jax.training.trained import load_variables, starting_weights
from tests.training.networks import Minute

SHAPE = (8, 8, 1)
SMALL = ["--data.image-size", "8", "--data.limit-train", "64", "--data.limit-test", "20", "--resources.devices", "1"]
SHORT = ["--train.epochs", "1", "--train.batch-size", "32"]
# Parameters move by no more than the learning rate a step.
STILL = ["--train.optimizer.learning-rate", "1e-9"]


def mean_logits(images: jax.Array) -> jax.Array:
    return images.mean((1, 2))


def test_every_image_counts_once_whatever_the_batch() -> None:
    images = np.asarray(jax.random.uniform(jax.random.key(0), (11, 4, 4, 3)))
    labels = np.arange(11) % 3
    expected = images.mean((1, 2)).argmax(-1) == labels
    for batch_size in (1, 4, 11, 50):
        np.testing.assert_array_equal(correct(mean_logits, images, labels, batch_size=batch_size), expected)
    assert evaluate(mean_logits, images, labels) == pytest.approx(expected.mean())


def test_uint8_is_scaled() -> None:
    def bright(images: jax.Array) -> jax.Array:
        assert images.dtype == jnp.float32
        level = images.mean((1, 2, 3))
        return jnp.stack([level, 0.5 - 0 * level], -1)

    images = np.stack([np.full((2, 2, 1), 100), np.full((2, 2, 1), 200)]).astype(np.uint8)
    assert correct(bright, images, np.array([1, 0])).all()


def test_logits_that_are_not_finite_are_wrong() -> None:
    images = np.ones((2, 2, 2, 3), np.float32)
    images[0] = np.nan
    np.testing.assert_array_equal(correct(mean_logits, images, np.array([0, 0])), [False, True])


def test_images_without_one_label_each_are_refused() -> None:
    with pytest.raises(ValueError, match=r"labels must have shape \(2,\), one label an image; got shape \(1,\)"):
        correct(mean_logits, np.ones((2, 2, 2, 3), np.float32), np.array([0]))
    with pytest.raises(ValueError, match="images must hold one image or more"):
        evaluate(mean_logits, np.ones((0, 2, 2, 3), np.float32), np.zeros(0, np.int32))


def test_labels_outside_of_the_classes_are_refused() -> None:
    images = np.ones((2, 2, 2, 3), np.float32)
    for labels, got in (([0, 3], "3"), ([-1, 2], "-1")):
        with pytest.raises(ValueError, match=rf"labels must be from 0 to 2, the classes of the network; got {got}"):
            evaluate(mean_logits, images, np.array(labels))
    with pytest.raises(TypeError, match="labels must be integers; got dtype float64"):
        evaluate(mean_logits, images, np.array([0.0, 1.0]))


def run_at(out: Path, *more: str) -> Run:
    return parse(["raw", "--out", str(out), *SMALL, *SHORT, *more])


@pytest.fixture(scope="module")
def first(minute_networks: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "first"
    execute(run_at(out), progress=False, say=lambda text: None)
    return out


def test_a_run_starts_from_another(first: Path, tmp_path: Path) -> None:
    out = tmp_path / "second"
    run = run_at(out, *STILL, "--model.weights", str(first), "--train.seed", "1", "--train.ema-decay", "0.5")
    execute(run, progress=False, say=lambda text: None)
    before, after = (load_variables(folder) for folder in (first, out))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-7), before["params"], after["params"])
    drawn = models.init(Minute(), jax.random.key(1), SHAPE)["params"]
    assert any(
        float(jnp.abs(x - y).max()) > 0.01
        for x, y in zip(jax.tree.leaves(drawn), jax.tree.leaves(after["params"]), strict=True)
    )


def test_weights_of_a_run_are_on_no_device(first: Path) -> None:
    # Several processes place them on devices that one alone does not see.
    found = starting_weights(first, Minute(), SHAPE)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(found))


def test_weights_belong_to_the_run(first: Path, tmp_path: Path) -> None:
    out = tmp_path / "second"
    run = run_at(out, *STILL, "--model.weights", str(first))
    result = execute(run, progress=False, say=lambda text: None)
    moved = first.rename(first.with_name("moved"))
    try:
        again = replace(run, model=replace(run.model, weights=str(moved)))
        assert execute(again, progress=False, say=lambda text: None) == result
    finally:
        moved.rename(first)
    assert set(json.loads((out / "config.json").read_text())["model"]) == {"name", "dtype", "weights_sha256"}
    assert set(json.loads((first / "config.json").read_text())["model"]) == {"name", "dtype"}
    with pytest.raises(ConfigurationChangedError, match="weights_sha256"):
        execute(replace(run, model=ModelChoice()), progress=False)


def test_weights_from_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.build("resnet20", 10, 1)
    variables = models.init(model, jax.random.key(3), SHAPE)
    monkeypatch.setattr("isvs_jax.training.trained.read_state_dict", lambda path: export_names(variables))
    (tmp_path / "resnet20.th").touch()
    found = starting_weights(tmp_path / "resnet20.th", model, SHAPE)
    assert jax.tree.structure(found) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, found, variables)


def test_weights_of_another_network_are_refused(first: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"weights must be of this network, in which .* has shape .*; got .* where it has shape"
    ):
        starting_weights(first, Minute(7), SHAPE)
    (tmp_path / "weights.pt").touch()
    with pytest.raises(
        ValueError, match=r"weights must be the folder of a run, as a Minute takes none from PyTorch; got"
    ):
        starting_weights(tmp_path / "weights.pt", Minute(), SHAPE)
    with pytest.raises(FileNotFoundError, match=r"got '.*none\.pt', where there is nothing"):
        starting_weights(tmp_path / "none.pt", models.build("resnet20", 10, 1), SHAPE)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="folder must be the folder of one run; got"):
        starting_weights(tmp_path, Minute(), SHAPE)
    for cut in ("", "{"):
        (tmp_path / "config.json").write_text(cut)
        with pytest.raises(ValueError, match=rf"config\.json must be a whole file of JSON; got {len(cut)} bytes"):
            starting_weights(tmp_path, Minute(), SHAPE)
    with pytest.raises(ValueError, match=r"weights must be .*; got ''"):
        ModelChoice(weights="")
