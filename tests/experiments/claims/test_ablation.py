"""The choices of the ablation, and differences between entrants on the same images."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from experiments.claims import ablation
from experiments.claims.ablation import BASE, BASE_LABELS, CHOICES, Ablation, dot_plot, selected
from experiments.estimates import Estimate, difference, shares
from experiments.judging import Entrant
from experiments.study import SIZES
from experiments.trainings import VARIATIONS, Variation, trainings
from isvs_jax.robustness import Report
from isvs_jax.robustness.evaluation import Cell, ResolutionCell, packed

KNOWN = trainings(SIZES["smoke"])


def changed(name: str) -> set[str]:
    """The fields of the inputs, and the other fields, in which a training differs from the base."""
    one, base = asdict(KNOWN[name]), asdict(KNOWN["path"])
    inputs = {field for field in base["inputs"] if one["inputs"][field] != base["inputs"][field]}
    return inputs | {field for field in base if field != "inputs" and one[field] != base[field]}


@pytest.mark.parametrize("variation", VARIATIONS, ids=lambda one: one.training)
def test_a_variation_differs_from_the_base_in_one_field(variation: Variation) -> None:
    assert changed(variation.training) == {variation.field}
    assert getattr(KNOWN[variation.training].inputs, variation.field) == variation.value


def test_ways_differ_in_what_a_way_takes() -> None:
    assert changed("coarse_to_fine") == {"way"}
    assert changed("fixed") == {"way", "views"}
    assert changed("consistency") == {"way", "draws", "objective"}


def test_names_are_different_and_fit_for_folders() -> None:
    names = [one.training for one in VARIATIONS]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").replace("_", "").replace(".", "").isalnum() for name in names)


def test_every_choice_has_a_base_a_training_and_another_label() -> None:
    entrants = [choice.entrant for choice in CHOICES]
    assert len(set(entrants)) == len(entrants)
    assert BASE not in entrants
    for choice in CHOICES:
        assert choice.entrant.training in KNOWN
        assert choice.label != BASE_LABELS[choice.group]
        # Raises where no such thing can stand before a network.
        choice.entrant.defence(KNOWN[choice.entrant.training].inputs.solver)
    assert {choice.group for choice in CHOICES} == set(BASE_LABELS)


def test_the_base_is_what_its_labels_say() -> None:
    inputs = KNOWN[BASE.training].inputs
    assert (f"{inputs.solver_nu:g}", f"{inputs.solver_kappa:g}") == (BASE_LABELS["ν"], BASE_LABELS["κ"])
    assert (inputs.solver_penalty, inputs.way) == (BASE_LABELS["penalty"], BASE_LABELS["way"])
    assert f"{inputs.raw_share:g}" == BASE_LABELS["raw share"]
    assert "t = " + ", ".join(f"{view.strength:g}" for view in inputs.views) == BASE_LABELS["time"]
    assert {view.kind for view in inputs.views} == {BASE_LABELS["output"]}


def test_choices_are_selected_by_group_or_by_label() -> None:
    assert selected(()) == CHOICES
    assert [choice.label for choice in selected(("κ", "ν = 1"))] == ["1", "1", "2", "20"]
    with pytest.raises(ValueError, match=r"choices must hold some of .*; got \['ν = 7'\]"):
        selected(("ν = 7",))


def cell(*right: int) -> Cell:
    return Cell(packed(np.array(right)), len(right))


def report(clean: Cell, noise: Cell, blur: Cell) -> Report:
    return Report(
        "one", "", "regenerated", 4, (8, 8, 1), 2, clean, {"gaussian_noise": {1: noise}, "defocus_blur": {1: blur}}
    )


def test_differences_are_of_the_same_images() -> None:
    one = report(cell(1, 1, 1, 0), cell(1, 1, 0, 0), cell(1, 0, 0, 0))
    base = report(cell(1, 1, 0, 0), cell(1, 0, 0, 0), cell(1, 0, 0, 0))
    assert shares(one, "all corruptions").tolist() == [1, 0.5, 0, 0]
    found = difference([one], [base], "all corruptions")
    # (0, 0.5, 0, 0): mean 1/8, standard deviation 1/4, over √4.
    assert (found.mean, found.low, found.high) == pytest.approx((0.125, 0.125 - 1.96 / 8, 0.125 + 1.96 / 8), abs=1e-4)
    low = replace(one, resolutions=(ResolutionCell(2, "bilinear", "bilinear", None, cell(1, 0, 1, 0)),))
    assert shares(low, "low resolution, mean").tolist() == [1, 0, 1, 0]
    assert difference([base], [base], "clean") == Estimate(0.0, 0.0, 0.0, (0.0,))


def test_several_trainings_are_compared_seed_by_seed() -> None:
    better, same = report(cell(1, 1, 1, 0), cell(1, 1, 1, 1), cell(1, 1, 1, 1)), cell(0, 0, 0, 0)
    base = replace(better, clean=cell(1, 0, 0, 0))
    found = difference([better, base], [base, replace(base, clean=same)], "clean")
    assert found.values == (0.5, 0.25)
    with pytest.raises(ValueError, match="as many as base; got 2 and 1"):
        difference([better, base], [base], "clean")


def test_a_column_that_is_not_there_is_refused() -> None:
    one = report(cell(1), cell(1), cell(1))
    with pytest.raises(ValueError, match=r"column must be one of 'clean'.*; got 'low resolution, mean'"):
        shares(one, "low resolution, mean")


def test_the_dot_plot_has_a_row_for_each_choice_and_a_panel_for_each_column() -> None:
    rows = {"ν: 1": {"clean": Estimate(-0.02, -0.05, 0.01, (-0.02,)), "fog": Estimate(0.1, None, None, (0.1,))}}
    panels = dot_plot(rows, ("clean", "fog")).axes
    assert [ax.get_title() for ax in panels] == ["clean", "fog"]
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["ν: 1"]
    assert panels[0].containers[0].lines[0].get_xdata().tolist() == [-2.0]


def test_the_section_compares_seeds_that_both_have(monkeypatch: pytest.MonkeyPatch) -> None:
    base = report(cell(1, 1, 0, 0), cell(1, 0, 0, 0), cell(1, 0, 0, 0))
    better = replace(base, clean=cell(1, 1, 1, 0))
    finished = {BASE: {0: base, 1: base}, Entrant("ablation-nu-1"): {1: better}, Entrant("fixed"): {7: better}}
    monkeypatch.setattr(ablation, "judged", lambda *_, **__: finished)
    section = ablation.run(Ablation(choices=("ν", "way")))
    (table,) = section.tables
    assert table.title == "ν"
    assert list(table.rows) == ["0.1 (base)", "1"]
    assert table.columns == ("clean", "Δ", "all corruptions", "Δ")
    change = table.rows["1"][1]
    assert isinstance(change, Estimate)
    assert change.values == (0.25,)
    assert set(section.pictures) == {"differences"}
    monkeypatch.setattr(ablation, "judged", lambda *_, **__: {Entrant("fixed"): {7: better}})
    with pytest.raises(ValueError, match="no finished report of the base, path"):
        ablation.run(Ablation())
