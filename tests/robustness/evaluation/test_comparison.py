"""Means and several trainings, by hand."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats

from isvs_jax.robustness.evaluation import (
    AttackResult,
    Cell,
    Report,
    ResolutionCell,
    bars,
    combine,
    combined_markdown,
    epsilon_curves,
    heat_map,
    html_page,
    markdown,
    normaliser_of,
    packed,
    read_normaliser,
    read_report,
    summary,
)
from isvs_jax.robustness.evaluation._summary import relative_errors
from isvs_jax.robustness.text import radius


def made(name: str, table: dict[str, list[int]], clean: int = 9) -> Report:
    """A report of ten images with so many right at severities 1 and 2."""

    def cell(right: int) -> Cell:
        return Cell(packed(np.arange(10) < right), 10, 0.1)

    corruptions = {corruption: {s: cell(n) for s, n in enumerate(row, 1)} for corruption, row in table.items()}
    return Report(name, "", "regenerated", 10, (8, 8, 3), 5, cell(clean), corruptions, made={"parameters": name})


TABLE = {"gaussian_noise": [8, 6], "fog": [7, 5], "snow": [9, 3], "contrast": [4, 2]}


def test_means_by_hand() -> None:
    values = {entry.label: entry.value for entry in summary(made("a", TABLE))}
    assert values["clean"] == 0.9
    assert values["all corruptions"] == pytest.approx(44 / 80)
    assert values["noise"] == pytest.approx(0.7)
    assert values["weather"] == pytest.approx(24 / 40)
    assert values["digital"] == pytest.approx(0.3)
    assert values["fog"] == pytest.approx(0.6)
    assert values["contrast"] == pytest.approx(0.3)


def test_interval_of_a_mean_counts_images_not_cells() -> None:
    report = made("a", {"fog": [6, 6], "snow": [6, 6]})
    low, high = report.mean_accuracy_interval(["fog", "snow"])  # type: ignore[misc]
    shares = np.repeat([1.0, 0.0], [6, 4])
    np.testing.assert_allclose([low, high], _score_ends(shares.mean(), 10))


def test_intervals_of_errors_are_those_of_each_example_s_share() -> None:
    """MCE and relative mCE are means over examples of what each example loses."""
    report, reference = made("a", TABLE), made("b", {name: [5, 4] for name in TABLE}, clean=8)
    found = {entry.label: entry for entry in summary(report, normaliser_of(reference))}
    wrong = {name: np.mean([np.arange(10) >= right for right in row], axis=0) for name, row in TABLE.items()}
    clean = (np.arange(10) >= 9).astype(float)
    shares = {
        "mCE": np.mean([lost / 0.55 for lost in wrong.values()], axis=0),
        "relative mCE": np.mean([(lost - clean) / 0.35 for lost in wrong.values()], axis=0),
    }
    for label, share in shares.items():
        reach = stats.norm.ppf(0.975) * stats.sem(share)
        assert found[label].value == pytest.approx(share.mean())
        np.testing.assert_allclose(found[label].interval, share.mean() + np.array([-reach, reach]), rtol=1e-9)


def _score_ends(share: float, count: float) -> list[float]:
    """The two shares from which `share` of `count` answers is 97.5% of a normal deviation away."""

    def distance(end: float) -> float:
        return (end - share) ** 2 - stats.norm.ppf(0.975) ** 2 * end * (1 - end) / count

    return [optimize.brentq(distance, 0, share), optimize.brentq(distance, share, 1)]


def test_low_resolution_has_intervals() -> None:
    entries = [
        ResolutionCell(2, "area", "bilinear", quality, Cell(packed(np.arange(10) < right), 10))
        for quality, right in ((None, 6), (75, 4))
    ]
    report = dataclasses.replace(made("a", TABLE), resolutions=tuple(entries))
    found = {entry.label: entry for entry in summary(report)}
    mean, over = found["low resolution, mean"], found["low resolution, chance-corrected"]
    shares = np.repeat([1.0, 0.5, 0.0], [4, 2, 4])
    # As many independent answers as the shares vary less than answers would.
    np.testing.assert_allclose(mean.interval, _score_ends(0.5, 10 * 0.25 / shares.var()))
    np.testing.assert_allclose(over.interval, (np.array(mean.interval) - 0.2) / 0.8, rtol=1e-6)


def test_relative_errors_do_not_mix_images() -> None:
    report, reference = made("a", TABLE), made("b", {name: [5, 5] for name in TABLE}, clean=8)
    fewer = dataclasses.replace(report, clean=Cell(packed(np.ones(7)), 7))
    labels = [entry.label for entry in summary(fewer, normaliser_of(reference))]
    assert "mCE" in labels
    assert "relative mCE" not in labels
    assert normaliser_of(fewer).clean_error is None


def test_a_reference_that_cannot_divide_is_said() -> None:
    report = made("a", TABLE)
    perfect = made("b", {name: [10, 10] for name in TABLE})
    figures, (why,) = relative_errors(report, normaliser_of(perfect))
    assert figures == ()
    assert "which makes none for gaussian_noise, fog, snow, contrast" in why
    robust = made("b", {name: [9, 9] for name in TABLE}, clean=9)
    figures, (why,) = relative_errors(report, normaliser_of(robust))
    assert [figure.label for figure in figures] == ["mCE"]
    assert "which is nothing for gaussian_noise" in why


def test_another_report_normalises() -> None:
    report, reference = made("a", TABLE), made("b", {name: [5, 5] for name in TABLE}, clean=8)
    values = {entry.label: entry.value for entry in summary(report, normaliser_of(reference))}
    assert values["mCE"] == pytest.approx(np.mean([0.3, 0.4, 0.4, 0.7]) / 0.5)
    assert values["relative mCE"] == pytest.approx(np.mean([0.2, 0.3, 0.3, 0.6]) / 0.3)


def test_trainings_are_combined() -> None:
    reports = [made("a", TABLE), made("b", TABLE | {"fog": [7, 6]}), made("c", TABLE | {"fog": [6, 5]})]
    combined = combine(reports, "method")
    assert combined.count == 3
    fog = next(entry for entry in combined.figures if entry.label == "fog")
    assert fog.value == pytest.approx((0.6 + 0.65 + 0.55) / 3)
    theirs = stats.t.interval(0.95, 2, 0.6, stats.sem([0.6, 0.65, 0.55]))
    np.testing.assert_allclose(fog.interval, theirs, rtol=1e-9)
    snow = next(entry for entry in combined.figures if entry.label == "snow")
    assert snow.interval == (pytest.approx(0.6), pytest.approx(0.6))
    text = combined_markdown(combined)
    assert "3 trainings" in text
    assert "- Each training was tested on 10 images 8×8×3." in text
    assert "not the benchmark's table of 15 × 5" in text
    assert "- mCE is left out: it is relative" in text


def test_an_interval_of_accuracies_stays_within_them() -> None:
    reports = [made("a", TABLE | {"fog": [10, 10]}), made("b", TABLE | {"fog": [4, 4]})]
    reference = made("c", {name: [5, 5] for name in TABLE}, clean=8)
    found = {entry.label: entry for entry in combine(reports, "method", normaliser_of(reference)).figures}
    assert found["fog"].interval == (0.0, 1.0)
    assert found["mCE"].interval[1] > 1  # type: ignore[index]


def test_a_mean_carries_the_warnings_of_its_trainings() -> None:
    def attacked(name: str, warnings: tuple[str, ...]) -> Report:
        mask = packed(np.arange(10) < 5)
        attack = AttackResult("linf", 8 / 255, Cell(mask, 10, masks={"clean": mask}, warnings=warnings))
        return dataclasses.replace(made(name, TABLE), attacks=(attack,))

    combined = combine([attacked("a", ()), attacked("b", ("the attack failed.",))], "method")
    robust = next(entry for entry in combined.figures if entry.label.startswith("robust"))
    assert robust.warnings == ("b: the attack failed.",)
    text = combined_markdown(combined)
    assert "**Warning** (robust, L∞, ε = 8/255) b: the attack failed." in text
    row = next(line for line in text.splitlines() if line.startswith("| robust"))
    assert row.split("|")[-2].strip() == "1"


def test_other_loaders_are_marked() -> None:
    first, second = made("a", TABLE), made("b", TABLE)
    second = dataclasses.replace(second, made=second.made | {"corrupted": "other.loader"})
    (*_, last) = combine([first, second], "method").remarks
    assert last == "the corrupted images were read by different loaders: None and other.loader."


def test_what_cannot_be_combined_is_refused() -> None:
    report = made("a", TABLE)
    with pytest.raises(ValueError, match="two or more"):
        combine([report], "method")
    with pytest.raises(ValueError, match="same parameters"):
        combine([report, report], "method")
    for changes, said in (
        ({"source": "official"}, "source of the corrupted images"),
        ({"settings": {"corruptions": {"quantize": True}}}, "the setting corruptions.quantize"),
        ({"made": {"data": "x"}}, "the data"),
        ({"made": {"defence": "rounding"}}, "agree in the defence; got None in .* and rounding in"),
        ({"num_classes": 7}, "the number of classes"),
        (
            {"made": {}, "attacks": (AttackResult("linf", 0.1, Cell("80", 1)),)},
            r"got some without robust, L∞, ε = 25",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            combine([report, dataclasses.replace(report, **changes)], "method")


@pytest.mark.parametrize(
    ("epsilon", "text"), [(8 / 255, "8/255"), (0.25 / 255, "0.25/255"), (0.5, "0.5"), (0.03, "0.03"), (0.0, "0")]
)
def test_radii_are_written_as_people_write_them(epsilon: float, text: str) -> None:
    assert radius(epsilon) == text


@pytest.mark.parametrize("text", ["", '{"name": "net", "err', "[1]"])
def test_a_cut_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(ValueError, match=r"t\.json must be"):
        read_normaliser(tmp_path / "t.json")


def test_what_is_no_report_is_said(tmp_path: Path) -> None:
    for call in (markdown, html_page, heat_map):
        with pytest.raises(TypeError, match="report must be a Report, as of evaluate or read_report; got 3"):
            call(3)  # type: ignore[arg-type]
    for several in (bars, epsilon_curves, lambda reports: combine(reports, "x")):
        with pytest.raises(TypeError, match="reports must be a sequence of Report; got 'ab'"):
            several("ab")  # type: ignore[arg-type]
    for reader in (read_report, read_normaliser):
        with pytest.raises(TypeError, match="path must be a path; got None"):
            reader(None)
