"""Models that want or return something else, as functions to logits."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from isvs_jax.robustness import adapt, certify, evaluate, from_host, pgd


class _Answer(NamedTuple):
    logits: jax.Array
    hidden: jax.Array


_WEIGHTS = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)
_IMAGES = jnp.asarray(np.random.default_rng(1).uniform(size=(5, 2, 3, 3)), jnp.float32)


def _channels_first(weights, images):
    assert images.shape[-3:] == (3, 2, 3)
    return images.mean((2, 3)) @ weights


@pytest.mark.parametrize(
    ("form", "output"),
    [
        (lambda logits: logits, None),
        (lambda logits: (logits, 0), 0),
        (lambda logits: (0, [logits]), lambda found: found[1][0]),
        (lambda logits: {"logits": logits, "keys": 1}, "logits"),
        (lambda logits: _Answer(logits, logits), "logits"),
    ],
)
def test_what_a_model_wants_and_returns_is_adapted(form, output):
    mean, std = np.array([0.1, 0.2, 0.3]), np.array([0.5, 1.0, 2.0])
    adapted = adapt(
        lambda images: form(_channels_first(_WEIGHTS, images)), channels_first=True, mean=mean, std=std, output=output
    )
    wanted = ((np.asarray(_IMAGES, np.float64) - mean) / std).mean((1, 2)) @ np.asarray(_WEIGHTS, np.float64)
    np.testing.assert_allclose(jax.jit(adapted)(_IMAGES), wanted, rtol=1e-5, atol=1e-6)


def test_another_number_of_channels_is_refused():
    for name in ("mean", "std"):
        with pytest.raises(ValueError, match=rf"{name} must be a number, or one for each of the 1 channels .*; got"):
            adapt(lambda images: images.mean((1, 2)), **{name: (0.1, 0.2, 0.3)})(_IMAGES[..., :1])


def test_nothing_is_promoted_or_broadcast_unasked():
    adapted = adapt(from_host(lambda images: images.mean((1, 2))), mean=(0.1, 0.2, 0.3), std=0.5)
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        found = jax.jit(adapted)(_IMAGES)
    np.testing.assert_allclose(found, (_IMAGES.mean((1, 2)) - np.array([0.1, 0.2, 0.3])) / 0.5, atol=1e-5)


def test_the_arrays_of_a_model_stay_traced():
    compiled = jax.jit(lambda model, images: model(images))
    for scale in (1.0, 2.0):
        model = adapt(Partial(_channels_first, scale * _WEIGHTS), channels_first=True, mean=0.0, std=1.0)
        np.testing.assert_allclose(compiled(model, _IMAGES), scale * _IMAGES.mean((1, 2)) @ _WEIGHTS, rtol=1e-5)
    assert compiled._cache_size() == 1


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"model": 3}, TypeError, "model must be a function"),
        ({"channels_first": 1}, TypeError, "channels_first must be True or False"),
        ({"std": 0}, ValueError, "std must be a positive finite number, or one for each channel; got 0"),
        ({"std": (1, -1, 1)}, ValueError, "std must be a positive"),
        ({"mean": "grey"}, TypeError, "mean must be a finite number, or one for each channel"),
        ({"mean": np.nan}, ValueError, "mean must be a finite"),
        ({"output": 1.5}, TypeError, "output must be None, a place, a key"),
        ({"output": True}, TypeError, "output must be"),
    ],
)
def test_arguments_are_checked(arguments, error, said):
    with pytest.raises(error, match=said):
        adapt(**{"model": lambda images: images} | arguments)


@pytest.mark.parametrize("output", [3, "logit"])
def test_a_place_that_is_not_there_is_said(output):
    with pytest.raises(TypeError, match=rf"output must be the place .*; got {output!r} for a dict of 'logits'"):
        adapt(lambda images: {"logits": images}, output=output)(_IMAGES)


@pytest.mark.parametrize("form", [lambda x: (x, x), lambda x: {"logits": x}, lambda x: _Object(x)])
def test_several_outputs_are_refused_with_a_word_on_adapt(form):
    def model(images):
        return form(images.mean((1, 2)))

    labels, key = jnp.zeros(5, int), jax.random.key(0)
    attack = functools.partial(pgd, model, _IMAGES, labels, key, epsilon=0.1)
    certified = functools.partial(certify, model, _IMAGES, key, sigma=0.1, progress=False)
    with pytest.raises(TypeError, match=r"logits_fn must return .*adapt\(model, output=...\)"):
        attack()
    with pytest.raises(TypeError, match=r"logits_fn must return .*adapt\(model, output=...\)"):
        evaluate(model, _IMAGES, labels, key, name="m", progress=False)
    with pytest.raises(TypeError, match=r"model must return .*adapt\(model, output=...\)"):
        adapt(model)(_IMAGES)
    if not isinstance(form(0), _Object):
        with pytest.raises(TypeError, match=r"logits_fn must return .*adapt\(model, output=...\)"):
            certified()


class _Object:
    def __init__(self, logits):
        self.logits = logits


def test_an_object_with_logits_is_adapted():
    adapted = adapt(lambda images: _Object(images.mean((1, 2))), output="logits")
    moved = pgd(adapted, _IMAGES, jnp.zeros(5, int), jax.random.key(0), epsilon=0.05, num_steps=2)
    assert float(jnp.abs(moved - _IMAGES).max()) <= 0.05 + 1e-6


def test_a_numpy_function_is_adapted():
    def model(images):
        assert isinstance(images, np.ndarray)
        return {"scores": (images.mean((2, 3)) @ np.asarray(_WEIGHTS)).tolist()}

    adapted = adapt(from_host(model), channels_first=True, mean=(0.1, 0.2, 0.3), output="scores")
    wanted = (np.asarray(_IMAGES).mean((1, 2)) - [0.1, 0.2, 0.3]) @ np.asarray(_WEIGHTS)
    np.testing.assert_allclose(jax.jit(adapted)(_IMAGES), wanted, rtol=1e-5, atol=1e-6)
    with pytest.raises(TypeError, match=r"a dict of 'scores'.*adapt\(from_host\(function\), output"):
        from_host(model)(jnp.moveaxis(_IMAGES, -1, 1))


def test_the_key_of_a_random_model_is_handed_on():
    def model(images, key):
        return images.mean((1, 2)) @ _WEIGHTS + jax.random.normal(key, (4,))

    labels, key = jnp.zeros(5, int), jax.random.key(0)
    plain, adapted = (
        pgd(function, _IMAGES, labels, key, epsilon=0.1, num_steps=2, eot_samples=2)
        for function in (model, adapt(model))
    )
    np.testing.assert_array_equal(plain, adapted)
