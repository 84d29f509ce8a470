"""The command, from arguments to files."""

import json
import sys
from pathlib import Path

import pytest

from isvs_jax.robustness.evaluation.command import main

MODEL = """
import jax.numpy as jnp

def load(scale="1"):
    weights = jnp.linspace(-1, 1, 16 * 16 * 10).reshape(16 * 16, 10)
    return lambda images: float(scale) * images.reshape(len(images), -1) @ weights

def number():
    return 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "a_model_of_the_test.py").write_text(MODEL)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "a_model_of_the_test", raising=False)
    return "a_model_of_the_test"


def test_a_model_is_evaluated_and_compared(module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", f"{module}:load", "--model-arguments", "2", "--data", "digits", "--image-size", "16"]
    arguments += ["--limit", "24", "--corruptions", "brightness", "contrast", "--severities", "5", "--no-resolutions"]
    arguments += ["--attacks", "none", "--batch-size", "24", "--no-progress"]
    for name in ("first", "second"):
        assert main([*arguments, "--name", name, "--out", str(tmp_path / name)]) == 0
    report = json.loads((tmp_path / "first" / "report.json").read_text())
    assert report["count"] == 24
    assert list(report["corruptions"]) == ["brightness", "contrast"]
    text = (tmp_path / "first" / "report.md").read_text()
    assert "![accuracy by corruption and severity](heat_map.png)" in text
    assert (tmp_path / "first" / "heat_map.png").stat().st_size > 1000
    both = [str(tmp_path / name) for name in ("first", "second")]
    assert main(["compare", *both, "--out", str(tmp_path / "both")]) == 0
    assert (tmp_path / "both" / "bars.png").stat().st_size > 1000
    assert main(["compare", *both, "--out", str(tmp_path / "both")]) == 2
    assert "would be overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--model", "no_colon"], "module:function"),
        (["--model", "MODULE:number"], "returned int"),
        (["--model", "MODULE:load", "--corruptions", "rain"], "'rain'"),
        (["--model", "MODULE:load", "--reference", "none.csv#Standard"], "no file none.csv"),
        (["--pytorch-resnet", "none.th"], "no file none.th"),
        (["--model", "MODULE:load", "--defence", "blur:2"], "defence is 'blur:2'; it may be smoothing:TIME"),
        (["--model", "MODULE:load", "--norm", "l2"], "--epsilons has no default in L2"),
        (["--model", "MODULE:load", "--defence", "rounding:many"], "defence is 'rounding:many': invalid"),
    ],
)
def test_what_cannot_be_is_said(
    change: list[str], said: str, module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change = [text.replace("MODULE", module) for text in change]
    arguments = ["--data", "digits", "--image-size", "16", "--limit", "8", "--batch-size", "8", "--no-progress"]
    assert main([*change, *arguments, "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
