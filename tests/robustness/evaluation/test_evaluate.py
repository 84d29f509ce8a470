"""An evaluation against the corruptions and attacks called by hand, on one device and on eight."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.robustness import corrupt, low_resolution
from isvs_jax.robustness.adaptive import DefenceResult
from isvs_jax.robustness.attacks._autoattack import AutoAttackResult
from isvs_jax.robustness.attacks._gradient_masking import square_warning
from isvs_jax.robustness.defences import Defence
from isvs_jax.robustness.evaluation import Report, assembly, attack_cells, evaluate, plan
from isvs_jax.robustness.masking import masking_warnings
from isvs_jax.robustness.official import CorruptedImages
from isvs_jax.robustness.resolution import Resolution

NOTHING = Defence(lambda images: images, lambda images: images)


def without_times(values: Any) -> Any:
    """The dictionary of a report without what differs from run to run, and the calibration errors."""
    return _without(values, ("seconds", "made", "ece"))


def test_cells_are_those_of_one_call_on_all_images(problem: Any, report: Report) -> None:
    assert np.flatnonzero(~report.clean.mask).tolist() == [2, 5]
    for name, row in report.corruptions.items():
        for severity, cell in row.items():
            images = corrupt(jnp.asarray(problem.images), name, severity, jax.random.key(0))
            right = np.asarray(problem.logits_fn(images).argmax(1)) == problem.labels
            np.testing.assert_array_equal(cell.mask, right)
    small = low_resolution(jnp.asarray(problem.images), 2)
    right = np.asarray(problem.logits_fn(small).argmax(1)) == problem.labels
    np.testing.assert_array_equal(report.resolutions[0].cell.mask, right)
    assert 0 < report.corruptions["contrast"][5].accuracy < 1  # the comparison has something to compare


def test_calibration_is_of_the_softmax(problem: Any, report: Report) -> None:
    probabilities = np.asarray(jax.nn.softmax(problem.logits_fn(problem.images)), np.float64)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == problem.labels
    gaps = np.zeros(15)
    np.add.at(gaps, np.ceil(confidence * 15).astype(int) - 1, right - confidence)
    assert report.clean.ece == pytest.approx(np.abs(gaps).sum() / 21, abs=1e-6)


def test_attacks_only_take_away(report: Report) -> None:
    small, large = report.attacks
    assert set(small.masks) == {"clean", "apgd-ce"}
    assert small.accuracies["clean"] == report.clean.accuracy
    assert small.accuracies["clean"] > small.worst.accuracy > large.worst.accuracy
    curve = report.curves[0]
    assert curve.epsilons == (0.0, 2 / 255, 0.5)
    assert curve.cells[0].accuracy == report.clean.accuracy
    assert curve.cells[2].accuracy == 0.0
    assert curve.chance == 1 / 5


def test_eight_devices_find_what_one_finds(problem: Any, report: Report) -> None:
    assert len(jax.devices()) == 8
    sharded = problem.evaluate(devices=None)
    assert sharded.made["sessions"][0]["hardware"]["device_count"] == 8
    ours, theirs = without_times(dataclasses.asdict(sharded)), without_times(dataclasses.asdict(report))
    eces = [(cell.ece, other.ece) for cell, other in zip(_cells(sharded), _cells(report), strict=True)]
    np.testing.assert_allclose(*zip(*eces, strict=True), atol=1e-6)
    assert ours == theirs


def test_the_batch_size_changes_no_corruption(problem: Any, report: Report) -> None:
    other = problem.evaluate(batch_size=5, attacks=(), curve=())
    assert [cell.correct for cell in _cells(other)] == [cell.correct for cell in _cells(report)]


def test_read_images_are_labelled_apart(problem: Any) -> None:
    rng = np.random.default_rng(1)
    files = {s: CorruptedImages(rng.integers(0, 256, (9, 8, 8, 3), np.uint8), rng.integers(0, 5, 9)) for s in (1, 5)}
    report = problem.evaluate(
        corruptions=("fog",), corrupted=lambda name, severity: files[severity], attacks=(), curve=(), resolutions=()
    )
    assert report.source == "official"
    right = np.asarray(problem.logits_fn(files[5].images / np.float32(255)).argmax(1)) == files[5].labels
    np.testing.assert_array_equal(report.corruptions["fog"][5].mask, right)


def test_a_defence_is_attacked_in_six_ways(problem: Any) -> None:
    # Rounding hides every gradient; the identity in the backward pass sees through it.
    rounding = Defence(lambda images: jnp.round(images * 7) / 7, lambda images: images)
    report = problem.evaluate(
        defence=rounding,
        corruptions=(),
        resolutions=(),
        curve=(),
        doubling=False,
        epsilons=(8 / 255,),
        attack_queries=20,
        attack_count=8,
    )
    result = report.attacks[0]
    assert result.kind == "defence"
    assert list(result.masks) == ["clean", "unrolled", "identity", "low_pass", "transfer", "square", "noise"]
    assert result.accuracies["identity"] < result.accuracies["unrolled"]
    assert result.warnings
    rounded = problem.logits_fn(jnp.round(problem.images * 7) / 7).argmax(1)
    np.testing.assert_array_equal(report.clean.mask, np.asarray(rounded) == problem.labels)


def _spoilt_attack(*given: Any, epsilon: float, num_steps: int, progress: Any, **options: Any) -> DefenceResult:
    """Twice the steps break half, and the identity all that is left; says its ε and its steps."""
    images, labels = given[2], given[3]
    held, none = np.ones(len(labels), bool), np.zeros(len(labels), bool)
    held[::2] = num_steps < 5
    masks = {"clean": np.ones(len(labels), bool), "unrolled": held, "identity": none if epsilon > 0.1 else held}
    warnings = [f"said at {epsilon:.3f} with {num_steps}", *masking_warnings(masks)]
    return DefenceResult(images, masks["identity"], masks, tuple(warnings))


def test_no_warning_of_an_attack_on_a_defence_is_lost(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attack_cells, "attack_defence", _spoilt_attack)
    report = problem.evaluate(defence=NOTHING, corruptions=(), resolutions=(), curve=(0.03, 0.5), epsilons=(0.05,))
    said = "\n".join(report.curves[0].warnings)
    assert "ε = 0.03: said at 0.030 with 3" in said
    assert "ε = 0.5: the gradient through the defence is masked" in said
    (doubling,) = report.doublings
    assert doubling.attack == "the six ways of attacking a defence"
    assert (doubling.num_steps, doubling.num_queries, doubling.count) == (3, 5000, 21)
    assert (doubling.accuracy, doubling.accuracy_doubled) == (1.0, 10 / 21)
    assert "twice the steps and queries (6 for 3) lower the accuracy from 100.0% to 47.6%" in doubling.warnings[0]
    assert "said at 0.050 with 6" in doubling.warnings[1]
    every = report.attack_warnings(report.attacks[0])
    assert {"said at 0.050 with 3", "twice the steps: said at 0.050 with 6"} <= set(every)
    assert any(text.startswith("ε-curve: ε = 0.5: the gradient") for text in every)


def test_warnings_of_chunks_are_of_all_images(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of chunks of 8, 8 and 5 images Square breaks one in the second: 1 of 21 and not 1 of 8."""

    def attack(model: Any, images: Any, labels: Any, *given: Any, individually: bool, **options: Any) -> Any:
        left, last = np.ones(len(labels), bool), np.ones(len(labels), bool)
        last[0] = not np.array_equal(images[0], problem.images[8])
        masks = {"clean": left, "apgd-ce": left, "square": last}
        own = ["of the model"] + ["of one chunk"] * bool(not last[0])
        return AutoAttackResult(images, last, masks, (*own, *square_warning(masks)))

    for module in (attack_cells, assembly, plan):
        monkeypatch.setattr(module, "ATTACK_CHUNK", 8)
    monkeypatch.setattr(attack_cells, "autoattack_report", attack)
    report = problem.evaluate(corruptions=(), resolutions=(), curve=(), epsilons=(0.05,), doubling=False)
    first, second, third = report.attacks[0].warnings
    assert first == "of the model"
    assert second == "images 8 to 15: of one chunk"
    assert "broke 4.8% of all examples" in third


def test_no_more_than_a_chunk_is_attacked_at_a_time(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def attack(*given: Any, epsilon: float, **options: Any) -> DefenceResult:
        asked.append((epsilon, len(given[3])))
        return _spoilt_attack(*given, epsilon=epsilon, **options)

    for module in (attack_cells, assembly, plan):
        monkeypatch.setattr(module, "ATTACK_CHUNK", 8)
    monkeypatch.setattr(attack_cells, "attack_defence", attack)
    report = problem.evaluate(defence=NOTHING, corruptions=(), resolutions=(), curve=(0.03,), epsilons=(0.05,))
    # The curve, the attack, and twice its steps, which fill up the last batch.
    assert asked == [*zip([0.03] * 3 + [0.05] * 6, [8, 8, 5, 8, 8, 5, 8, 8, 8], strict=True)]
    assert report.curves[0].cells[1].count == 21


def test_the_attacks_of_the_figure_are_doubled_in_every_norm(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def attack(model: Any, images: Any, labels: Any, *given: Any, **options: Any) -> AutoAttackResult:
        asked.append((options["norm"], options["attacks"], options["num_steps"], options["num_queries"], len(labels)))
        held = np.arange(len(labels)) >= 19
        return AutoAttackResult(images, held, {"clean": np.ones(len(labels), bool), "apgd-ce": held}, ())

    monkeypatch.setattr(attack_cells, "autoattack_report", attack)
    report = problem.evaluate(
        corruptions=(), resolutions=(), curve={"linf": (0.5,)}, epsilons={"linf": (0.05,), "l2": (0.5,)}, curve_count=20
    )
    assert [(entry.norm, entry.attack, entry.count) for entry in report.doublings] == [
        ("linf", "apgd-ce", 20),
        ("l2", "apgd-ce", 20),
    ]
    once, twice = ("apgd-ce",), (6, 10000, 1)
    # One of the first 20 held; it is attacked again in a batch of its own, filled up.
    assert asked[2:] == [("linf", once, *twice), ("l2", once, *twice)]
    assert report.doublings[0].accuracy == 1 / 20
    assert report.doublings[0].accuracy_doubled == 0.0


def test_without_attacks_the_curve_is_doubled(problem: Any) -> None:
    report = problem.evaluate(corruptions=(), resolutions=(), attacks=(), curve=(2 / 255,))
    (doubling,) = report.doublings
    assert (doubling.attack, doubling.num_steps, doubling.num_queries) == ("PGD", 3, None)
    assert doubling.accuracy == report.curves[0].cells[1].accuracy
    assert doubling.accuracy_doubled <= doubling.accuracy


def test_logits_that_are_not_finite_count_as_wrong(problem: Any) -> None:
    def spoilt(images: jax.Array) -> jax.Array:
        return problem.logits_fn(images).at[0].set(jnp.nan)

    found = evaluate(
        spoilt,
        problem.images[:8],
        problem.labels[:8],
        jax.random.key(0),
        name="spoilt",
        corruptions=(),
        resolutions=(),
        attacks=(),
        curve=(),
        batch_size=8,
        devices=jax.devices()[:1],
        progress=False,
    )
    assert found.clean.not_finite == 1
    assert not found.clean.mask[0]
    assert "1 of 8" in found.warnings[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"corruptions": ("rain",)}, "'rain'"),
        ({"severities": (0,)}, "severities has 0"),
        ({"attacks": ("pgd-hard",)}, "attacks has 'pgd-hard'"),
        ({"epsilons": (8.0,)}, "epsilons has 8.0"),
        ({"curve": (0.2, 0.1)}, "increasing"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 12, "devices": None}, "multiple of them"),
        ({"num_classes": 7}, "num_classes is 7"),
        ({"attacks": ("apgd-ce", "apgd-ce")}, "attacks is .* each once"),
        ({"table": 48}, "table is 48; it may be 'auto', 32, 64, 224"),
        ({"resolutions": (Resolution(2), Resolution(3))}, r"resolutions has \(3, .* which images of 8×8 pixels"),
        ({"resolutions": (Resolution(2, "cubic"),)}, "resolutions has .*down must be one of"),
        ({"resolutions": (Resolution(2), Resolution(2))}, "resolutions is .* each once"),
        ({"defence": NOTHING, "attacks": ()}, r"attacks is \(\); unrolled"),
        ({"defence": NOTHING, "attacks": ("square",)}, r"attacks is \('square',\); unrolled"),
        ({"defence": Defence(lambda x: x[:, :4], lambda x: x)}, "defence.forward returned shape"),
    ],
)
def test_settings_that_do_not_exist_are_refused_before_any_work(
    problem: Any, changes: dict, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isvs_jax.robustness.evaluation.cells.clean_cell", _too_late)
    with pytest.raises(ValueError, match=said):
        problem.evaluate(**changes)


def _too_late(*given: Any) -> None:
    raise AssertionError("work began")


@pytest.mark.parametrize(("attack", "classes"), [("apgd-t", 3), ("apgd-dlr", 2)])
def test_too_few_classes_for_an_attack_are_refused(
    problem: Any, attack: str, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isvs_jax.robustness.evaluation.cells.clean_cell", _too_late)
    options: dict[str, Any] = {"name": "few", "attacks": ("apgd-ce", attack), "batch_size": 8, "progress": False}
    with pytest.raises(ValueError, match=f"'{attack}', which needs at least {classes + 1} classes; the model has"):
        evaluate(
            lambda images: problem.logits_fn(images)[:, :classes],
            problem.images,
            problem.labels % classes,
            jax.random.key(0),
            resolutions=(),
            devices=jax.devices()[:1],
            **options,
        )


def _file(shape: tuple[int, ...] = (9, 8, 8, 3), label: int = 1, dtype: Any = np.uint8) -> CorruptedImages:
    return CorruptedImages(np.zeros(shape, dtype), np.full(9, label))


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (_file((9, 16, 16, 3)), r"images of shape \(16, 16, 3\) for contrast 1; .* have shape \(8, 8, 3\)"),
        (_file(label=7), "labels from 7 to 7 for contrast 1; the model has 5 logits.* another data set"),
        (_file(dtype=np.float32), "float32 .* it may give uint8"),
        (_file()._replace(labels=np.zeros(8, int)), r"\(8,\) for 9 images"),
    ],
)
def test_files_of_another_data_set_are_refused(problem: Any, file: CorruptedImages, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        problem.evaluate(corruptions=("contrast",), corrupted=lambda name, severity: file, attacks=(), curve=())


def test_a_key_that_is_none_is_refused(problem: Any) -> None:
    with pytest.raises(TypeError, match="key is 0; it may be a PRNG key"):
        evaluate(problem.logits_fn, problem.images, problem.labels, 0, name="x")  # type: ignore[arg-type]


def _cells(report: Report) -> list:
    rows = [cell for row in report.corruptions.values() for cell in row.values()]
    return [report.clean, *rows, *(entry.cell for entry in report.resolutions)]


def _without(values: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(values, dict):
        return {k: _without(v, keys) for k, v in values.items() if k not in keys}
    return [_without(v, keys) for v in values] if isinstance(values, list | tuple) else values
