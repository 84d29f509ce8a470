"""An evaluation against the corruptions and attacks called by hand, on one device and on eight."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.robustness import corrupt, low_resolution
from isvs_jax.robustness.adaptive import DefenceResult, masking_warnings
from isvs_jax.robustness.attacks._autoattack import AutoAttackResult
from isvs_jax.robustness.attacks._ensemble import square_warning
from isvs_jax.robustness.defences import Defence
from isvs_jax.robustness.evaluation import (
    Attacks,
    Corruptions,
    HardStopChecks,
    Report,
    Resources,
    attacked,
    evaluate,
)
from isvs_jax.robustness.official import CorruptedImages

NOTHING = Defence(lambda images: images, lambda images: images)
NO_ATTACKS: dict[str, Any] = {"attacks": None, "checks": None, "resolutions": ()}
ATTACKS_ONLY: dict[str, Any] = {"corruptions": None, "resolutions": ()}


def without_times(values: Any) -> Any:
    """The dictionary of a report without what differs from run to run, and the means that rounding touches."""
    return _without(values, ("seconds", "made", "ece", "entropy"))


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
    assert set(small.worst.masks) == {"clean", "apgd-ce"}
    assert small.worst.accuracies["clean"] == report.clean.accuracy
    assert small.worst.accuracies["clean"] > small.worst.accuracy > large.worst.accuracy
    curve = report.curves[0]
    assert curve.epsilons == (0.0, 2 / 255, 0.5)
    assert curve.cells[0].accuracy == report.clean.accuracy
    assert curve.cells[2].accuracy == 0.0
    assert curve.chance == 1 / 5


def test_eight_devices_find_what_one_finds(problem: Any, report: Report) -> None:
    assert len(jax.devices()) == 8
    sharded = problem.evaluate(resources=Resources(8))
    assert sharded.made["sessions"][0]["hardware"]["device_count"] == 8
    ours, theirs = without_times(dataclasses.asdict(sharded)), without_times(dataclasses.asdict(report))
    eces = [(cell.ece, other.ece) for cell, other in zip(_cells(sharded), _cells(report), strict=True)]
    np.testing.assert_allclose(*zip(*eces, strict=True), atol=1e-6)
    assert sharded.clean.entropy == pytest.approx(report.clean.entropy, abs=1e-6)
    assert ours == theirs


def test_the_batch_size_changes_no_corruption(problem: Any, report: Report) -> None:
    other = problem.evaluate(attacks=None, checks=None, resources=Resources(5, jax.devices()[:1]))
    assert [cell.correct for cell in _cells(other)] == [cell.correct for cell in _cells(report)]


def test_read_images_are_labelled_apart(problem: Any) -> None:
    rng = np.random.default_rng(1)
    files = {s: CorruptedImages(rng.integers(0, 256, (9, 8, 8, 3), np.uint8), rng.integers(0, 5, 9)) for s in (1, 5)}
    report = problem.evaluate(
        corruptions=Corruptions(("fog",), (1, 5), read=lambda name, severity: files[severity]), **NO_ATTACKS
    )
    assert report.source == "unverified"
    right = np.asarray(problem.logits_fn(files[5].images / np.float32(255)).argmax(1)) == files[5].labels
    np.testing.assert_array_equal(report.corruptions["fog"][5].mask, right)


def test_a_defence_is_attacked_in_six_ways(problem: Any) -> None:
    # Rounding hides every gradient; the identity in the backward pass sees through it.
    rounding = Defence(lambda images: jnp.round(images * 7) / 7, lambda images: images)
    report = problem.evaluate(
        defence=rounding,
        attacks=Attacks(("apgd-ce",), (8 / 255,), count=8, num_steps=3, num_queries=20),
        **ATTACKS_ONLY | {"checks": None},
    )
    result = report.attacks[0]
    assert result.kind == "defence"
    assert list(result.worst.masks) == ["clean", "unrolled", "identity", "low_pass", "transfer", "square", "noise"]
    assert result.worst.accuracies["identity"] < result.worst.accuracies["unrolled"]
    assert result.worst.warnings
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
    monkeypatch.setattr(attacked, "attack_defence", _spoilt_attack)
    attacks = Attacks(("apgd-ce",), (0.05,), num_steps=3)
    report = problem.evaluate(
        defence=NOTHING, attacks=attacks, **ATTACKS_ONLY | {"checks": HardStopChecks((0.03, 0.5), num_steps=3)}
    )
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

    monkeypatch.setattr(attacked, "ATTACK_CHUNK", 8)
    monkeypatch.setattr(attacked, "autoattack_report", attack)
    report = problem.evaluate(attacks=Attacks(("apgd-ce",), (0.05,)), **ATTACKS_ONLY | {"checks": None})
    first, second, third = report.attacks[0].worst.warnings
    assert first == "of the model"
    assert second == "images 8 to 15: of one chunk"
    assert "broke 4.8% of all examples" in third


def test_no_more_than_a_chunk_is_attacked_at_a_time(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def attack(*given: Any, epsilon: float, **options: Any) -> DefenceResult:
        asked.append((epsilon, len(given[3])))
        return _spoilt_attack(*given, epsilon=epsilon, **options)

    monkeypatch.setattr(attacked, "ATTACK_CHUNK", 8)
    monkeypatch.setattr(attacked, "attack_defence", attack)
    attacks = Attacks(("apgd-ce",), (0.05,), num_steps=3)
    report = problem.evaluate(
        defence=NOTHING, attacks=attacks, **ATTACKS_ONLY | {"checks": HardStopChecks((0.03,), num_steps=3)}
    )
    # The curve, the attack, and twice its steps, which fill up the last batch.
    assert asked == [*zip([0.03] * 3 + [0.05] * 6, [8, 8, 5, 8, 8, 5, 8, 8, 8], strict=True)]
    assert report.curves[0].cells[1].count == 21


def test_the_attacks_of_the_figure_are_doubled_in_every_norm(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def attack(model: Any, images: Any, labels: Any, *given: Any, **options: Any) -> AutoAttackResult:
        asked.append((options["norm"], options["attacks"], options["num_steps"], options["num_queries"], len(labels)))
        held = np.arange(len(labels)) >= 19
        return AutoAttackResult(images, held, {"clean": np.ones(len(labels), bool), "apgd-ce": held}, ())

    monkeypatch.setattr(attacked, "autoattack_report", attack)
    report = problem.evaluate(
        attacks=Attacks(("apgd-ce",), (0.05,), (0.5,), num_steps=3),
        **ATTACKS_ONLY | {"checks": HardStopChecks((0.5,), count=20, num_steps=3)},
    )
    assert [(entry.norm, entry.attack, entry.count) for entry in report.doublings] == [
        ("linf", "apgd-ce", 20),
        ("l2", "apgd-ce", 20),
    ]
    once, twice = ("apgd-ce",), (6, 10000, 24)
    # One of the first 20 held; it is attacked again in batches of the shape of all.
    assert asked[2:] == [("linf", once, *twice), ("l2", once, *twice)]
    assert report.doublings[0].accuracy == 1 / 20
    assert report.doublings[0].accuracy_doubled == 0.0


def test_without_attacks_the_curve_is_doubled(problem: Any) -> None:
    report = problem.evaluate(attacks=None, **ATTACKS_ONLY | {"checks": HardStopChecks((2 / 255,), num_steps=3)})
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
        corruptions=None,
        resources=Resources(8, jax.devices()[:1]),
        progress=False,
        **NO_ATTACKS,
    )
    assert found.clean.not_finite == 1
    assert not found.clean.mask[0]
    assert "1 of 8" in found.warnings[0]


def test_devices_that_do_not_divide_the_usual_batch_are_taken(problem: Any) -> None:
    report = problem.evaluate(corruptions=None, resources=Resources(devices=jax.devices()[:3]), **NO_ATTACKS)
    assert report.clean.accuracy == 19 / 21
    assert report.made["batch_size"] == 21
    assert Resources(devices=jax.devices()[:3]).layout().batch_size == 129


def test_the_second_radius_compiles_nothing(
    problem: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Different numbers of images hold at the two radii; the doubled attack is of one shape, and its step that of the
    attack.
    """
    compiled: list[list[str]] = []
    doubling = attacked.doubling_cell

    def counted(*given: Any) -> Any:
        before = len(caplog.records)
        cell = doubling(*given)
        names = [record.message for record in caplog.records[before:] if "Finished XLA compilation" in record.message]
        compiled.append(names)
        return cell

    monkeypatch.setattr(attacked, "doubling_cell", counted)
    attacks = Attacks(("apgd-ce",), epsilons=(0.3 / 255, 3 / 255), num_steps=3)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        report = problem.evaluate(
            corruptions=None, resolutions=(), attacks=attacks, checks=HardStopChecks((), count=20, num_steps=3)
        )
    first, second = report.attacks
    assert first.worst.mask[:20].sum() > 2 * second.worst.mask[:20].sum() > 0
    assert not any("_one_step" in name for name in compiled[0])
    assert compiled[1] == []


def _cells(report: Report) -> list:
    rows = [cell for row in report.corruptions.values() for cell in row.values()]
    return [report.clean, *rows, *(entry.cell for entry in report.resolutions)]


def _without(values: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(values, dict):
        return {k: _without(v, keys) for k, v in values.items() if k not in keys}
    return [_without(v, keys) for v in values] if isinstance(values, list | tuple) else values
