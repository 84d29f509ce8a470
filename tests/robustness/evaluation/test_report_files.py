"""Reports as files: there and back, forms of before, and files that are cut."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isvs_jax.robustness.evaluation import (
    Report,
    markdown,
    packed,
    parameters_hash,
    read_report,
    unpacked,
    write_report,
)


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
    (session,) = values["made"]["sessions"]
    assert {"platform", "device_kind", "device_count"} <= set(session["hardware"])
    assert {"command", "commit", "date"} <= set(session)
    # Clean, 2 × 2 corruptions, a resolution, two radii of the curve, two balls and their doubling.
    assert session["cells"] == 1 + 4 + 1 + 2 + 2 + 2
    assert set(values["made"]["seconds"]) == {"clean", "corruption", "resolution", "curve", "attack", "doubling"}
    assert session["seconds"] == pytest.approx(sum(values["made"]["seconds"].values()))
    assert values["made"]["key"] == [0, 0]
    assert len(values["made"]["parameters"]) == 64


def test_json_of_another_form_is_refused(report: Report) -> None:
    with pytest.raises(ValueError, match="report must have one of the formats 2, 3, 4; got 0"):
        Report.from_dict(report.to_dict() | {"format": 0})
    with pytest.raises(ValueError, match="for extra"):
        Report.from_dict(report.to_dict() | {"extra": 1})
    with pytest.raises(FileNotFoundError, match="which is not there"):
        read_report("nowhere")


def _as_format_2(values: dict[str, Any]) -> dict[str, Any]:
    """What the version before wrote of the same report."""

    def cell(entry: dict[str, Any]) -> dict[str, Any]:
        return {name: entry[name] for name in ("correct", "count", "ece", "not_finite", "seconds")}

    settings, attacks = values["settings"], []
    for entry in values["attacks"]:
        worst = entry["worst"]
        kept = {name: value for name, value in entry.items() if name != "worst"}
        of_cell = {name: worst[name] for name in ("count", "masks", "warnings", "seconds")}
        attacks.append(kept | of_cell | {"robust": worst["correct"]})
    return values | {
        "format": 2,
        "clean": cell(values["clean"]),
        "corruptions": {
            name: {severity: cell(entry) for severity, entry in row.items()}
            for name, row in values["corruptions"].items()
        },
        "resolutions": [entry | {"cell": cell(entry["cell"])} for entry in values["resolutions"]],
        "curves": [entry | {"cells": [cell(part) for part in entry["cells"]]} for entry in values["curves"]],
        "attacks": attacks,
        "settings": {
            "corruptions": settings["corruptions"]["names"],
            "severities": settings["corruptions"]["severities"],
            "parameters": settings["corruptions"]["table"],
            "quantize": settings["corruptions"]["quantize"],
            "resolutions": settings["resolutions"],
            "attacks": settings["attacks"]["names"],
            "epsilons": {"linf": settings["attacks"]["epsilons"]},
            "curve": {"linf": settings["checks"]["curve"]},
            "attack_count": settings["attacks"]["count"],
            "attack_steps": settings["attacks"]["num_steps"],
            "attack_queries": settings["attacks"]["num_queries"],
            "curve_count": settings["checks"]["count"],
            "curve_steps": settings["checks"]["num_steps"],
            "individually": settings["attacks"]["individually"],
            "doubling": settings["checks"]["doubling"],
        },
    }


def test_files_of_the_format_before_are_read(report: Report) -> None:
    old = Report.from_dict(json.loads(json.dumps(_as_format_2(report.to_dict()))))
    assert old.settings == report.settings
    assert old.doublings == report.doublings
    without = _without_classes(report)
    assert (old.attacks, old.curves, old.clean) == (without.attacks, without.curves, without.clean)
    assert markdown(old).partition("- Settings")[0] == markdown(without).partition("- Settings")[0]
    assert "## Classes" not in markdown(old)
    assert Report.from_dict(without.to_dict() | {"format": 3}) == without


def _without_classes(report: Report) -> Report:
    """What a report of an older format says: nothing of classes, nor of entropy."""

    def strip(values: Any) -> Any:
        if isinstance(values, dict):
            return {
                key: strip(value) for key, value in values.items() if not str(key).startswith(("class_", "entropy"))
            }
        return [strip(value) for value in values] if isinstance(values, list | tuple) else values

    return Report.from_dict(strip(report.to_dict()))


@pytest.mark.parametrize("text", ["", '{"format": 3, "name": "li', "[]", '{"format": 3, "name": "x"}'])
def test_a_cut_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ValueError, match=r"report\.json must be"):
        read_report(tmp_path)


def test_hash_sees_names_shapes_types_and_values() -> None:
    tree: dict[str, Any] = {"a": np.arange(4.0)}
    changed = [{"b": np.arange(4.0)}, {"a": np.arange(4.0).reshape(2, 2)}, {"a": np.arange(4.0, dtype=np.float32)}]
    changed.append({"a": np.array([0.0, 1.0, 2.0, 3.5])})
    assert len({parameters_hash(other) for other in [tree, *changed]}) == 5
    assert parameters_hash(tree) == parameters_hash({"a": np.arange(4.0)})
