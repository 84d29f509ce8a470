import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.robustness.attacks import apgd, autoattack, fab, fab_minimal, fgsm, pgd, square
from isvs_jax.robustness.attacks._ball import held_in_ball
from isvs_jax.robustness.attacks._checks import check_problem
from isvs_jax.robustness.attacks.noise import noise_report

ATTACKS = (fgsm, pgd, apgd, fab, square, autoattack)
KEY = jax.random.key(0)

BAD = {
    r"epsilon must be a number in \[0, 1\]; got -0\.1": {"epsilon": -0.1},
    r"epsilon must be a number in \[0, 1\]; got nan": {"epsilon": float("nan")},
    r"epsilon must be a number in \[0, 1\], as images are; got 8\. .*8/255": {"epsilon": 8},
    r"epsilon must be one number; got an array of shape \(3,\)": {"epsilon": np.ones(3)},
    r"epsilon must be a number in \[0, 1\]; got '0\.1'": {"epsilon": "0.1"},
    r"epsilon must be a number in \[0, 1\]; got None": {"epsilon": None},
    "norm must be one of 'linf', 'l2'; got 'l1'": {"norm": "l1"},
    r"images must be \[B, H, W, C\]; got shape \(5, 5, 3\)": {"images": np.zeros((5, 5, 3), np.float32)},
    "with no axis of length 0; got shape": {"images": np.zeros((0, 5, 5, 3), np.float32)},
    r"values in \[0, 1\]; got values from 0\.0 to 255\.0": {"images": np.linspace(0, 255, 900, dtype=np.float32)},
    "Divide integer images by 255": {"images": np.zeros((12, 5, 5, 3), np.uint8)},
    "got dtype float16. Half precision": {"images": np.zeros((12, 5, 5, 3), np.float16)},
    "got values from nan": {"images": np.full((12, 5, 5, 3), np.nan, np.float32)},
    "labels must be from 0 to 4, .*; got values from 0 to 5": {"labels": np.arange(12) % 6},
    r"got values from 1 to 5\. Labels count from 0": {"labels": np.arange(12) % 5 + 1},
    "labels must be .*; got values from -1": {"labels": np.arange(12) % 5 - 1},
    r"labels must be \[B\], one for each of the 12 images; got shape \(11,\)": {"labels": np.zeros(11, int)},
    r"got shape \(12, 1\)\. Write labels\[:, 0\]": {"labels": np.zeros((12, 1), int)},
    r"got shape \(12, 5\)\. For one-hot labels write": {"labels": np.zeros((12, 5), int)},
    "labels must be integers; got dtype float": {"labels": np.zeros(12)},
    r"logits_fn must return logits \[B, K\], here of shape \(12, K\)": {"logits_fn": lambda x: x.mean()},
    r"logits_fn must return .*; got a tuple": {"logits_fn": lambda x: (x.reshape(len(x), -1),)},
    "logits_fn must be a function that JAX can trace": {"logits_fn": lambda x: np.asarray(x).reshape(len(x), -1)},
    "logits_fn must be a function from images to logits; got 3": {"logits_fn": 3},
    r"key must be one PRNG key, .*; got keys of shape \(2,\)": {"key": jax.random.split(KEY, 2)},
    "key must be one PRNG key, .*; got 0": {"key": 0},
    "key must be one PRNG key, .*; got None": {"key": None},
    "key must be one PRNG key, .*; got Generator": {"key": np.random.default_rng(0)},
    r"at least 2 classes; got shape \(12, 1\)\. For one logit": {"logits_fn": lambda x: x.reshape(len(x), -1)[:, :1]},
}


@pytest.mark.parametrize("sentence", BAD)
def test_bad_inputs_are_refused_with_a_sentence(case, sentence):
    """By the check that all attacks share, and by each attack, which must call it before anything runs."""
    given = {**case._asdict(), "key": KEY, "epsilon": 0.03, "norm": "linf", **BAD[sentence]}
    if given["images"].shape == (900,):
        given["images"] = given["images"].reshape(12, 5, 5, 3)
    for attack in (check_problem, *ATTACKS, fab_minimal, noise_report):
        with pytest.raises((ValueError, TypeError), match=sentence):
            attack(**given)


@pytest.mark.parametrize("attack", [fgsm, pgd, apgd], ids=lambda a: a.__name__)
def test_losses_ask_for_classes_enough(case, attack):
    common = (case.logits_fn, case.images, case.labels, KEY)
    with pytest.raises(ValueError, match=r"loss must be one of 'cross_entropy'.*; got 'dice'"):
        attack(*common, epsilon=0.1, loss="dice")

    def two(images):
        return case.logits_fn(images)[:, :2]

    with pytest.raises(ValueError, match="model of 2 classes; got 'dlr', which needs at least 3"):
        attack(two, case.images, case.labels % 2, KEY, epsilon=0.1, loss="dlr")


def test_apgd_and_square_and_autoattack_refuse_what_only_they_take(case):
    common = (case.logits_fn, case.images, case.labels, KEY)
    with pytest.raises(ValueError, match="num_targets must be an integer from 1 to 4; got 5"):
        apgd(*common, epsilon=0.1, loss="targeted_dlr", num_targets=5)
    with pytest.raises(ValueError, match="num_targets must be None for the loss 'cross_entropy'"):
        apgd(*common, epsilon=0.1, num_targets=3)
    with pytest.raises(ValueError, match="num_steps must be an integer of at least 1; got 0"):
        apgd(*common, epsilon=0.1, num_steps=0)
    with pytest.raises(TypeError, match=r"num_steps must be an integer of at least 1; got 2\.5"):
        apgd(*common, epsilon=0.1, num_steps=2.5)
    with pytest.raises(ValueError, match=r"share must be a number in \(0, 1\]; got 0"):
        square(*common, epsilon=0.1, share=0.0)
    with pytest.raises(ValueError, match="at least 3×3 pixels for Square Attack in L2; got 2×2"):
        square(
            lambda x: x.reshape(-1, 4), np.zeros((1, 2, 2, 1), np.float32), np.array([0]), KEY,
            epsilon=0.1, norm="l2",
        )  # fmt: skip
    with pytest.raises(ValueError, match="version must be one of 'standard', 'rand'; got 'plus'"):
        autoattack(*common, epsilon=0.1, version="plus")

    def three(images):
        return case.logits_fn(images)[:, :3]

    with pytest.raises(ValueError, match=r"attacks must be .*'apgd-margin'.* for a model of 3 classes; got 'apgd-t'"):
        autoattack(three, case.images, case.labels % 3, KEY, epsilon=0.1)
    with pytest.raises(TypeError, match="autoattack must be called outside of jit"):
        jax.jit(functools.partial(autoattack, case.logits_fn, epsilon=0.1))(case.images, case.labels, KEY)


def test_gradient_fn_is_checked_too(case):
    common = (case.logits_fn, case.images, case.labels, KEY)
    with pytest.raises(ValueError, match="gradient_fn must return the 5 classes of logits_fn; got 4"):
        pgd(*common, epsilon=0.1, gradient_fn=lambda x: case.logits_fn(x)[:, :4])
    with pytest.raises(TypeError, match="gradient_fn must be a function from images to logits; got 'x'"):
        pgd(*common, epsilon=0.1, gradient_fn="x")


def test_old_and_new_keys_are_the_same(case):
    common = (case.logits_fn, case.images, case.labels)
    new = pgd(*common, jax.random.key(5), epsilon=0.03, num_steps=3)
    old = pgd(*common, jax.random.PRNGKey(5), epsilon=0.03, num_steps=3)
    assert jnp.array_equal(new, old)


SHORT = {"fgsm": {}, "square": {"num_queries": 3}}


@pytest.mark.parametrize(
    ("attack", "norm"),
    [(fgsm, "linf"), (pgd, "linf"), (apgd, "linf"), (fab, "linf"), (square, "linf"), (fgsm, "l2"), (square, "l2")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_ball_and_box_are_asserted_under_jit_image_by_image(case, attack, norm):
    """The values of traced images cannot be refused: one of 1.5 lies outside whatever the attack makes of it."""
    epsilon = 0.05 if norm == "linf" else 0.4
    run = jax.jit(functools.partial(attack, case.logits_fn, norm=norm, **SHORT.get(attack.__name__, {"num_steps": 2})))
    moved = np.asarray(run(case.images.at[3].set(1.5), case.labels, KEY, epsilon=epsilon), np.float64)
    assert np.isnan(moved[3]).all()
    others = np.arange(len(moved)) != 3
    delta = (moved - np.asarray(case.images, np.float64))[others].reshape(len(moved) - 1, -1)
    sizes = np.abs(delta).max(1) if norm == "linf" else np.linalg.norm(delta, axis=1)
    # The float32 rounding of a value below 1, of an image of 75.
    assert sizes.max() <= epsilon + np.sqrt(75) * 2.0**-24
    assert sizes.max() > 0
    assert 0 <= moved[others].min() <= moved[others].max() <= 1


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_traced_images_are_held_to_the_same_ball_as_concrete_ones(norm):
    images = np.full((3, 32, 32, 3), 0.3, np.float32)
    moved = images.copy()
    moved[1] += 0.1
    radius = 0.1 if norm == "linf" else 0.1 * np.sqrt(32 * 32 * 3)
    held = jax.jit(functools.partial(held_in_ball, norm=norm))
    np.testing.assert_array_equal(held(images, moved, radius), moved)
    np.testing.assert_array_equal(held_in_ball(images, moved, radius, norm), moved)
    # The allowance of the sum of squares in float32 is 7e-6 of the radius.
    outside = np.asarray(held(images, moved, radius * 0.9999))
    assert np.isnan(outside[1]).all()
    np.testing.assert_array_equal(outside[[0, 2]], moved[[0, 2]])
    with pytest.raises(AssertionError, match="image 1"):
        held_in_ball(images, moved, radius * 0.9999, norm)
    below = np.asarray(held(images, images - 0.4, 100.0))
    assert np.isnan(below).all()
