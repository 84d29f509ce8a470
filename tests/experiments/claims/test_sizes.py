"""The path against filters at several image sizes, from finished reports."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import isvs_jax
from experiments.claims.sizes import Sizes, run
from experiments.estimates import difference
from experiments.judging import Entrant, NothingFinishedError, referee_images, report_folder
from experiments.measures.smoothing import contour_error
from experiments.study import Study, study_of_size
from experiments.trainings import trainings
from isvs_jax.data import as_float
from isvs_jax.robustness import Report
from isvs_jax.robustness.evaluation import write_report
from tests.experiments.reports import fabricated

PAIRS = (("blur", "path"), ("raw", "path"))
SEEDS: Mapping[int, Mapping[str, int]] = {64: {"path": 3, "blur": 3, "raw": 1}, 128: {"path": 2, "blur": 3}}


def made(name: str, seed: int, height: int) -> Report:
    report = fabricated(f"{name} {height}", seed)
    return type(report)(**{**vars(report), "image_shape": (height, height, 3), "attacks": (), "curves": ()})


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    root = tmp_path_factory.mktemp("sizes")
    for height, number in SEEDS.items():
        for name, seeds in number.items():
            for seed in range(seeds):
                folder = report_folder(root / str(height), Entrant(name), seed, attacked=False)
                write_report(made(name, seed, height), folder)
    trained = root / "128" / "trainings" / "path" / "0"
    trained.mkdir(parents=True)
    (trained / "result.json").write_text('{"seconds": 180, "processor_seconds": 360}')
    return study_of_size(out=root, seeds=(0, 1, 2), finished_only=True)


def test_each_size_has_its_own_difference_over_the_seeds_that_both_have(study: Study) -> None:
    section = run(Sizes(study, (64, 96, 128), PAIRS, images=0))
    changes, accuracies, by_corruption = section.tables
    assert {name: row[0] for name, row in changes.rows.items()} == {
        "blur → path, 64×64": "3",
        "blur → path, 128×128": "2",
        "raw → path, 64×64": "1",
    }
    column = changes.columns.index("all corruptions")
    ours, theirs = ([made(name, seed, 128) for seed in range(2)] for name in ("path", "blur"))
    assert changes.rows["blur → path, 128×128"][column] == difference(ours, theirs, "all corruptions")
    assert [*accuracies.rows] == ["blur, 64×64", "path, 64×64", "raw, 64×64", "blur, 128×128", "path, 128×128"]
    assert by_corruption.columns == ("64×64", "128×128")
    assert [*by_corruption.rows] == ["gaussian_noise", "defocus_blur", "fog", "contrast"]
    assert np.mean([row[1].mean for row in by_corruption.rows.values()]) == pytest.approx(
        difference(ours, theirs, "all corruptions").mean
    )
    assert "differences" in section.pictures
    # What a study cost lies in the folder of its size.
    (cost,) = [remark for remark in section.remarks if "Cost" in remark]
    assert cost == "128×128: Cost by the clock: trainings 3 min (6 of the processor)."


def test_one_size_is_that_of_the_study(study: Study) -> None:
    alone = study_of_size(out=study.root / "64", seeds=(0,), finished_only=True)
    changes, *_, contours = run(Sizes(alone, (), PAIRS, images=8)).tables
    assert [*changes.rows] == ["blur → path, 64×64", "raw → path, 64×64"]
    images = as_float(referee_images(alone).images[:8])
    solver = trainings(alone)["path"].inputs.solver
    smoothed = np.asarray(isvs_jax.smooth(images, 4.0, solver))
    row = contours.rows["dense:4, 16×16"]
    assert row[0].mean == pytest.approx(contour_error(images, smoothed).mean(), rel=1e-5)
    assert row[-1].mean == pytest.approx(row[0].mean - row[1].mean)


@pytest.mark.parametrize(
    ("heights", "said"),
    [((64, 64), r"heights must differ; got \(64, 64\)"), ((0,), "each of heights must be an integer of at least 1")],
)
def test_bad_heights_are_refused(heights: tuple[int, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Sizes(heights=heights)


def test_photographs_have_three_sizes_and_a_folder_for_each() -> None:
    studies = Sizes(study_of_size("photographs", "folder:clothes")).studies
    assert [study.data.image_size for study in studies] == [64, 96, 128]
    assert [study.root.as_posix() for study in studies] == [f"results/photographs/{side}" for side in (64, 96, 128)]
    assert {study.data.spec for study in studies} == {"folder:clothes"}


def test_nothing_finished_is_said(tmp_path: Path) -> None:
    with pytest.raises(NothingFinishedError, match="holds no finished report"):
        run(Sizes(study_of_size(out=tmp_path, finished_only=True), (64,), PAIRS))
