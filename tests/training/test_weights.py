"""The command that does arithmetic with the weights of runs."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.training import Run, execute, load_classifier
from isvs_jax.training.command import parse
from isvs_jax.training.trained import load_variables
from isvs_jax.training.weights import interpolated_classifier, main, patched_classifier

DATA = ["--data.image-size", "8", "--data.limit-train", "64", "--data.validation-share", "0.25"]
SMALL = [
    *DATA,
    "--data.limit-test",
    "20",
    "--resources.devices",
    "1",
    "--train.epochs",
    "1",
    "--train.batch-size",
    "16",
]

pytestmark = pytest.mark.usefixtures("minute_networks")


@pytest.fixture(scope="module")
def runs(minute_networks, tmp_path_factory):
    """A run, and two that started from it."""
    folder = tmp_path_factory.mktemp("runs")

    def trained(name: str, *more: str) -> str:
        run = parse(["raw", "--out", str(folder / name), *SMALL, *more])
        assert isinstance(run, Run)
        execute(run, progress=False, say=lambda text: None)
        return str(folder / name)

    start = trained("start")
    after = ["--model.weights", start]
    return start, trained("raw", *after), trained("noise", *after, "--train.augmentation.noise", "0.3")


def _printed(capsys) -> dict:
    out = capsys.readouterr().out
    return json.loads(out[out.index("{") :])


def test_interpolation_ends_at_both_runs(runs, capsys, tmp_path):
    _, raw, noise = runs
    command = [
        "interpolate",
        raw,
        noise,
        *DATA,
        "--steps",
        "2",
        "--no-progress",
        "--out",
        str(tmp_path / "x" / "a.json"),
    ]
    assert main(command) == 0
    found = _printed(capsys)
    assert [row["share"] for row in found["rows"]] == [0, 0.5, 1]
    assert found["best"] in found["rows"]
    assert json.loads((tmp_path / "x" / "a.json").read_text())["rows"] == found["rows"]
    images = np.random.default_rng(0).random((4, 8, 8, 1), np.float32)
    for share, folder in (("0", raw), ("1", noise)):
        np.testing.assert_allclose(
            interpolated_classifier(raw, noise, share)(images), load_classifier(folder)(images), atol=1e-5
        )


def test_signatures_patch_the_raw_run(runs, capsys):
    start, raw, noise = runs
    assert main(["signatures", noise, "--start", start, "--raw", raw, *DATA, "--scales", "1.0", "--no-progress"]) == 0
    found = _printed(capsys)
    assert [row["scale"] for row in found["rows"]] == [0, 1, "the run itself"]
    assert found["cosines"] == [[1.0]]
    entry = found["signatures"][noise]
    assert entry["norm"] > 0
    assert 0 < entry["along_raw"] < 1
    images = jnp.zeros((2, 8, 8, 1))
    assert patched_classifier(start, raw, noise, "1.0")(images).shape == (2, 10)
    assert set(load_variables(raw)) == {"params", "batch_stats"}


def test_without_images_held_out_nothing_is_chosen(runs, capsys):
    _, raw, noise = runs
    assert main(["interpolate", raw, noise, "--data.image-size", "8", "--no-progress"]) == 1
    assert "data.validation_share must be that of the runs, above 0" in capsys.readouterr().err
