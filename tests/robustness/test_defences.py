"""The referee against defences that hold nothing, and one that is a smoothing."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from isvs_jax.robustness import pgd
from isvs_jax.robustness.broken_defences import rounding_defence, total_variation_defence
from isvs_jax.robustness.defences import WAYS, Defence, attack_defence, defended, masking_warnings, smoothing_defence
from isvs_jax.robustness.hard_stop import hard_stop

EPSILON = 0.15
QUICK = {"attacks": ("apgd-ce",), "num_steps": 12, "num_queries": 30, "num_draws": 4, "batch_size": 8}


def _average(images):
    """Each pixel with its left neighbour: a defence that is quick to attack."""
    return (images + jnp.roll(images, 1, axis=2)) / 2


AVERAGE = Defence(_average, _average)


def _network(weights, images):
    """A linear classifier: which of four fixed patterns the image resembles most."""
    return 20 * jnp.einsum("bhwc,khwc->bk", images - 0.5, weights)


@pytest.fixture(scope="module")
def problem():
    """Four smooth patterns, and images of them with a margin of about 0.05 a pixel: 0.15 is far beyond it."""
    rows, columns = np.meshgrid(np.linspace(-1, 1, 8), np.linspace(-1, 1, 8), indexing="ij")
    patterns = np.stack([np.sign(rows), np.sign(columns), np.sign(rows * columns), -np.sign(rows)])[..., None]
    patterns = patterns.astype(np.float32) / 64
    labels = np.arange(12) % 4
    noise = np.random.default_rng(0).normal(size=(12, 8, 8, 1))
    images = np.clip(0.5 + 64 * 0.08 * patterns[labels] + 0.01 * noise, 0, 1).astype(np.float32)
    return Partial(_network, jnp.asarray(patterns)), images, labels


@pytest.mark.parametrize("defence", [rounding_defence(8), total_variation_defence(0.05, 20)], ids=["rounding", "tv"])
def test_a_broken_defence_fools_plain_pgd_and_is_taken_to_zero_with_a_warning(problem, defence):
    network, images, labels = problem
    model, key = defended(network, defence), jax.random.key(0)
    moved = pgd(model, images, labels, key, epsilon=EPSILON, num_steps=20, step_size=EPSILON / 8, random_start=False)
    assert float(jnp.mean(jnp.argmax(model(moved), 1) == labels)) > 0.9
    result = attack_defence(network, defence, images, labels, key, epsilon=EPSILON, **QUICK)
    assert result.per_attack["clean"].all()
    assert not result.robust.any()
    assert any("gradient through the defence is masked" in warning for warning in result.warnings)
    assert any("exactly zero" in warning for warning in result.warnings)


def test_smoothing_hides_nothing_of_a_linear_network(problem):
    """The path is differentiable: its own gradient finds what the other ways find, and there is no warning."""
    network, images, labels = problem
    defence, key = smoothing_defence(1.0), jax.random.key(0)
    result = attack_defence(network, defence, images, labels, key, epsilon=EPSILON, **QUICK)
    assert list(result.per_attack) == ["clean", *WAYS]
    assert not result.per_attack["unrolled"].any()
    assert not any("masked" in warning for warning in result.warnings)
    fooled = jnp.argmax(defended(network, defence)(result.images), 1) != labels
    np.testing.assert_array_equal(fooled, ~result.robust)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_masks_only_fall_and_images_stay_in_the_ball(problem, norm):
    network, images, labels = problem
    epsilon = 0.03 if norm == "linf" else 0.3
    result = attack_defence(network, AVERAGE, images, labels, jax.random.key(1), epsilon=epsilon, norm=norm, **QUICK)
    masks = list(result.per_attack.values())
    assert all((after <= before).all() for before, after in itertools.pairwise(masks))
    delta = np.asarray(result.images) - images
    sizes = np.abs(delta).max((1, 2, 3)) if norm == "linf" else np.sqrt((delta**2).sum((1, 2, 3)))
    assert sizes.max() <= epsilon * (1 + 1e-5)
    np.testing.assert_array_equal(delta[result.robust], 0)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_alone_breaks_an_undefended_network(problem, way):
    """Behind a defence that does nothing every way must find what there is: 0.15 is three margins."""
    network, images, labels = problem
    nothing = Defence(lambda x: x, lambda x: x)
    settings = {**QUICK, "num_queries": 400, "num_draws": 40}
    result = attack_defence(network, nothing, images, labels, jax.random.key(0), epsilon=0.45, ways=[way], **settings)
    limit = 11 if way == "noise" else 0
    assert result.robust.sum() <= limit
    assert any("no worst case" in warning for warning in result.warnings)


def test_the_order_of_the_ways_cannot_hide_a_masked_gradient(problem):
    network, images, labels = problem
    ways = ["identity", "unrolled"]
    result = attack_defence(
        network, rounding_defence(8), images, labels, jax.random.key(0), epsilon=0.15, ways=ways, **QUICK
    )
    assert list(result.per_attack) == ["clean", "unrolled", "identity"]
    assert any("gradient through the defence is masked" in warning for warning in result.warnings)


def test_descriptions_tell_defences_apart():
    described = [smoothing_defence(1.0), smoothing_defence(2.0), rounding_defence(4), total_variation_defence(0.1)]
    assert len({defence.description for defence in described}) == 4


def test_what_the_masks_say():
    full, none = np.ones(10, bool), np.zeros(10, bool)
    sound = {"clean": full, **dict.fromkeys(WAYS, none)}
    assert masking_warnings(sound) == []
    late = {"clean": full, **dict.fromkeys(WAYS[:4], full), "square": none, "noise": none}
    sentences = masking_warnings(late)
    assert len(sentences) == 2
    assert "square, which asks for no gradient, broke 100.0%" in sentences[1]
    assert "identity" in masking_warnings({"clean": full, "unrolled": none})[0]


def test_hard_stop_passes_what_works_and_stops_what_does_not(problem):
    network, images, labels = problem
    settings = {"attacks": ("apgd-ce",), "num_queries": 30, "num_draws": 2, "batch_size": 12}
    key = jax.random.key(0)
    sound = hard_stop(network, AVERAGE, images, labels, key, epsilon=0.1, num_steps=10, **settings)
    assert sound.warnings == ()
    assert sound.curve.accuracy[-1] == 0
    blind = hard_stop(
        network, rounding_defence(8), images, labels, key, epsilon=0.02, num_steps=10, ways=["unrolled"], **settings
    )
    assert any("every image can be turned into grey" in sentence for sentence in blind.warnings)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"ways": ["guessing"]}, ValueError, "ways is 'guessing'; it may be one of 'unrolled'"),
        ({"ways": []}, ValueError, r"ways is \(\)"),
        ({"ways": ["noise", "noise"]}, ValueError, "each once"),
        ({"norm": "l1"}, ValueError, "norm is 'l1'"),
        ({"num_draws": 0}, ValueError, "num_draws is 0"),
        ({"epsilon": -1.0}, ValueError, "epsilon is -1"),
        ({"defence": Defence(lambda x: x[:, :2], lambda x: x)}, ValueError, "defence.forward returned shape"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(problem, change, error, sentence):
    network, images, labels = problem
    settings = {"defence": smoothing_defence(0.5), "epsilon": 0.1, **QUICK, **change}
    defence = settings.pop("defence")
    with pytest.raises(error, match=sentence):
        attack_defence(network, defence, images, labels, jax.random.key(0), **settings)


def test_broken_defences_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="levels is 1"):
        rounding_defence(1)
    with pytest.raises(ValueError, match="weight is 0"):
        total_variation_defence(0.0)
