"""JSON there and back, Markdown with every cell, pictures."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isvs_jax.robustness import CORRUPTIONS
from isvs_jax.robustness.report import (
    AttackResult,
    Cell,
    Normaliser,
    Report,
    bars,
    epsilon_curves,
    heat_map,
    markdown,
    parameters_hash,
    read_report,
    write_report,
)
from isvs_jax.robustness.report.results import packed, unpacked


@pytest.fixture(scope="module")
def full_report(report: Report) -> Report:
    """All 15 × 5 cells, each with an accuracy of its own."""
    rng = np.random.default_rng(0)
    counts = 1 + rng.permutation(999)[:75].reshape(15, 5)
    table = {
        name: {
            severity: Cell(packed(np.arange(1000) < counts[i, severity - 1]), 1000, 0.1) for severity in (1, 2, 3, 4, 5)
        }
        for i, name in enumerate(CORRUPTIONS)
    }
    return dataclasses.replace(report, corruptions=table)


@pytest.mark.parametrize("count", [1, 7, 8, 21])
def test_masks_are_packed_and_unpacked(count: int) -> None:
    mask = np.random.default_rng(count).random(count) < 0.5
    np.testing.assert_array_equal(unpacked(packed(mask), count), mask)


def test_json_gives_the_same_report(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    assert read_report(tmp_path) == report
    assert read_report(tmp_path / "report.json") == report
    values = json.loads((tmp_path / "report.json").read_text())
    assert {"python", "jax", "isvs_jax"} <= set(values["made"]["versions"])
    assert {"platform", "device_kind", "device_count"} <= set(values["made"]["hardware"])
    assert set(values["made"]["seconds"]) == {"clean", "corruption", "resolution", "curve", "attack"}
    assert values["made"]["key"] == [0, 0]
    assert len(values["made"]["parameters"]) == 64


def test_json_of_another_form_is_refused(report: Report) -> None:
    with pytest.raises(ValueError, match="format is 0"):
        Report.from_dict(report.to_dict() | {"format": 0})
    with pytest.raises(ValueError, match="'extra'"):
        Report.from_dict(report.to_dict() | {"extra": 1})
    with pytest.raises(FileNotFoundError, match="no report"):
        read_report("nowhere")


def test_markdown_holds_every_cell_in_its_place(full_report: Report) -> None:
    lines = markdown(full_report).splitlines()
    for name, row in full_report.corruptions.items():
        line = next(line for line in lines if line.startswith(f"| {name} ("))
        cells = [text.strip() for text in line.split("|")[2:-1]]
        mean = np.mean([cell.accuracy for cell in row.values()])
        assert cells == [f"{100 * row[s].accuracy:.1f}" for s in (1, 2, 3, 4, 5)] + [f"{100 * mean:.1f}"]
    first = next(i for i, line in enumerate(lines) if line.startswith("| corruption"))
    assert all(not line.startswith("|") for line in lines[:first])  # the full table is the first
    fog, contrast = (f"{100 * full_report.mean_accuracy([name]):.1f}" for name in ("fog", "contrast"))
    for label in ("all corruptions", "noise", "blur", "weather", "digital"):
        line = next(line for line in lines if line.startswith(f"| {label} "))
        assert [text.strip() for text in line.split("|")[4:6]] == [fog, contrast]


def test_mce_says_its_normaliser_or_why_it_is_missing(full_report: Report, report: Report) -> None:
    assert "mCE is left out: it is relative to the errors of a reference network" in markdown(full_report)
    itself = Normaliser("itself", full_report.corruption_errors(), (1, 2, 3, 4, 5), 1 - full_report.clean.accuracy)
    text = markdown(full_report, itself)
    assert "mCE: **100.0%**; relative mCE: **100.0%**. Normalised by the errors of itself." in text
    other_severities = markdown(report, itself)
    assert "is of severities 1, 2, 3, 4, 5, this report of 1, 5" in other_severities
    assert "not the benchmark's 15 × 5" in other_severities
    unknown_clean = markdown(full_report, dataclasses.replace(itself, clean_error=None))
    assert "mCE: **100.0%**" in unknown_clean
    assert "Relative mCE is left out" in unknown_clean


def test_warnings_stand_with_their_figure(report: Report) -> None:
    attack = dataclasses.replace(report.attacks[0], warnings=("the gradients may be masked.",))
    text = markdown(dataclasses.replace(report, attacks=(attack,)))
    assert f"ε = 0.5/255, {100 * attack.worst.accuracy:.1f}%): the gradients may be masked." in text


def test_official_and_regenerated_are_labelled_apart(report: Report) -> None:
    assert "Source: **regenerated**" in markdown(report)
    assert "Source: **official**" in markdown(dataclasses.replace(report, source="official"))


def test_pictures_are_figures(report: Report, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    other = dataclasses.replace(report, name="other")
    for figure in (heat_map(report), epsilon_curves([report, other]), bars([report, other])):
        assert isinstance(figure, Figure)
        figure.savefig(tmp_path / "picture.png", dpi=40)
    texts = [text.get_text() for text in heat_map(report).axes[0].texts]
    assert texts == [f"{100 * cell.accuracy:.0f}" for row in report.corruptions.values() for cell in row.values()]


def test_pictures_that_would_mislead_are_refused(report: Report) -> None:
    official = dataclasses.replace(report, source="official")
    with pytest.raises(ValueError, match="different sources"):
        bars([report, official])
    with pytest.raises(ValueError, match="holds a curve"):
        epsilon_curves([report], "l2")
    with pytest.raises(ValueError, match="no corruptions"):
        heat_map(dataclasses.replace(report, corruptions={}))


def test_hash_sees_names_shapes_types_and_values() -> None:
    tree: dict[str, Any] = {"a": np.arange(4.0)}
    changed = [{"b": np.arange(4.0)}, {"a": np.arange(4.0).reshape(2, 2)}, {"a": np.arange(4.0, dtype=np.float32)}]
    changed.append({"a": np.array([0.0, 1.0, 2.0, 3.5])})
    assert len({parameters_hash(other) for other in [tree, *changed]}) == 5
    assert parameters_hash(tree) == parameters_hash({"a": np.arange(4.0)})


def test_attack_result_s_worst_case_by_hand() -> None:
    masks = {"clean": packed(np.array([1, 1, 1, 0])), "a": packed(np.array([1, 0, 1, 0]))}
    result = AttackResult("linf", 0.1, 4, masks, packed(np.array([1, 0, 0, 0])))
    assert result.accuracies == {"clean": 0.75, "a": 0.5}
    assert result.worst.accuracy == 0.25
