"""The demo and the command of a claim, from the command line to the report, at a minute size, in one folder."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from experiments import __main__ as claims
from experiments import demo, judging, trainings
from experiments.demo import Demo, main
from experiments.study import SIZES, study_of_size
from isvs_jax.robustness import RESOLUTIONS
from isvs_jax.training import ModelChoice, TerminatedError
from isvs_jax.training.trained import build_model
from tests.training.networks import build_minute

TINY = replace(
    SIZES["demo"],
    epsilons=(8 / 255,),
    attacks=("apgd-ce",),
    corruptions=("gaussian_noise", "contrast"),
    severities=(3,),
    attack_count=4,
    num_steps=2,
    check_count=4,
    num_queries=2,
)
IMAGES = ["--limit-train", "40", "--limit-test", "16", "--image-size", "8", "--batch-size", "16", "--no-progress"]
SMALL = [*IMAGES, "--epochs", "1"]
ENTRANTS = ("raw", "path", "path@dense:4")
CLAIM = ["corruptions", "--size", "demo", *SMALL, "--entrants", "raw", "path"]
WAYS = ["clean", "unrolled", "identity", "low_pass", "transfer", "square", "noise"]


def build_small(choice: ModelChoice, num_classes: int, image_shape: tuple[int, int, int]) -> Any:
    """The smallest network in the place of the usual one."""
    build = build_minute if choice.name == "cnn" else build_model
    return build(choice, num_classes, image_shape)


@pytest.fixture(autouse=True, scope="module")
def _minute() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in ("isvs_jax.training.run", "isvs_jax.training.trained", "experiments.demo"):
            patch.setattr(f"{module}.build_model", build_small)
        patch.setattr("experiments.study.SIZES", {"demo": TINY})
        patch.setattr(judging, "RESOLUTIONS", RESOLUTIONS[:1])
        yield
    forget()


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def forget() -> None:
    """As a process that starts."""
    judging.judge.cache_clear()
    trainings.train_one.cache_clear()


def stopped_at(number: int, error: type[BaseException] | None) -> Any:
    """`judged` that is stopped at the entrant of a number, by SIGTERM or by an error."""
    usual, seen = demo.judged, []

    def judged(entrants: Any, study: Any) -> Any:
        seen.append(entrants)
        if len(seen) <= number:
            return usual(entrants, study)
        if error is None:
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("the signal was not heard")
        raise error("stopped")

    return judged


def work(folder: Path) -> dict[str, bytes]:
    """What trainings and tests have left."""
    return {str(file): file.read_bytes() for name in ("log.jsonl", "partial.json") for file in folder.rglob(name)}


def tables(folder: Path) -> Any:
    return json.loads((folder / "result.json").read_text())["tables"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo that was killed after its first entrant, a claim about two of them, and the demo that went on."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "judged", stopped_at(1, None))
        assert main([*SMALL, "--out", str(folder)]) == 130
    first = work(folder)
    assert len(first) == 2
    assert not (folder / "report.md").exists()
    forget()
    # Trains and judges the second entrant.
    assert claims.main([*CLAIM, "--out", str(folder)]) == 0
    second = work(folder)
    assert len(second) == 4
    forget()
    assert main([*SMALL, "--out", str(folder)]) == 0
    now = work(folder)
    for before in (first, second):
        assert {name: text for name, text in now.items() if name in before} == before
    return folder


def test_a_claim_goes_from_training_to_table_and_picture_and_again_without_work(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = finished / "corruptions"
    before, shown = work(finished), tables(claim)
    assert set(shown[0]["rows"]) == {"raw", "path"}
    assert (claim / "severity.png").is_file()
    forget()
    (claim / "result.json").unlink()
    assert claims.main([*CLAIM, "--out", str(finished)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(claim / "report.md")
    assert (work(finished), tables(claim)) == (before, shown)
    assert claims.main([*CLAIM, "--out", str(finished), "--finished-only"]) == 0
    assert (work(finished), tables(claim)) == (before, shown)


def test_it_leaves_a_report_numbers_and_pictures(finished: Path) -> None:
    whole, robust, left, _ = tables(finished)
    assert tuple(whole["rows"]) == ENTRANTS
    assert {"clean", "noise", "contrast", "robust, L∞, ε = 8/255", "low resolution, mean"} <= set(whole["columns"])
    for cells in whole["rows"].values():
        for cell in cells[1:]:
            assert 0 <= cell["mean"] <= 1
    # The figure without attack that robust ones stand beside is of the same images.
    assert robust["columns"][:2] == ["clean", "clean, images under attack"]
    assert left["columns"] == WAYS
    report = (finished / "report.md").read_text()
    for part in (
        "16 test images in every cell, 4 under attack",
        "40 training images",
        "Command:",
        "| path@dense:4 | 1 |",
    ):
        assert part in report
    for picture in ("methods", "severity", "epsilon", "path"):
        assert f"({picture}.png)" in report
        with Image.open(finished / f"{picture}.png") as image:
            assert min(image.size) > 150


def test_a_smoothed_network_survives_no_attack_that_its_worst_case_counts(finished: Path) -> None:
    whole, _, left, _ = tables(finished)
    (row,) = left["rows"].values()
    shares = [cell["mean"] for cell in row]
    assert shares == sorted(shares, reverse=True)
    assert whole["rows"]["path@dense:4"][whole["columns"].index("robust, L∞, ε = 8/255")]["mean"] == shares[-1]


def test_what_is_finished_is_used_again_and_the_table_fits_a_terminal(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, shown = work(finished), tables(finished)
    forget()
    assert main([*SMALL, "--out", str(finished)]) == 0
    said = capsys.readouterr().out
    assert "what is finished there is used again" in said
    assert (work(finished), tables(finished)) == (before, shown)
    lines = said[said.index("in % ") :].splitlines()
    assert lines[0].split()[-3:] == list(ENTRANTS)
    assert max(map(len, lines[: len(shown[0]["columns"]) + 1])) <= 100
    assert lines[-1] == f"Report, numbers and pictures: {finished}"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([*IMAGES, "--epochs", "2"], "size.epochs: 1 there, 2 asked for"),
        ([*SMALL, "--limit-train", "32"], "size.data.limit_train: 40 there, 32 asked for"),
    ],
)
def test_another_demo_does_not_overwrite(
    arguments: list[str], sentence: str, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (work(finished), tables(finished))
    assert main([*arguments, "--out", str(finished)]) == 1
    assert sentence in capsys.readouterr().err
    assert (work(finished), tables(finished)) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, TerminatedError])
def test_a_stop_is_polite(
    error: type[BaseException],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(demo, "judged", stopped_at(0, error))
    assert main([*SMALL, "--out", str(tmp_path / "out")]) == 130
    assert "The same command goes on from there." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "folder:/no/such"], "There is no folder /no/such"),
        (["--batch-size", "5000"], "batch_size must be at most 1198, the number of training images; got 5000."),
        (["--model", "cmm"], "name must be one of 'cnn',"),
        (["--epochs", "0"], "epochs must be an integer of at least 1; got 0"),
        (["--image-size", "10"], "height and width must be multiples of 4 for the test of low resolution; got 10×10."),
        (["--seeds", "1", "1"], "got (1, 1)"),
        (["--seeds", "0", "-1"], "seeds must be one or more different integers from 0 to 2³² − 1; got (0, -1)."),
        (["--entrants", "raw@"], "entrant must be TRAINING or TRAINING@BEFORE, such as mixed@dense:4; got 'raw@'."),
        (["--entrants", "raw", "rew"], "got 'rew'"),
        (["--entrants"], "entrants must be one or more"),
    ],
)
def test_bad_input_is_one_sentence_before_anything_is_written(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_option_that_no_study_takes_is_refused_by_the_parser(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*SMALL, "--limit-test", "0", "--out", str(tmp_path / "out")])
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "limit_test must be an integer of at least 1; got 0." in said
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "report.md").write_text("mine")
    assert main([*SMALL, "--out", str(tmp_path)]) == 1
    assert "folder must be new, empty, or the folder of a run" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["report.md"]


def test_help_says_what_there_is_and_what_is_usual(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for part in ("--data ", "tfds:cifar10", "--limit-train", "(default: 5000)", "(default: raw path path@dense:4)"):
        assert part in said


def test_the_folder_follows_the_data() -> None:
    assert Demo().folder == Path("results/demo")
    other = Demo(study_of_size("demo", "tfds:cifar10"))
    assert other.folder == Path("results/demo-tfds-cifar10")
    assert other.study.data.image_size is None
    assert Demo(study_of_size("demo", out=Path("there"))).folder == Path("there")


def test_folders_of_before_belong_to_the_same_settings(finished: Path) -> None:
    recorded = json.loads((finished / "config.json").read_text())["size"]
    assert recorded["data"] == {
        "spec": "digits",
        "image_size": 8,
        "limit_train": 40,
        "limit_test": None,
        "draw_seed": 0,
        "validation_share": 0.0,
        "mirror": None,
    }
    assert recorded["corrupted_count"] == 16
    assert (recorded["attack_steps"], recorded["attack_queries"], recorded["training_attack_steps"]) == (2, 2, 2)
    assert len(recorded) == 18
