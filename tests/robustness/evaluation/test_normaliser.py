"""Tables of errors that others are measured against, read from files."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from isvs_jax.robustness.evaluation import read_normaliser

DATA = Path(os.environ.get("ISVS_JAX_DATA", Path(__file__).parents[4] / "shared" / "data"))


def test_tables_normalise(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(
        json.dumps({"name": "net", "errors": {"fog": [0.1, 0.2, 0.3, 0.4, 0.5], "snow": 0.2}})
    )
    table = read_normaliser(tmp_path / "t.json")
    assert table.name == "net"
    assert table.errors == pytest.approx({"fog": 0.3, "snow": 0.2})
    assert table.clean_error is None
    rows = [",fog,fog,snow,snow", ",1,2,1,2", "One,0.9,0.7,0.8,0.6", "", "Two,0.5,0.5,0.5,0.5"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    (tmp_path / "One.json").write_text('{"clean_acc": "95.5"}')
    one = read_normaliser(tmp_path / "t.csv", "One")
    assert one.errors == pytest.approx({"fog": 0.2, "snow": 0.3})
    assert one.severities == (1, 2)
    assert one.clean_error == pytest.approx(0.045)
    assert read_normaliser(tmp_path / "t.csv", "Two").clean_error is None
    with pytest.raises(ValueError, match="one of the rows One, Two"):
        read_normaliser(tmp_path / "t.csv")
    with pytest.raises(FileNotFoundError, match="which is not there"):
        read_normaliser(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ({"fog": [0.1, 0.2, 0.3]}, "must have 5 errors of fog.*; got 3"),
        ({"fog": [0.1] * 6}, "must have 5 errors of fog.*; got 6"),
        ({"fog": 40}, r"must have numbers in \[0, 1\] as errors of fog; got 40"),
        ({"fog": "high"}, "errors of fog; got 'high'"),
        ([0.1], "got no mapping of errors"),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path: Path, errors: object, said: str) -> None:
    (tmp_path / "t.json").write_text(json.dumps({"errors": errors}))
    with pytest.raises(ValueError, match=said):
        read_normaliser(tmp_path / "t.json")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([",fog,fog", ",1,2", "One,0.9"], "got 3 corruptions, 3 severities and 2 values of One"),
        ([",fog,fog,snow", ",1,2,1", "One,0.9,0.8,0.7"], "got others for snow"),
        ([",fog", ",1", "One,much"], "number for fog '1' of One; got 'much'"),
        ([",fog"], "got 1 rows"),
    ],
)
def test_a_csv_table_of_another_form_is_refused(tmp_path: Path, rows: list[str], said: str) -> None:
    (tmp_path / "t.csv").write_text("\n".join(rows))
    with pytest.raises(ValueError, match=said):
        read_normaliser(tmp_path / "t.csv", "One")


def test_robustbench_s_table_has_its_published_mean() -> None:
    file = DATA / "anchors/robustbench/model_info/cifar10/corruptions/unaggregated_results.csv"
    if not file.is_file():
        pytest.skip(f"RobustBench's table is not at {file}")
    standard = read_normaliser(file, "Standard")
    assert len(standard.errors) == 15
    assert 100 * (1 - np.mean(list(standard.errors.values()))) == pytest.approx(73.46, abs=0.005)
    assert standard.clean_error == pytest.approx(0.0522)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("n.json", '{"errors": {"fog": 0.1}, "clean_error": "x"}', r"n\.json must have errors in \[0, 1\]"),
        ("n.json", '{"errors": {}}', r"n\.json must have errors in \[0, 1\]"),
        ("n.csv", ",fog,fog\n,1,2\nm,50.0,40.0\n", r"n\.csv must have errors in \[0, 1\]"),
        ("m.json", '{"clean_acc": "abc"}', r"m\.json must have a number in percent as clean_acc; got 'abc'"),
        ("m.json", "[]", r"m\.json must have a number in percent as clean_acc; got \[\]"),
    ],
)
def test_a_normaliser_of_another_form_is_named(tmp_path: Path, file: str, text: str, said: str) -> None:
    (tmp_path / "n.csv").write_text(",fog\n,1\nm,0.5\n")
    (tmp_path / file).write_text(text)
    with pytest.raises(ValueError, match=said):
        read_normaliser(tmp_path / (file if file != "m.json" else "n.csv"), "m")
