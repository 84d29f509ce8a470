"""What an evaluation refuses before any work."""

import types
from typing import Any

import jax
import numpy as np
import pytest

from isvs_jax.robustness.defences import Defence
from isvs_jax.robustness.evaluation import (
    Attacks,
    Corruptions,
    Report,
    Resources,
    evaluate,
)
from isvs_jax.robustness.official import CorruptedImages
from isvs_jax.robustness.resolution import Resolution

NOTHING = Defence(lambda images: images, lambda images: images)
NO_ATTACKS: dict[str, Any] = {"attacks": None, "checks": None, "resolutions": ()}
ONE = Resources(8, jax.devices()[:1])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"resources": Resources(12)}, "batch_size must be a multiple of the 8 devices; got 12"),
        ({"num_classes": 7}, "num_classes must be the number of logits, 5; got 7"),
        ({"resolutions": (Resolution(2), Resolution(3))}, r"images of 8×8 pixels allow; got \(3, "),
        ({"resolutions": (Resolution(2, "cubic"),)}, "resolutions must be .*down must be one of"),
        ({"resolutions": (Resolution(2), Resolution(2))}, "resolutions must name each once"),
        ({"defence": NOTHING, "attacks": None}, "unrolled"),
        ({"defence": NOTHING, "attacks": Attacks(("square",))}, "unrolled"),
        ({"defence": NOTHING, "folder": "x"}, "defence.description must be a text"),
        ({"defence": Defence(lambda x: x[:, :4], lambda x: x)}, "defence.forward"),
        ({"attacks": Attacks(("apgd-t",)), "logits_fn": 3}, "'apgd-t', which needs at least 4 classes"),
        ({"attacks": Attacks(("apgd-dlr",)), "logits_fn": 2}, "'apgd-dlr', which needs at least 3 classes"),
        (
            {"labels": np.arange(21) % 6},
            "labels must be from 0 to 4, the 5 classes of the model; got values from 0 to 5",
        ),
        ({"labels": np.zeros(20, int)}, r"labels must be .*one for each of the 21 images; got shape \(20,\)"),
        ({"images": np.full((21, 8, 8, 3), np.nan)}, "images must be in .*got values from nan to nan"),
        ({"images": np.zeros((0, 8, 8, 3))}, "images must be .* N at least 1"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(
    problem: Any, changes: dict, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isvs_jax.robustness.evaluation.engine.clean_cell", _too_late)
    with pytest.raises(ValueError, match=said):
        _evaluated(problem, **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": 0}, "key must be one PRNG key, as of jax.random.key.*; got 0"),
        ({"key": None}, "key must be one PRNG key"),
        ({"key": np.random.default_rng(0)}, "key must be one PRNG key"),
        ({"corruptions": ["fog"]}, r"corruptions must be isvs_jax.robustness.Corruptions.* or None; got \['fog'\]"),
        ({"attacks": ("apgd-ce",)}, "attacks must be isvs_jax.robustness.Attacks"),
        ({"checks": (0.1, 0.5)}, "checks must be isvs_jax.robustness.HardStopChecks"),
        ({"resources": 128}, "resources must be a Resources; got 128"),
        ({"defence": lambda images: images}, "defence must be a Defence"),
        ({"normaliser": "alexnet.json"}, "normaliser must be a Normaliser"),
        ({"resolutions": 2}, "resolutions must be a sequence of isvs_jax.robustness.Resolution; got 2"),
        ({"resolutions": (2, 4)}, "resolutions must be a sequence"),
        ({"name": ["x"]}, "name must be a text"),
        ({"images": np.zeros((21, 8, 8, 3), np.uint8)}, r"images must be floats in \[0, 1\]; .*as_float scales"),
        ({"logits_fn": "tuple"}, "logits_fn must return one array .*; got a tuple of 2"),
        ({"logits_fn": "dict"}, "logits_fn must return one array .*; got a dict of .logits."),
        ({"logits_fn": "object"}, "logits_fn must return one array .*adapt"),
        ({"logits_fn": "numpy"}, "logits_fn must return .* converts images to NumPy"),
        ({"num_classes": 5.0}, "num_classes must be an integer"),
    ],
)
def test_another_kind_is_refused_before_any_work(
    problem: Any, changes: dict, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isvs_jax.robustness.evaluation.engine.clean_cell", _too_late)
    with pytest.raises(TypeError, match=said):
        _evaluated(problem, **changes)


def _evaluated(problem: Any, **changes: Any) -> Report:
    """An evaluation with another network, other images or labels."""
    functions = {
        None: problem.logits_fn,
        2: lambda images: problem.logits_fn(images)[:, :2],
        3: lambda images: problem.logits_fn(images)[:, :3],
        "tuple": lambda images: (problem.logits_fn(images), 0),
        "object": lambda images: types.SimpleNamespace(logits=problem.logits_fn(images)),
        "numpy": lambda images: np.asarray(images).reshape(len(images), -1)[:, :5],
        "dict": lambda images: {"logits": problem.logits_fn(images)},
    }
    number = changes.pop("logits_fn", None)
    labels = problem.labels % number if isinstance(number, int) else problem.labels
    positional = (functions[number], changes.pop("images", problem.images), changes.pop("labels", labels))
    key = changes.pop("key", jax.random.key(0))
    given: dict[str, Any] = {"name": "x", "resolutions": (), "progress": False, "resources": ONE}
    return evaluate(*positional, key, **given | changes)


def _too_late(*given: Any) -> None:
    raise AssertionError("work began")


def _file(shape: tuple[int, ...] = (9, 8, 8, 3), label: int = 1, dtype: Any = np.uint8) -> CorruptedImages:
    return CorruptedImages(np.zeros(shape, dtype), np.full(9, label))


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (_file((9, 16, 16, 3)), r"shape \(8, 8, 3\); got uint8 \(9, 16, 16, 3\) for contrast 1"),
        (
            _file(label=7),
            "labels from 0 to 4, as the model has 5 logits; got 7 to 7 for contrast 1. .* another data set",
        ),
        (_file(dtype=np.float32), "must return uint8 images .*; got float32"),
        (_file()._replace(labels=np.zeros(8, int)), r"one integer label an image, \(9,\); got int64 \(8,\)"),
    ],
)
def test_files_of_another_data_set_are_refused(problem: Any, file: CorruptedImages, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        problem.evaluate(corruptions=Corruptions(("contrast",), (1,), read=lambda name, severity: file), **NO_ATTACKS)
