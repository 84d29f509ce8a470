"""An evaluation against the corruptions and attacks called by hand, on one device and on eight."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.robustness import corrupt, low_resolution
from isvs_jax.robustness.defences import Defence
from isvs_jax.robustness.official import CorruptedImages
from isvs_jax.robustness.report import Report, evaluate


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
    assert sharded.made["hardware"]["device_count"] == 8
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
    ],
)
def test_settings_that_do_not_exist_are_refused(problem: Any, changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        problem.evaluate(**changes)


def _cells(report: Report) -> list:
    rows = [cell for row in report.corruptions.values() for cell in row.values()]
    return [report.clean, *rows, *(entry.cell for entry in report.resolutions)]


def _without(values: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(values, dict):
        return {k: _without(v, keys) for k, v in values.items() if k not in keys}
    return [_without(v, keys) for v in values] if isinstance(values, list | tuple) else values
