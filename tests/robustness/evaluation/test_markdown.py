"""Markdown with every cell, pictures."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isvs_jax.robustness import CORRUPTIONS
from isvs_jax.robustness.evaluation import (
    AttackResult,
    Cell,
    Normaliser,
    Report,
    bars,
    epsilon_curves,
    heat_map,
    markdown,
    packed,
    read_report,
    write_report,
)
from isvs_jax.robustness.evaluation.cells import cell_of
from isvs_jax.robustness.evaluation.classes import class_figures, figures_of
from isvs_jax.robustness.evaluation.fit import chosen
from isvs_jax.robustness.evaluation.protocol import left_out, protocol_name, quick, standard


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


def test_a_report_shows_itself_in_a_few_lines(report: Report) -> None:
    lines = repr(_warned(report)).splitlines()
    assert lines[0] == "Report('linear')"
    assert lines[1].strip() == "clean 90.5% of 21 images"
    assert lines[2].strip().startswith(f"corruptions {100 * report.mean_accuracy(list(report.corruptions)):.1f}%")
    assert lines[3].strip().startswith(f"robust {100 * report.attacks[0].worst.accuracy:.1f}%, L∞, ε = 0.5/255")
    assert lines[5].strip() == "3 warnings"


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
    for label, value in (("fog", fog), ("contrast", contrast)):
        (line,) = [line for line in lines if line.startswith(f"| {label}  ")]
        assert line.split("|")[2].strip() == value


def test_mce_says_its_normaliser_or_why_it_is_missing(full_report: Report, report: Report) -> None:
    assert "mCE is left out: it is relative to the errors of another network" in markdown(full_report)
    itself = Normaliser("itself", full_report.corruption_errors(), (1, 2, 3, 4, 5), 1 - full_report.clean.accuracy)
    text = markdown(full_report, itself)
    assert "mCE: **100.0%** (" in text
    assert "Normalised by the errors of itself, taken as exact" in text
    # The clean images are 21, the corrupted ones 1,000.
    assert "Relative mCE is left out: it takes the clean error from those under corruption" in text
    same = dataclasses.replace(full_report, clean=Cell(packed(np.arange(1000) < 999), 1000))
    text = markdown(same, dataclasses.replace(itself, clean_error=0.001))
    assert "relative mCE: **100.0%** (" in text
    other_severities = markdown(report, itself)
    assert "is of severities 1, 2, 3, 4, 5, this report of 1, 5" in other_severities
    assert "not the benchmark's 15 × 5" in other_severities
    unknown_clean = markdown(full_report, dataclasses.replace(itself, clean_error=None))
    assert "mCE: **100.0%**" in unknown_clean
    assert "Relative mCE is left out" in unknown_clean


def test_warnings_stand_with_their_figure(report: Report) -> None:
    attack = _attack(report, "the gradients may be masked.")
    text = markdown(dataclasses.replace(report, attacks=(attack,)))
    assert f"ε = 0.5/255, {100 * attack.worst.accuracy:.1f}%): the gradients may be masked." in text


def _attack(report: Report, warning: str) -> AttackResult:
    """The first ball with a warning."""
    first = report.attacks[0]
    return dataclasses.replace(first, worst=dataclasses.replace(first.worst, warnings=(warning,)))


def _warned(report: Report) -> Report:
    """Each of the attack, the curve and the doubling of the first ball with a warning of its own."""
    attack = _attack(report, "the attack failed.")
    curve = dataclasses.replace(report.curves[0], warnings=("the curve rises.",))
    doubling = dataclasses.replace(report.doublings[0], warnings=("more steps help.",))
    return dataclasses.replace(
        report,
        attacks=(attack, *report.attacks[1:]),
        curves=(curve,),
        doublings=(doubling, *report.doublings[1:]),
    )


def test_the_table_counts_the_warnings_of_the_checks(report: Report) -> None:
    lines = markdown(_warned(report)).splitlines()
    row = next(line for line in lines if line.startswith("| L∞, ε = 0.5/255"))
    assert row.split("|")[-2].strip() == "3"
    other = next(line for line in lines if line.startswith("| L∞, ε = 2/255"))
    assert other.split("|")[-2].strip() == "1"  # the curve is of both balls
    for said in ("the attack failed.", "twice the steps: more steps help.", "ε-curve: the curve rises."):
        assert any(line.startswith("**Warning** (L∞, ε = 0.5/255, ") and line.endswith(said) for line in lines)
    # What both balls have is said once.
    curve = next(line for line in lines if line.endswith("ε-curve: the curve rises."))
    assert "%; L∞, ε = 2/255, " in curve


def test_pictures_show_the_warnings(report: Report) -> None:
    warned = _warned(report)
    picture = bars([report, dataclasses.replace(warned, name="other")])
    hatched = [bar for bar in picture.axes[0].patches if bar.get_hatch()]
    assert len(hatched) == 2  # the two balls of the second report
    below = picture.get_supxlabel()
    assert "* other (robust, L∞, ε = 0.5/255): the attack failed." in below
    assert "* other (robust, L∞, ε = 0.5/255; robust, L∞, ε = 2/255): ε-curve: the curve rises." in below
    assert bars([report, report]).get_supxlabel() == ""
    assert epsilon_curves([warned]).get_supxlabel() == "Warning, linear: the curve rises."


def test_what_differs_in_kind_is_marked(report: Report) -> None:
    behind = dataclasses.replace(report, name="other", made=report.made | {"defence": "rounding", "corrupted": "a.b"})
    below = bars([report, behind]).get_supxlabel()
    assert "linear: no defence" in below
    assert "other: behind rounding; robust figures are the worst case over the six ways" in below
    assert "read by different loaders: None and a.b" in below


def test_steps_are_measured_against_epsilon(report: Report) -> None:
    (reach,) = report.attacks[0].reaches
    assert (reach.attack, reach.num_steps, reach.step_size, reach.ratio) == ("apgd-ce", 3, 2.0, 6.0)
    assert report.curves[0].reaches[0].ratio == pytest.approx(2.5)
    assert report.doublings[0].reaches[0].num_steps == 6
    text = markdown(report)
    assert "Steps × step size against ε: apgd-ce 3 × 2ε = 6ε, halved where the loss stalls" in text
    assert "Steps × step size against ε: pgd 3 × 0.833333ε = 2.5ε" in text


def test_checks_that_were_not_made_are_said(report: Report) -> None:
    assert "No ε-curve" not in markdown(report)
    assert "Twice the steps were not tried" not in markdown(report)
    other = dataclasses.replace(report.attacks[0], norm="l2", epsilon=0.5)
    text = markdown(dataclasses.replace(report, attacks=(*report.attacks, other)))
    assert "No ε-curve was made in L2" in text
    assert "Twice the steps were not tried (L2, ε = 0.5)" in text


def test_every_warning_is_in_the_report(report: Report) -> None:
    warned = _warned(dataclasses.replace(report, warnings=("clean: logits were not finite.",)))
    assert warned.warnings == (
        "clean: logits were not finite.",
        "L∞, ε = 0.5/255: the attack failed.",
        "ε-curve, L∞: the curve rises.",
        "twice the steps, L∞, ε = 0.5/255: more steps help.",
    )
    assert Report.from_dict(warned.to_dict()).warnings == warned.warnings
    lines = markdown(warned).splitlines()
    assert lines.count("**Warning**: clean: logits were not finite.") == 1
    assert not any(line.startswith("**Warning**: ") and "the attack failed" in line for line in lines)


def test_the_worst_class_of_every_part(report: Report, problem: Any, tmp_path: Path) -> None:
    for cell in (report.clean, report.corruptions["contrast"][5], report.attacks[0].worst, report.curves[0].cells[1]):
        for number in range(5):
            members = problem.labels == number
            right = cell.mask[members].sum()
            assert (cell.class_correct[number], cell.class_count[number]) == (right, members.sum())
    figures = {entry.label: entry for entry in class_figures(report)}
    assert list(figures)[:2] == ["clean", "all corruptions"]
    assert {"robust, L∞, ε = 2/255", "low resolution, mean"} < set(figures)
    table = report.corruptions
    by_hand = [
        np.mean([cell.mask[problem.labels == number].mean() for row in table.values() for cell in row.values()])
        for number in range(5)
    ]
    entry = figures["all corruptions"]
    np.testing.assert_allclose(np.array(entry.classes, float), by_hand)
    assert entry.worst == np.argmin(by_hand)
    assert entry.gap == pytest.approx(report.mean_accuracy(list(table)) - min(by_hand))
    named = dataclasses.replace(report, class_names=("one", "two", "three", "four", "five"))
    write_report(named, tmp_path)
    values = json.loads((tmp_path / "report.json").read_text())
    classes = {part["label"]: part for part in values["classes"]}
    assert classes["clean"]["classes"]["one"] == pytest.approx(figures["clean"].classes[0])
    assert values["summary"][0]["value"] == report.clean.accuracy
    assert read_report(tmp_path) == named
    worst = named.class_names[figures["clean"].worst]
    assert any(line.startswith("| clean ") and f" {worst} " in line for line in markdown(named).splitlines())


def test_a_class_without_images_has_no_accuracy() -> None:
    figures = figures_of("x", [cell_of(np.array([True, False]), np.array([0, 2]), 3)])
    assert figures is not None
    assert figures.classes == (1.0, None, 0.0)
    assert (figures.worst, figures.best, figures.gap) == (2, 0, 0.5)


def test_what_is_left_out_of_the_standard_protocol_is_said(report: Report) -> None:
    text = markdown(report)
    less = "2 of 15 corruptions, severities 1, 5 of 1 to 5, 1 of 12 settings of low resolution, without apgd-t"
    assert f"Protocol: **chosen by hand**. Less than the standard protocol: {less}" in text
    for name, arguments in (("standard", standard()), ("quick", quick())):
        groups = {key: value for key, value in arguments.items() if key != "count"}
        settings = chosen(**groups, count=60).as_dict()
        assert protocol_name(settings, 60) == name
        # Radii may be chosen in any protocol; the effort may not.
        settings["attacks"]["epsilons"] = [0.1]
        assert protocol_name(settings, 60) == name
        settings["attacks"]["num_steps"] += 1
        assert protocol_name(settings, 60) is None
        assert bool(left_out(settings, 60, 60)) == (name == "quick")
    groups = {key: value for key, value in quick().items() if key != "count"}
    settings = chosen(**groups, count=report.count).as_dict()
    assert "A quick look: its attacks are weak" in markdown(dataclasses.replace(report, settings=settings))


def test_official_and_regenerated_are_labelled_apart(report: Report) -> None:
    assert "Source: **regenerated**" in markdown(report)
    assert "Source: **official**, read from files whose checksums" in markdown(
        dataclasses.replace(report, source="official")
    )
    assert "so that figures on them are not official" in markdown(dataclasses.replace(report, source="unverified"))


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
    with pytest.raises(
        ValueError, match=r"agree in the source of the corrupted images; got regenerated in .* and official in"
    ):
        bars([report, official])
    fewer = dataclasses.replace(
        report, settings=report.settings | {"attacks": report.settings["attacks"] | {"num_steps": 5}}
    )
    with pytest.raises(ValueError, match=r"agree in the setting attacks\.num_steps; got 3 in .* and 5 in"):
        bars([report, fewer])
    # Where one of them has no robust figures there is nothing to mistake.
    bars([report, dataclasses.replace(fewer, attacks=())])
    other = dataclasses.replace(report, made=report.made | {"data": "x"})
    with pytest.raises(ValueError, match="agree in the data"):
        epsilon_curves([report, other])
    with pytest.raises(ValueError, match="must hold an ε-curve"):
        epsilon_curves([report], "l2")
    with pytest.raises(ValueError, match="must hold corruptions"):
        heat_map(dataclasses.replace(report, corruptions={}))


def test_the_cell_of_attacks_by_hand() -> None:
    masks = {"clean": packed(np.array([1, 1, 1, 0])), "a": packed(np.array([1, 0, 1, 0]))}
    cell = Cell(packed(np.array([1, 0, 0, 0])), 4, masks=masks)
    assert cell.accuracies == {"clean": 0.75, "a": 0.5}
    assert cell.accuracy == 0.25
