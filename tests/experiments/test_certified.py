"""The command that certifies a network alone, behind the path and behind filters, on images that are made here."""

import json
from functools import partial

import jax
import numpy as np
import pytest

from experiments import certified
from isvs_jax.data import Dataset, Split
from isvs_jax.robustness import choose_smoothing


def _network(images: jax.Array) -> jax.Array:
    """Ten classes by the mean grey level."""
    levels = np.linspace(0.05, 0.95, 10, dtype=np.float32)
    return -100 * (images.mean((1, 2, 3))[:, None] - levels) ** 2


@pytest.fixture
def made(monkeypatch):
    labels = np.arange(60) // 20 % 10
    images = (0.05 + 0.1 * labels)[:, None, None, None] * np.ones((60, 8, 8, 1))
    split = Split(images.astype(np.float32), labels.astype(np.int32))
    dataset = Dataset("made", "made here", tuple("abcdefghij"), split, split, mirror=False)
    monkeypatch.setattr(certified, "load_data", lambda choice, progress: dataset)
    monkeypatch.setattr(certified, "_network", lambda chosen, num_classes: _network)
    monkeypatch.setattr(certified, "_BLOCK", 2)
    # Each time is a program of its own, which takes seconds to compile.
    monkeypatch.setattr(certified, "choose_smoothing", partial(choose_smoothing, times_sigma=(0.4,)))


@pytest.mark.usefixtures("made")
def test_it_goes_on_from_the_blocks_that_are_there(tmp_path, capsys):
    command = ["--weights", "nowhere.th", "--sigmas", "0.1", "--n", "20", "--held-out", "2", "--batch-size", "40"]
    command += ["--out", str(tmp_path), "--no-progress"]
    assert certified.main([*command, "--count", "2"]) == 0
    files = sorted((tmp_path / "sigma-0.1").rglob("certificate.json"))
    assert len(files) == len(certified.VARIANTS)
    before = [file.stat().st_mtime_ns for file in files]
    assert certified.main([*command, "--count", "3"]) == 0
    assert len(list((tmp_path / "sigma-0.1").rglob("certificate.json"))) == 2 * len(certified.VARIANTS)
    assert [file.stat().st_mtime_ns for file in files] == before
    report = (tmp_path / "report.md").read_text()
    assert "3 test images" in report
    assert "path, t = " in report
    assert json.loads((tmp_path / "sigma-0.1" / "choice.json").read_text())["asked"]["held_out"] == 2
    assert certified.main([*command, "--count", "3", "--kappas", "2.0"]) == 1
    assert "out must be a folder of the same choice" in capsys.readouterr().err
