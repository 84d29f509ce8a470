import dataclasses
import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax import data, smooth
from isvs_jax.data import DataChoice, load_data
from isvs_jax.training import (
    ConfigurationChangedError,
    Inputs,
    Resources,
    Run,
    TrainConfig,
    View,
    claim,
    evaluate,
    execute,
    load_classifier,
)
from isvs_jax.training.command import main, parse
from isvs_jax.training.run import _fingerprint, _resolved
from tests.training.networks import build_minute

SMALL = ["--data.image-size", "8", "--data.limit-train", "100", "--data.limit-test", "50", "--resources.devices", "1"]
SHORT = ["--train.epochs", "2", "--train.batch-size", "16", "--train.ema-decay", "0.9"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "raw"
    assert main(["raw", "--out", str(out), *SMALL, *SHORT, "--data.validation-share", "0.2"]) == 0
    return out


def test_a_run_leaves_all_that_it_was_made_with(trained: Path) -> None:
    names = {file.name for file in trained.iterdir()}
    assert names == {"config.json", "environment.json", "log.jsonl", "result.json", "checkpoints", "tensorboard"}
    config = json.loads((trained / "config.json").read_text())
    assert config["train"]["epochs"] == 2
    assert config["data"]["image_shape"] == [8, 8, 1]
    sessions = json.loads((trained / "environment.json").read_text())
    assert len(sessions) == 1
    assert {"command", "date", "commit", "versions", "hardware"} <= sessions[0].keys()
    result = json.loads((trained / "result.json").read_text())
    assert result["steps"] == 2 * 5
    assert result["test_images"] == 50


def test_the_trained_classifier_comes_back(trained: Path) -> None:
    digits = data.load("digits", image_size=8, limit_train=100, limit_test=50)
    logits_fn = load_classifier(trained)
    result = json.loads((trained / "result.json").read_text())
    assert evaluate(logits_fn, digits.test.images, digits.test.labels) == result["clean_accuracy"]
    images = jnp.asarray(data.as_float(digits.test.images[:4]))
    smoothed = load_classifier(trained, "dense:2")
    np.testing.assert_allclose(smoothed(images), logits_fn(smooth(images, 2.0)), atol=1e-5)
    log = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    best = load_classifier(trained, which="best")
    held = data.holdout(digits, 0.2).test
    tested = max(line["validation_accuracy"] for line in log if "validation_accuracy" in line)
    assert evaluate(best, held.images, held.labels) == tested


def test_the_same_command_again_uses_what_is_there_and_another_is_refused(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What was tested is not tested again.
    monkeypatch.setattr("isvs_jax.training.run.evaluate", None)
    before = json.loads((trained / "result.json").read_text())
    arguments = ["raw", "--out", str(trained), *SMALL, *SHORT, "--data.validation-share", "0.2"]
    assert main(arguments) == 0
    assert "holds this run already" in capsys.readouterr().out
    assert json.loads((trained / "result.json").read_text()) == before
    assert len(json.loads((trained / "environment.json").read_text())) == 2
    assert main([*arguments, "--train.seed", "1"]) == 1
    assert "train.seed: 0 there, 1 asked for" in capsys.readouterr().err


def test_images_that_are_loaded_already_are_the_same_run(trained: Path) -> None:
    run = parse(["raw", "--out", str(trained), *SMALL, *SHORT, "--data.validation-share", "0.2"])
    dataset = load_data(run.data, progress=False)
    before = json.loads((trained / "result.json").read_text())
    assert execute(run, dataset=dataset, progress=False) == before
    # What the test says depends on its labels too.
    swapped = dataclasses.replace(dataset, test=data.Split(dataset.test.images, dataset.test.labels[::-1].copy()))
    assert execute(run, dataset=swapped, progress=False)["test_labels_sha256"] != before["test_labels_sha256"]
    other = dataclasses.replace(dataset, test=data.Split(dataset.test.images[:-1], dataset.test.labels[:-1]))
    with pytest.raises(ConfigurationChangedError, match="test_images_sha256"):
        execute(run, dataset=other, progress=False)


def test_wrong_folders_and_names_are_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"folder must be the folder of a run; got .*, which has no config\.json"
    ):
        load_classifier(tmp_path)
    with pytest.raises(ValueError, match="which must be one of 'last', 'best'; got 'first'"):
        load_classifier(trained, which="first")
    run = Run(tmp_path / "a", DataChoice(image_size=8, limit_train=64), resources=Resources(devices=1))
    with pytest.raises(ValueError, match=r"name must be one of .*; got 'lenet'"):
        execute(dataclasses.replace(run, model=dataclasses.replace(run.model, name="lenet")), progress=False)
    with pytest.raises(ValueError, match=r"validation_share must be a number in \[0, 1\); got 1"):
        DataChoice(validation_share=1.0)


def test_every_setting_is_an_option() -> None:
    run = parse(["path", "--train.inputs.views", "dense:1", "sparse:8", "--train.optimizer.name", "sgd"])
    assert run.train.inputs == Inputs("random", (View(1.0), View(8.0, "sparse")))
    assert run.train.optimizer.name == "sgd"
    assert parse(["raw"]).train == TrainConfig(augmentation=run.train.augmentation)
    for wrong in (["path", "--train.inputs.views", "dense"], ["sum"], ["raw", "--train.epochs", "many"]):
        with pytest.raises(SystemExit):
            parse(wrong)


def test_mirror_images_are_as_the_data_say_or_as_a_person_says() -> None:
    said: list[tuple[list[str], bool]] = [
        ([], False),
        (["--train.augmentation.flip", "True"], True),
        (["--data.mirror", "True"], True),
        (["--data.mirror", "True", "--train.augmentation.flip", "False"], False),
    ]
    for more, expected in said:
        run = parse(["raw", *SMALL, *more])
        dataset = load_data(run.data, progress=False)
        assert _resolved(run, dataset).augmentation.flip is expected


def test_a_folder_belongs_to_one_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "run"
    config = {"epochs": 3, "inputs": {"way": "raw", "views": (1.0, 2.0)}}
    assert claim(folder, config) is False
    assert claim(folder, config) is True
    changed = {"epochs": 4, "inputs": {"way": "random", "views": (1.0, 2.0)}, "noise": 0.1}
    with pytest.raises(ConfigurationChangedError) as caught:
        claim(folder, changed)
    message = str(caught.value)
    assert "epochs: 3 there, 4 asked for" in message
    assert "inputs.way: raw there, random asked for" in message
    assert "noise: nothing there, 0.1 asked for" in message
    assert "views" not in message
    assert claim(folder, config) is True


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(
        ConfigurationChangedError,
        match=r"folder must be new, empty, or the folder of a run; got .*, which has no config\.json",
    ):
        claim(tmp_path, {"epochs": 3})
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_kill_while_the_configuration_is_written_locks_nobody_out(tmp_path: Path) -> None:
    (tmp_path / ".config.json.1234.partial").write_text('{"epo')
    assert claim(tmp_path, {"epochs": 3}) is False
    assert claim(tmp_path, {"epochs": 3}) is True


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    assert claim(tmp_path, {"epochs": np.int64(3), "share": np.float32(0.5)}) is False
    assert claim(tmp_path, {"epochs": 3, "share": 0.5}) is True


def test_a_refused_training_leaves_the_folder_to_the_corrected_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isvs_jax.training.run.build_model", build_minute)
    out = tmp_path / "run"
    few = ["raw", "--out", str(out), "--data.image-size", "8", "--data.limit-train", "32", "--data.limit-test", "20"]
    few += ["--train.epochs", "1", "--resources.devices", "1"]
    assert main(few) == 1
    said = capsys.readouterr().err
    assert said == (
        "python -m isvs_jax.training: batch_size must be at most 32, the number of training images; got 128.\n"
    )
    assert not out.exists()
    assert main([*few, "--train.batch-size", "16"]) == 0
    # Empty or cut files of the folder are named.
    for name in ("result.json", "environment.json", "config.json"):
        whole = (out / name).read_text()
        for cut in ("", whole[:-5]):
            (out / name).write_text(cut)
            assert main([*few, "--train.batch-size", "16"]) == 1
            assert f"{out / name} must be a whole file of JSON; got {len(cut):,} bytes" in capsys.readouterr().err
        (out / name).write_text(whole)


def test_the_configuration_of_an_older_run_is_read(trained: Path, tmp_path: Path) -> None:
    """Without the penalty of the flow, and with the way "random" of the method that was called so."""
    older = shutil.copytree(trained, tmp_path / "older")
    config = json.loads((older / "config.json").read_text())
    inputs = config["train"]["inputs"] | {"way": "random", "views": [{"strength": 4.0, "kind": "dense"}]}
    del inputs["solver_penalty"]
    config["train"]["inputs"] = inputs
    (older / "config.json").write_text(json.dumps(config))
    images = jnp.full((2, 8, 8, 1), 0.5)
    for view in (None, "dense:2"):
        np.testing.assert_array_equal(load_classifier(older, view)(images), load_classifier(trained, view)(images))


def test_a_setting_that_came_later_is_noted_where_it_is_in_use(tmp_path: Path) -> None:
    """A folder of before goes on where the run is the same, and no further."""
    run = parse(["path", *SMALL, *SHORT, "--out", str(tmp_path)])
    dataset = load_data(run.data, progress=False)
    older = _fingerprint(run, _resolved(run, dataset), dataset, None)
    assert not {"unsmoothed", "noise_place"} & older["train"]["inputs"].keys()
    claim(tmp_path, older)
    other = parse(["augmix_or_path_noise", *SMALL, *SHORT, "--train.augmentation.noise", "0", "--out", str(tmp_path)])
    with pytest.raises(ConfigurationChangedError) as caught:
        execute(other, dataset=dataset, progress=False)
    assert str(caught.value).count(" asked for") == 1
    assert "train.inputs.unsmoothed: nothing there, augmix asked for" in str(caught.value)


def test_a_run_whose_versions_were_drawn_otherwise_is_refused(tmp_path: Path) -> None:
    """A folder of 0.1.0 that was left in the middle does not go on with other draws."""
    run = parse(["path", *SMALL, *SHORT, "--out", str(tmp_path / "older")])
    dataset = load_data(run.data, progress=False)
    older = _fingerprint(run, _resolved(run, dataset), dataset, None)
    del older["versions"]
    claim(run.out, older | {"views_from": "cache"})
    with pytest.raises(ConfigurationChangedError, match="versions: nothing there, drawn in the step asked for"):
        execute(run, dataset=dataset, progress=False)


def test_a_folder_goes_on_with_the_strengths_of_its_filters(tmp_path: Path) -> None:
    run = parse(["blur", "--out", str(tmp_path / "blur"), *SMALL])
    digits = load_data(run.data)
    config = _resolved(run, digits)
    views = tuple(dataclasses.replace(view, strength=view.strength * 1.0001) for view in config.inputs.views)
    of_another_machine = dataclasses.replace(config, inputs=dataclasses.replace(config.inputs, views=views))
    assert not claim(run.out, _fingerprint(run, of_another_machine, digits, None))
    assert claim(run.out, _fingerprint(run, _resolved(run, digits), digits, None))
