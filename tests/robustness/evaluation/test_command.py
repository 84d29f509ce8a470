"""The command, from arguments to files."""

import json
import sys
from pathlib import Path

import pytest

from isvs_jax.robustness.evaluation.command import Evaluation, fraction, main, parse, parse_defence

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
    arguments = ["--model", f"{module}:load", "--model-arguments", "2", "--data.image-size", "16"]
    arguments += ["--data.limit-test", "24", "--corruptions.names", "brightness", "contrast"]
    arguments += ["--corruptions.severities", "5", "--no-resolutions", "--attacks.names", "--checks.curve"]
    arguments += ["--batch-size", "24", "--no-progress"]
    for name in ("first", "second"):
        assert main(["evaluate", *arguments, "--name", name, "--out", str(tmp_path / name)]) == 0
    report = json.loads((tmp_path / "first" / "report.json").read_text())
    assert report["count"] == 24
    assert list(report["corruptions"]) == ["brightness", "contrast"]
    text = (tmp_path / "first" / "report.md").read_text()
    assert "![accuracy by corruption and severity](heat_map.png)" in text
    assert (tmp_path / "first" / "heat_map.png").stat().st_size > 1000
    both = [str(tmp_path / name) for name in ("first", "second")]
    assert main(["compare", *both, "--out", str(tmp_path / "both")]) == 0
    assert (tmp_path / "both" / "bars.png").stat().st_size > 1000
    assert main(["compare", *both, "--out", str(tmp_path / "both")]) == 1
    assert "would be overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ([], "model must be given as --model or as --pytorch.file; got neither"),
        (["--model", "no_colon"], "model must be MODULE:FUNCTION"),
        (["--model", "MODULE:nothing"], "got 'nothing', which it does not have"),
        (["--model", "MODULE:number"], "must return a function of images to logits; got 3"),
        (["--model", "MODULE:load", "--normaliser", "none.csv#Standard"], "got none.csv, which is not there"),
        (["--pytorch.file", "none.th"], "none.th"),
        (["--model", "MODULE:load", "--defence", "blur:2"], "defence must be dense:TIME, sparse:TIME"),
        (["--model", "MODULE:load", "--defence", "dense"], "got 'dense'"),
        (["--model", "MODULE:load", "--defence", "rounding:many"], "got 'rounding:many': invalid"),
    ],
)
def test_what_cannot_be_is_said(
    change: list[str], said: str, module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change = [text.replace("MODULE", module) for text in change]
    arguments = ["--data.image-size", "16", "--data.limit-test", "8", "--batch-size", "8", "--no-progress"]
    assert main(["evaluate", *change, *arguments, "--out", str(tmp_path / "out")]) == 1
    assert said in capsys.readouterr().err


def test_groups_are_options() -> None:
    given = ["evaluate", "--out", "x", "--attacks.epsilons", "1/255", "0.5", "--attacks.epsilons-l2", "0.5"]
    given += ["--attacks.names", "apgd-ce", "--checks.no-doubling", "--corruptions.table", "64"]
    given += ["--corruptions.read", "folder", "--defence", "sparse:8"]
    chosen = parse(given)
    assert isinstance(chosen, Evaluation)
    assert chosen.attacks.balls == [("linf", 1 / 255), ("linf", 0.5), ("l2", 0.5)]
    assert not chosen.checks.doubling
    assert chosen.corruptions.table == 64
    assert chosen.corruptions.read is not None
    assert chosen.defence == "sparse:8"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--attacks.epsilons", "8"], "write 8 / 255"),
        (["--attacks.epsilons", "eight"], "parsing --attacks.epsilons: "),
        (["--corruptions.names", "rain"], "got ('rain',)"),
        (["--checks.curve", "0.2", "0.1"], "increasing"),
    ],
)
def test_options_that_do_not_exist_are_said(option: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--model", "a:b", "--out", "x", *option])
    assert stopped.value.code == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_fractions_and_defences_are_words() -> None:
    assert fraction("8/255") == 8 / 255
    with pytest.raises(ValueError, match="fraction such as 8/255; got '1/0'"):
        fraction("1/0")
    for word, description in (
        ("dense:4", "smoothing, dense, t = 4"),
        ("sparse:8", "sparse, t = 8"),
        ("rounding:8", "8"),
    ):
        assert description in parse_defence(word).description
