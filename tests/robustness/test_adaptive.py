"""The worst case over the six ways: what each finds, what the masks say, what is refused before anything runs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.robustness.adaptive import WAYS, attack_defence, masking_warnings
from isvs_jax.robustness.defences import Defence, defended, rounding_defence, smoothing_defence

EPSILON = 0.15
QUICK = {"attacks": ("apgd-ce",), "num_steps": 12, "num_queries": 30, "num_draws": 4, "batch_size": 8}


def _average(images):
    """Each pixel with its left neighbour: a defence that is quick to attack."""
    return (images + jnp.roll(images, 1, axis=2)) / 2


AVERAGE = Defence(_average, _average)


def test_smoothing_hides_nothing_of_a_linear_network(patterns):
    """The path is differentiable: its own gradient finds what the other ways find, and there is no warning."""
    network, images, labels = patterns
    defence, key = smoothing_defence(1.0), jax.random.key(0)
    result = attack_defence(network, defence, images, labels, key, epsilon=EPSILON, **QUICK)
    assert list(result.per_attack) == ["clean", *WAYS]
    assert not result.per_attack["unrolled"].any()
    assert not any("masked" in warning for warning in result.warnings)
    fooled = jnp.argmax(defended(network, defence)(result.images), 1) != labels
    np.testing.assert_array_equal(fooled, ~result.robust)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_masks_only_fall_and_images_stay_in_the_ball(patterns, norm):
    network, images, labels = patterns
    epsilon = 0.03 if norm == "linf" else 0.3
    result = attack_defence(network, AVERAGE, images, labels, jax.random.key(1), epsilon=epsilon, norm=norm, **QUICK)
    masks = list(result.per_attack.values())
    assert all((after <= before).all() for before, after in itertools.pairwise(masks))
    delta = np.asarray(result.images) - images
    sizes = np.abs(delta).max((1, 2, 3)) if norm == "linf" else np.sqrt((delta**2).sum((1, 2, 3)))
    assert sizes.max() <= epsilon * (1 + 1e-5)
    np.testing.assert_array_equal(delta[result.robust], 0)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_alone_breaks_an_undefended_network(patterns, way):
    """Behind a defence that does nothing every way must find what there is: 0.15 is three margins."""
    network, images, labels = patterns
    nothing = Defence(lambda x: x, lambda x: x)
    settings = {**QUICK, "num_queries": 400, "num_draws": 40}
    result = attack_defence(network, nothing, images, labels, jax.random.key(0), epsilon=0.45, ways=[way], **settings)
    limit = 11 if way == "noise" else 0
    assert result.robust.sum() <= limit
    assert any("no worst case" in warning for warning in result.warnings)


def test_the_order_of_the_ways_cannot_hide_a_masked_gradient(patterns):
    network, images, labels = patterns
    ways = ["identity", "unrolled"]
    result = attack_defence(
        network, rounding_defence(8), images, labels, jax.random.key(0), epsilon=EPSILON, ways=ways, **QUICK
    )
    assert list(result.per_attack) == ["clean", "unrolled", "identity"]
    assert any("gradient through the defence is masked" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"ways": ["guessing"]}, ValueError, r"ways must be .* 'unrolled', .*; got \('guessing',\)"),
        ({"ways": []}, ValueError, r"ways must be a sequence of at least 1 of .*; got \(\)"),
        ({"ways": ["noise", "noise"]}, ValueError, "each at most once"),
        ({"ways": "noise"}, TypeError, r"got 'noise'\. For one write \('noise',\)"),
        ({"norm": "l1"}, ValueError, "norm must be one of 'linf', 'l2'; got 'l1'"),
        ({"num_draws": 0}, ValueError, "num_draws must be an integer of at least 1; got 0"),
        ({"num_steps": 1.5}, TypeError, "num_steps must be an integer of at least 1; got 1.5"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer of at least 1; got 0"),
        ({"attacks": ()}, ValueError, r"attacks must have .* ways unrolled, identity, low_pass, transfer; got \(\)"),
        ({"attacks": ("square",), "ways": ["transfer"]}, ValueError, r"for the ways transfer; got \('square',\)"),
        ({"attacks": ("pgd",)}, ValueError, r"attacks must be .* 'apgd-ce', .*; got \('pgd',\)"),
        ({"num_targets": 4}, ValueError, "num_targets must be an integer from 1 to 3; got 4"),
        ({"epsilon": -1.0}, ValueError, r"epsilon must be a number in \[0, 1\]; got -1"),
        ({"epsilon": 8}, ValueError, "epsilon must be .*; got 8. For 8 grey levels write 8/255"),
        ({"epsilon": "8/255"}, TypeError, "epsilon must be .*; got '8/255'"),
        ({"epsilon": None}, TypeError, "epsilon must be .*; got None"),
        ({"defence": Defence(lambda x: x[:, :2], lambda x: x)}, ValueError, "defence.forward must keep the shape"),
        ({"defence": lambda x: x}, TypeError, "defence must be a Defence"),
        ({"labels": np.arange(12) % 4 + 1}, ValueError, "labels must be from 0 to 3, .*; got values from 1 to 4"),
        ({"labels": np.arange(5) % 4}, ValueError, r"labels must be .*; got shape \(5,\)"),
        ({"labels": np.zeros((12, 1), int)}, ValueError, r"labels must be .*; got shape \(12, 1\)"),
        ({"labels": np.eye(4, dtype=int)[np.arange(12) % 4]}, ValueError, "For one-hot labels write"),
        ({"images": np.full((12, 8, 8, 1), 255.0, np.float32)}, ValueError, "images must have values in"),
        ({"images": np.full((12, 8, 8, 1), np.nan, np.float32)}, ValueError, "got values from nan to nan"),
        ({"images": np.zeros((12, 8, 8, 1), np.uint8)}, TypeError, "Divide integer images by 255"),
        ({"images": np.zeros((0, 8, 8, 1), np.float32)}, ValueError, "images must be .* with no axis of length 0"),
        ({"key": 0}, TypeError, "key must be one PRNG key"),
        ({"key": np.random.default_rng(0)}, TypeError, "key must be one PRNG key"),
    ],
)
def test_bad_input_is_refused_with_a_sentence_before_anything_runs(patterns, change, error, sentence):
    """The network is traced, to find its classes, and never asked."""
    network, images, labels = patterns
    ran = []

    def watched(x):
        jax.debug.callback(lambda: ran.append(True))
        return network(x)

    given = {"defence": AVERAGE, "images": images, "labels": labels, "key": jax.random.key(0), "epsilon": 0.1}
    with pytest.raises(error, match=sentence):
        attack_defence(watched, **{**given, **QUICK, **change})
    jax.effects_barrier()
    assert not ran


def test_what_the_masks_say():
    full, none = np.ones(10, bool), np.zeros(10, bool)
    sound = {"clean": full, **dict.fromkeys(WAYS, none)}
    assert masking_warnings(sound) == []
    late = {"clean": full, **dict.fromkeys(WAYS[:4], full), "square": none, "noise": none}
    sentences = masking_warnings(late)
    assert len(sentences) == 2
    assert "square, which asks for no gradient, broke 100.0%" in sentences[1]
    assert "identity" in masking_warnings({"clean": full, "unrolled": none})[0]
