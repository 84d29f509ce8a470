"""Claims from finished reports to tables and pictures."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from experiments.claims import additions, adversarial, corruptions, methods, resolution
from experiments.claims.comparison import starting_remarks
from experiments.estimates import Estimate
from experiments.judging import Entrant, judged, report_folder
from experiments.section import Table, write_section
from experiments.study import SIZES, Network, Study, check_seeds, study_of_size, usual_study
from experiments.trainings import trainings
from isvs_jax.robustness.evaluation import write_report
from tests.experiments.reports import ATTACKED, COUNT, WARNING, WAYS, fabricated

ENTRANTS = ("raw", "noise", "path", "mixed_noise", "path@dense:8")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Three seeds of some entrants, two of "path", one of a defended one, and nothing of the others."""
    root = tmp_path_factory.mktemp("study")
    for text, seeds in zip(ENTRANTS, (3, 3, 2, 3, 1), strict=True):
        entrant = Entrant.parse(text)
        for seed in range(seeds):
            warnings = (WARNING,) if entrant.before else ()
            made = fabricated(text, seed, defended=bool(entrant.before), warnings=warnings)
            write_report(made, report_folder(root, entrant, seed))
    return study_of_size(out=root, seeds=(0, 1, 2), finished_only=True)


def cells(table: Table) -> Iterable[Estimate]:
    return (cell for row in table.rows.values() for cell in row if isinstance(cell, Estimate))


def test_only_what_is_finished_is_used_and_the_rest_is_named(study: Study) -> None:
    section = corruptions.run(corruptions.Corruptions(study, (*ENTRANTS, "augmix")))
    (table,) = section.tables
    assert tuple(table.rows) == ENTRANTS
    assert [len(row[0].values) for row in table.rows.values()] == [3, 3, 2, 3, 1]
    assert any(text == "Not finished, and left out: augmix." for text in section.remarks)
    assert any(text == "2 trainings only: path." for text in section.remarks)
    assert any(text.startswith("One training only: path@dense:8:") for text in section.remarks)


def test_adversarial_noise_shows_every_way_and_every_warning(study: Study) -> None:
    section = adversarial.run(adversarial.Adversarial(study, ("raw", "path@dense:8")))
    robust, left, taken = section.tables
    assert robust.columns == ("clean", "clean, images under attack", "robust, L∞, ε = 1/255", "robust, L∞, ε = 2/255")
    assert left.columns == ("clean", *WAYS)
    assert tuple(left.rows) == ("path@dense:8, ε = 1/255", "path@dense:8, ε = 2/255")
    report = fabricated("path@dense:8", 0, defended=True)
    for attack, name in zip(report.attacks, left.rows, strict=True):
        accuracies = list(attack.worst.accuracies.values())
        assert [cell.mean for cell in left.rows[name]] == pytest.approx(accuracies)
        assert [cell.mean for cell in taken.rows[name]] == pytest.approx(-np.diff(accuracies))
    assert robust.rows["path@dense:8"][1].mean == report.clean.mask[:ATTACKED].mean()
    assert robust.rows["path@dense:8"][2].percent().endswith("*")
    assert sum(WARNING in text for text in section.remarks) == 1
    lines = section.pictures["epsilon"][0].axes[0].get_legend_handles_labels()[1]
    assert lines == ["chance", "raw", "path@dense:8"]


def test_low_resolution_is_averaged_by_factor_interpolation_and_jpeg(study: Study) -> None:
    section = resolution.run(resolution.Resolution(study, ("raw", "mixed_noise")))
    (table,) = section.tables
    several = [fabricated("raw", seed) for seed in range(3)]
    row = dict(zip(table.columns, table.rows["raw"], strict=True))
    expected = {
        "mean": lambda one: True,
        "factor 4": lambda one: one.factor == 4,
        "nearest, nearest": lambda one: one.down == "nearest",
        "JPEG 75": lambda one: one.jpeg_quality == 75,
        "no JPEG": lambda one: one.jpeg_quality is None,
    }
    for column, chosen in expected.items():
        each = [np.mean([one.cell.accuracy for one in report.resolutions if chosen(one)]) for report in several]
        assert row[column].values == pytest.approx(each)
    assert row["clean"].values == tuple(report.clean.accuracy for report in several)


def test_additions_are_compared_over_the_seeds_that_both_have(study: Study) -> None:
    pairs = (("raw", "path"), ("noise", "mixed_noise"), ("augmix", "path_augmix"))
    section = additions.run(additions.Additions(study, pairs))
    _, differences = section.tables
    assert tuple(differences.rows) == ("raw → path", "noise → mixed_noise")
    assert [row[0] for row in differences.rows.values()] == ["2", "3"]
    clean = [fabricated(name, seed).clean.accuracy for name in ("path", "raw") for seed in range(2)]
    assert differences.rows["raw → path"][1].values == pytest.approx((clean[0] - clean[2], clean[1] - clean[3]))
    assert any("left out: augmix, path_augmix" in text for text in section.remarks)


def test_the_table_has_every_figure_and_the_number_of_trainings(study: Study) -> None:
    section = methods.run(methods.Methods(study))
    (table,) = section.tables
    assert [row[0] for row in table.rows.values()] == ["3", "3", "2", "3", "1"]
    for column in ("clean", "noise", "fog", "contrast", "ECE, clean", "robust, L∞, ε = 1/255", "low resolution, mean"):
        assert column in table.columns
    assert all(0 <= cell.mean <= 1 for cell in cells(table))
    text = write_section(section, study.root, methods.Methods(study)).read_text()
    assert WARNING in text
    assert f"{COUNT} test images in every cell, {ATTACKED} under attack." in text


def test_bad_names_are_refused_before_anything_is_trained(study: Study) -> None:
    def ask(*names: str) -> None:
        judged(map(Entrant.parse, names), study_of_size(out=study.root / "none"))

    with pytest.raises(ValueError, match=r"the training of an entrant must be one of raw, noise.*; got 'rew'"):
        ask("raw", "rew")
    with pytest.raises(ValueError, match=r"before must be .*; got 'dense:x'"):
        ask("raw", "raw@dense:x")
    with pytest.raises(ValueError, match="entrants must be one or more"):
        ask()
    with pytest.raises(ValueError, match="holds no finished report of augmix, seeds 0, 1, 2"):
        judged([Entrant("augmix")], study)
    assert not (study.root / "none").exists()


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"epochs": 4}, "epochs"),
        ({"model": Network(weights="w.th")}, "weights"),
        ({"model": Network("resnet20")}, "model"),
        ({"learning_rate": 1.0}, "learning_rate"),
    ],
)
def test_a_look_at_a_study_of_other_trainings_is_refused(
    settings: dict, name: str, study: Study, tmp_path: Path
) -> None:
    shutil.copytree(study.root / "reports" / "raw", tmp_path / "reports" / "raw")
    claim({"model": asdict(Network()), "train": asdict(trainings(study)["raw"])}, tmp_path)
    look = replace(study, out=tmp_path)
    assert len(judged([Entrant("raw")], look)[Entrant("raw")]) == 3
    with pytest.raises(ValueError, match=rf"raw/0 holds a training of another study: {name}"):
        judged([Entrant("raw")], replace(look, **settings))


def claim(kept: dict, root: Path) -> None:
    """What a training leaves of itself."""
    folder = root / "trainings" / "raw" / "0"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(kept))


@pytest.mark.parametrize("module", [corruptions, resolution, methods, adversarial])
def test_every_page_says_what_trainings_started_from(module: ModuleType, study: Study, tmp_path: Path) -> None:
    shutil.copytree(study.root / "reports" / "raw", tmp_path / "reports" / "raw")
    kept = {"model": asdict(Network()) | {"weights_sha256": "0"}, "train": asdict(trainings(study)["raw"])}
    claim(kept, tmp_path)
    kind = getattr(module, module.__name__.rpartition(".")[2].capitalize())
    section = module.run(kind(replace(study, out=tmp_path, model=Network(weights="folder/weights.th")), ("raw",)))
    assert sum("start from weights.th" in text for text in section.remarks) == 1


@pytest.mark.parametrize("seeds", [(), (1, 1), (0, -1)])
def test_seeds_are_one_or_more_different_numbers(seeds: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"seeds must be one or more different integers .*; got \("):
        check_seeds(study_of_size(seeds=seeds))


def test_other_data_have_their_own_size() -> None:
    assert study_of_size().data.image_size == 16
    assert study_of_size(data="digits") == study_of_size()
    assert study_of_size(data="tfds:cifar10").data.image_size is None
    assert usual_study(["methods", "--data", "tfds:cifar10"], "smoke").data.image_size is None
    photographs = usual_study(["sizes", "--size", "photographs", "--data", "folder:clothes"], "smoke").data
    assert (photographs.spec, photographs.image_size) == ("folder:clothes", 128)


def test_the_size_says_what_is_usual_for_all_else() -> None:
    assert usual_study(["methods", "--size", "gpu", "--epochs", "3"], "smoke") == SIZES["gpu"]
    assert usual_study(["methods", "--size=cpu"], "smoke") == SIZES["cpu"]
    for unknown in (["--size", "huge"], ["--size"], []):
        assert usual_study(unknown, "demo") == SIZES["demo"]


def test_trainings_follow_the_study() -> None:
    assert trainings(study_of_size(epochs=40))["path"].epochs == 40
    tuned = study_of_size(model=Network("resnet20", weights="folder/weights.th"), learning_rate=1e-3)
    assert trainings(tuned)["augmix"].optimizer.learning_rate == 1e-3
    said = "All trainings start from weights.th, a resnet20 that was trained before: 3 epochs at a learning rate of at "
    assert starting_remarks(tuned) == (f"{said}most 0.001.",)
    with pytest.raises(ValueError, match="epochs must be an integer of at least 1; got 0"):
        trainings(study_of_size(epochs=0))
