"""The command, from arguments to files."""

import dataclasses
import functools
import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from isvs_jax.data import DataChoice, load_data, take
from isvs_jax.robustness import load_cifar_c, load_imagenet_c, load_tfds
from isvs_jax.robustness.evaluation import read_report
from isvs_jax.robustness.evaluation.command import main
from isvs_jax.robustness.evaluation.model_source import find_model
from isvs_jax.robustness.evaluation.options import Evaluation, parse
from isvs_jax.robustness.evaluation.protocol import quick
from isvs_jax.robustness.evaluation.words import bound_reader, fraction, parse_defence, read_word

MODEL = """
import jax.numpy as jnp

def load(scale="1"):
    weights = jnp.linspace(-1, 1, 16 * 16 * 10).reshape(16 * 16, 10)
    return lambda images: float(scale) * images.reshape(len(images), -1) @ weights

def number():
    return 3

def logits(images):
    return load()(images)

def two(images, weights):
    return images

constant = 3
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
    said = capsys.readouterr()
    # The figures are printed, and no line of progress.
    assert said.err == ""
    for line in ("| second ", "| clean ", "| all corruptions ", "| contrast "):
        assert any(text.startswith(line) for text in said.out.splitlines())
    report = json.loads((tmp_path / "first" / "report.json").read_text())
    assert report["class_names"] == [str(digit) for digit in range(10)]
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
        ([], "got neither. It must be a function of images float32 [B, H, W, C] in [0, 1] to logits [B, K]"),
        (["--model", "no_colon"], "model must be MODULE:FUNCTION or FILE.py:FUNCTION"),
        (["--model", "no_module_of_this_name:load"], "that Python finds; got no_module_of_this_name: No module named"),
        (["--model", "none.py:load"], "got none.py, which is not there"),
        (["--model", "MODULE:constant"], "model must name a function; got 3 from"),
        (["--model", "MODULE:two"], "model must be a function of images alone; got"),
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


def test_a_plain_function_is_a_model_and_a_file_a_module(module: str, tmp_path: Path) -> None:
    file = tmp_path / f"{module}.py"
    for given in (f"{module}:logits", f"{module}:load", f"{file}:logits"):
        chosen = parse(["evaluate", "--out", "x", "--model", given])
        assert isinstance(chosen, Evaluation)
        assert find_model(chosen, 10).logits_fn(np.ones((2, 16, 16, 1), np.float32)).shape == (2, 10)


def test_the_quick_protocol_changes_what_no_option_says() -> None:
    for given in (["--quick"], ["--protocol", "quick"], ["--protocol=quick"]):
        chosen = parse(["evaluate", "--out", "x", *given, "--attacks.count", "7", "--data.spec", "digits"])
        assert isinstance(chosen, Evaluation)
        assert chosen.protocol == "quick"
        expected = quick()
        assert chosen.corruptions == expected["corruptions"]
        assert chosen.checks == expected["checks"]
        assert chosen.attacks == dataclasses.replace(expected["attacks"], count=7)
        assert (chosen.data.limit_test, chosen.read_count) == (expected["count"], expected["count"])
    assert main(["evaluate", "--out", "x", "--quick", "--protocol", "standard"]) == 1


def test_an_interrupt_leaves_the_command_that_goes_on(
    module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("isvs_jax.robustness.evaluation.engine.corruption_cell", stop)
    arguments = [
        "evaluate",
        "--quick",
        "--model",
        f"{module}:load",
        "--data.image-size",
        "16",
        "--data.limit-test",
        "8",
    ]
    arguments += ["--out", str(tmp_path / "a folder"), "--no-progress"]
    assert main(arguments) == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"Interrupted. Go on with: python -m isvs_jax.robustness {shlex.join(arguments)}"


def test_sorted_images_are_mixed(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = load_data(DataChoice(image_size=16, limit_train=1))
    order = np.argsort(digits.test.labels, kind="stable")
    rows = dataclasses.replace(digits, test=take(digits.test, order))
    monkeypatch.setattr("isvs_jax.robustness.evaluation.command.load_data", lambda *args, **options: rows)
    arguments = [
        "evaluate",
        "--model",
        f"{module}:load",
        "--out",
        str(tmp_path),
        "--corruptions.names",
        "--no-resolutions",
    ]
    arguments += ["--attacks.names", "--checks.curve", "0.5", "--checks.count", "30", "--checks.num-steps", "1"]
    assert main([*arguments, "--no-progress", "--no-pictures", "--checks.no-doubling"]) == 0
    report = read_report(tmp_path)
    assert np.count_nonzero(report.curves[0].cells[0].class_count) == 10
    assert not any("sorted" in text for text in report.warnings)


def test_published_images_are_words(tmp_path: Path) -> None:
    for word, loader in (("cifar-c:a", load_cifar_c), ("imagenet-c:b", load_imagenet_c), ("tfds:c", load_tfds)):
        read = bound_reader(read_word(word), 5, "d")
        assert isinstance(read, functools.partial)
        assert (read.func, read.args) == (loader, (word.partition(":")[2],))
        assert read.keywords == {"count": 5} | ({"data_dir": "d"} if word == "tfds:c" else {})
    (tmp_path / "labels.npy").touch()
    assert read_word(str(tmp_path)).func is load_cifar_c  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"corruptions.read must be cifar-c:FOLDER, imagenet-c:FOLDER, tfds"):
        read_word("nowhere")


def test_groups_are_options() -> None:
    given = ["evaluate", "--out", "x", "--attacks.epsilons", "1/255", "0.5", "--attacks.epsilons-l2", "0.5"]
    given += ["--attacks.names", "apgd-ce", "--checks.no-doubling", "--corruptions.table", "64"]
    given += ["--corruptions.read", "cifar-c:folder", "--defence", "sparse:8"]
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
