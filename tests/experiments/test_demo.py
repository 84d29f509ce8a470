"""The demo from the command line to the report, at a minute size."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
SMALL = [
    "--limit-train",
    "64",
    "--limit-test",
    "30",
    "--image-size",
    "8",
    "--epochs",
    "1",
    "--batch-size",
    "16",
    "--width",
    "2",
    "--views",
    "dense:0.5",
    "--test-view",
    "dense:0.5",
    "--corruptions",
    "gaussian_noise",
    "contrast",
    "--severities",
    "1",
    "5",
    "--factors",
    "2",
    "--epsilons",
    "8",
    "--limit-attack",
    "4",
    "--attack-steps",
    "2",
]
TESTS = {
    "clean",
    "gaussian_noise/1",
    "gaussian_noise/5",
    "contrast/1",
    "contrast/5",
    "low_resolution/2",
    "pgd_linf/8",
}


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", ROOT / "experiments" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def finished(demo: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "out"
    assert demo.main([*SMALL, "--out", str(folder)]) == 0
    return folder


def test_it_leaves_a_report_numbers_and_pictures(finished: Path) -> None:
    metrics = json.loads((finished / "metrics.json").read_text())
    assert list(metrics["results"]) == ["raw", "path", "path, smoothed"]
    for cells in metrics["results"].values():
        assert set(cells) == TESTS
        for name, cell in cells.items():
            assert cell["images"] == (4 if name.startswith("pgd") else 30)
            assert cell["low"] <= cell["accuracy"] == cell["correct"] / cell["images"] <= cell["high"]
    report = (finished / "report.md").read_text()
    for part in (
        "| clean",
        "| contrast",
        "PGD L∞ ε = 8/255",
        "Command:",
        "What these numbers do not show",
        "Versions:",
    ):
        assert part in report
    for picture in ("path.png", "accuracies.png"):
        with Image.open(finished / picture) as image:
            assert min(image.size) > 200


def test_a_smoothed_classifier_survives_no_attack_that_its_worst_case_counts(finished: Path) -> None:
    cell = json.loads((finished / "metrics.json").read_text())["results"]["path, smoothed"]["pgd_linf/8"]
    counts = list(cell["after"].values())
    assert list(cell["after"]) == ["clean", "own gradient", "identity backward", "transfer from unsmoothed"]
    assert counts == sorted(counts, reverse=True)
    assert cell["correct"] == counts[-1] == len(cell["standing"])


def test_what_is_finished_is_used_again(
    demo: ModuleType, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = json.loads((finished / "metrics.json").read_text())
    path = finished / "metrics.json"
    thinned = json.loads(path.read_text())
    del thinned["results"]["path"]["contrast/5"]
    path.write_text(json.dumps(thinned))
    assert demo.main([*SMALL, "--out", str(finished)]) == 0
    said = capsys.readouterr().out
    assert "used again" in said
    assert "raw: taken from its checkpoint" in said
    after = json.loads(path.read_text())
    assert after["results"]["path"]["contrast/5"] == before["results"]["path"]["contrast/5"]
    assert after["results"] == before["results"]


def test_other_settings_do_not_overwrite(demo: ModuleType, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (finished / "metrics.json").read_text()
    assert demo.main([*SMALL, "--out", str(finished), "--seed", "1"]) == 1
    assert "settings.seed: 0 there, 1 asked for" in capsys.readouterr().err
    assert (finished / "metrics.json").read_text() == before


def test_an_interrupted_run_goes_on(
    demo: ModuleType,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from isvs_jax.comparison import run

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(run, "_test_all", interrupted)
        assert demo.main([*SMALL, "--out", str(folder)]) == 130
    assert "give the same command again" in capsys.readouterr().out
    assert demo.main([*SMALL, "--out", str(folder)]) == 0
    assert "raw: taken from its checkpoint" in capsys.readouterr().out
    one, two = (json.loads((where / "metrics.json").read_text())["results"] for where in (folder, finished))
    assert one == two


def test_bad_input_is_one_sentence(demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, named in (
        (["--data", "folder:/no/such"], "There is no folder /no/such"),
        (["--batch-size", "5000", "--out", str(tmp_path / "x")], "batch_size is 5000"),
    ):
        assert demo.main(arguments) == 1
        assert named in capsys.readouterr().err
    with pytest.raises(SystemExit):
        demo.main(["--severities", "9"])
    assert "severities is (9,); each may be 1 to 5" in capsys.readouterr().err


def test_the_folder_follows_the_data(demo: ModuleType) -> None:
    assert demo.Demo().folder == Path("results/demo")
    assert demo.Demo(data="tfds:cifar10").folder == Path("results/demo-tfds-cifar10")
