"""Training from weights that were trained before."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax import models
from isvs_jax.models.pytorch import export_names
from isvs_jax.training import ConfigurationChangedError, ModelChoice, Run, execute
from isvs_jax.training.command import parse
from isvs_jax.training.trained import load_variables
from isvs_jax.training.weights import starting_weights

SHAPE = (8, 8, 1)
SMALL = ["--data.image-size", "8", "--data.limit-train", "64", "--data.limit-test", "20", "--resources.devices", "1"]
SHORT = ["--train.epochs", "1", "--train.batch-size", "32"]
# Parameters move by no more than the learning rate a step.
STILL = ["--train.optimizer.learning-rate", "1e-9"]


def run_at(out: Path, *more: str) -> Run:
    return parse(["raw", "--out", str(out), *SMALL, *SHORT, *more])


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "first"
    execute(run_at(out), progress=False, say=lambda text: None)
    return out


def test_a_run_starts_from_another(first: Path, tmp_path: Path) -> None:
    out = tmp_path / "second"
    run = run_at(out, *STILL, "--model.weights", str(first), "--train.seed", "1", "--train.ema-decay", "0.5")
    execute(run, progress=False, say=lambda text: None)
    before, after = (load_variables(folder) for folder in (first, out))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-7), before["params"], after["params"])
    drawn = models.init(models.build("cnn", 10, 1), jax.random.key(1), SHAPE)["params"]
    assert any(
        float(jnp.abs(x - y).max()) > 0.01
        for x, y in zip(jax.tree.leaves(drawn), jax.tree.leaves(after["params"]), strict=True)
    )


def test_weights_of_a_run_are_on_no_device(first: Path) -> None:
    # Several processes place them on devices that one alone does not see.
    found = starting_weights(first, models.build("cnn", 10, 1), SHAPE)
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
    monkeypatch.setattr("isvs_jax.training.weights.read_state_dict", lambda path: export_names(variables))
    (tmp_path / "resnet20.th").touch()
    found = starting_weights(tmp_path / "resnet20.th", model, SHAPE)
    assert jax.tree.structure(found) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, found, variables)


def test_weights_of_another_network_are_refused(first: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds another network: .* has shape"):
        starting_weights(first, models.build("cnn", 7, 1), SHAPE)
    (tmp_path / "weights.pt").touch()
    with pytest.raises(ValueError, match=r"a CNN takes none from PyTorch; it may be the folder of a run"):
        starting_weights(tmp_path / "weights.pt", models.build("cnn", 10, 1), SHAPE)
    with pytest.raises(FileNotFoundError, match="there is neither such a file nor such a folder"):
        starting_weights(tmp_path / "none.pt", models.build("resnet20", 10, 1), SHAPE)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="is not the folder of one run"):
        starting_weights(tmp_path, models.build("cnn", 10, 1), SHAPE)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json cannot be read"):
        starting_weights(tmp_path, models.build("cnn", 10, 1), SHAPE)
    with pytest.raises(ValueError, match="weights is ''"):
        ModelChoice(weights="")
