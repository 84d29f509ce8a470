"""What the command of the claims says; `test_demo.py` has it train and judge."""

from pathlib import Path

import pytest

from experiments.__main__ import main
from isvs_jax.training import TerminatedError


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--entrants", "rew"], "the training of an entrant must be one of raw,"),
        (["--entrants", "raw@blur:1"], "before must be dense:TIME"),
        (["--seeds", "1", "1"], "seeds must be one or more different integers from 0 to 2³² − 1; got (1, 1)."),
        (["--finished-only"], "holds no finished report of raw"),
        (["--data", "folder:/no/such"], "There is no folder /no/such"),
    ],
)
def test_bad_input_is_a_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["corruptions", "--out", str(tmp_path), "--no-progress", *arguments]) == 1
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.png"))


def test_all_of_them_are_numbered_and_share_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from experiments import __main__ as command
    from experiments.section import Section

    def run(claim: object) -> Section:
        name = type(claim).__name__
        return Section(name.lower(), name, f"{name} hold.", ())

    monkeypatch.setattr(command, "_RUNS", dict.fromkeys(command._RUNS, run))
    assert main(["all", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    page = (tmp_path / "README.md").read_text()
    assert "claim 1 of 9: corruptions" in said
    for number, kind in enumerate(command._RUNS, start=1):
        assert f"claim {number} of 9: {kind.__name__.lower()}" in said
        assert f"{kind.__name__} hold." in page


@pytest.mark.parametrize("told", [KeyboardInterrupt(), TerminatedError("by SIGTERM")], ids=["Ctrl-C", "SIGTERM"])
def test_a_stop_is_polite(
    told: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from experiments import __main__ as command

    def interrupted(_: object) -> None:
        raise told

    monkeypatch.setattr(command, "_RUNS", dict.fromkeys(command._RUNS, interrupted))
    assert main(["methods", "--out", str(tmp_path)]) == 130
    assert "The same command goes on from there." in capsys.readouterr().err


def test_a_look_at_all_leaves_out_what_has_nothing_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from experiments import __main__ as module
    from experiments.claims.additions import Additions
    from experiments.claims.adversarial import Adversarial
    from experiments.judging import Entrant, report_folder
    from isvs_jax.robustness.evaluation import write_report
    from tests.experiments.reports import fabricated

    monkeypatch.setattr(module, "_RUNS", {kind: module._RUNS[kind] for kind in (Adversarial, Additions)})
    command = ["all", "--out", str(tmp_path), "--finished-only", "--no-progress"]
    assert main(command) == 1
    assert "holds nothing that is finished" in capsys.readouterr().err
    write_report(fabricated("path@dense:8", 0), report_folder(tmp_path, Entrant("path", "dense:8"), 0))
    assert main(command) == 0
    said = capsys.readouterr()
    assert "left out: finished_only is set" in said.err
    page = (tmp_path / "README.md").read_text()
    assert "## Adversarial noise" in page
    assert "## In addition to other defences" not in page
