"""NumPy functions as models."""

import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from isvs_jax.robustness import (
    Attacks,
    Corruptions,
    Resolution,
    Resources,
    adapt,
    apgd,
    attack_defence,
    autoattack,
    autoattack_report,
    certify,
    evaluate,
    fab,
    fgsm,
    from_host,
    pgd,
    smoothing_defence,
    square,
)


@pytest.fixture(scope="module")
def models(patterns):
    """The same linear network in JAX and in NumPy."""
    network, images, labels = patterns
    weights = np.asarray(network.args[0])

    def in_numpy(images):
        assert isinstance(images, np.ndarray)
        assert images.flags.writeable
        return 20 * np.einsum("bhwc,khwc->bk", images - 0.5, weights)

    return network, from_host(in_numpy), images, labels


def test_values_are_those_of_the_function(models):
    network, host, images, _ = models
    wanted = network(images)
    np.testing.assert_allclose(host(images), wanted, atol=1e-5)
    np.testing.assert_allclose(jax.jit(host)(images), wanted, atol=1e-5)
    stacked = jnp.asarray(images).reshape(3, 4, *images.shape[1:])
    np.testing.assert_allclose(jax.jit(jax.vmap(host))(stacked).reshape(12, -1), wanted, atol=1e-5)
    looped = jax.jit(lambda x: jax.lax.fori_loop(0, 3, lambda _, total: total + host(x), jnp.zeros((12, 4))))(images)
    np.testing.assert_allclose(looped, 3 * wanted, rtol=1e-4, atol=1e-4)


def test_a_model_keeps_its_buffers_to_itself():
    kept = []

    def greedy(images):
        kept.append(images)
        images *= 2
        return images.mean((1, 2))

    images = jnp.full((2, 4, 4, 3), 0.25)
    found = jax.jit(lambda x: from_host(greedy)(x) + x.mean((1, 2)))(images)
    np.testing.assert_allclose(found, 0.75)
    np.testing.assert_allclose(images, 0.25)
    assert len({id(array) for array in kept}) == len(kept)


def test_an_evaluation_is_that_of_the_same_network_in_jax(models):
    network, host, images, labels = models
    reports = [
        evaluate(
            model,
            0.5 + 0.1 * (images - 0.5),
            labels,
            jax.random.key(3),
            name="linear",
            corruptions=Corruptions(("gaussian_noise", "contrast"), (3, 5)),
            resolutions=(Resolution(2),),
            attacks=Attacks(("square",), (0.05,), num_queries=20),
            checks=None,
            resources=Resources(batch_size=8),
            progress=False,
        )
        for model in (network, host)
    ]
    ours, theirs = (
        [report.clean, *(cell for row in report.corruptions.values() for cell in row.values())] for report in reports
    )
    assert [cell.correct for cell in ours] == [cell.correct for cell in theirs]
    assert {cell.accuracy for cell in ours} != {1.0}
    for ours, theirs in zip(reports[0].resolutions, reports[1].resolutions, strict=True):
        assert ours.cell.correct == theirs.cell.correct


def test_square_and_certification_take_it(models):
    network, host, images, labels = models
    options = {"epsilon": 0.2, "num_queries": 30}
    found = [square(model, images, labels, jax.random.key(0), **options) for model in (network, host)]
    wrong = [np.asarray(network(moved)).argmax(1) != labels for moved in found]
    assert wrong[0].any()
    np.testing.assert_array_equal(*wrong)
    given = {"sigma": 0.1, "n0": 10, "n": 200, "progress": False, "defence": smoothing_defence(0.5)}
    first, second = (certify(model, images[:3], jax.random.key(0), **given) for model in (network, host))
    np.testing.assert_array_equal(first.counts, second.counts)
    found = autoattack_report(host, images, labels, jax.random.key(0), epsilon=0.02, attacks=["square"], num_queries=5)
    assert not any("gradient" in sentence for sentence in found.warnings)


@pytest.mark.parametrize("attack", [fgsm, pgd, apgd, fab, autoattack])
@pytest.mark.parametrize("wrapped", [False, True])
def test_attacks_that_follow_a_gradient_refuse_it_before_any_work(models, attack, wrapped):
    _, host, images, labels = models
    asked = []

    def counted(images):
        asked.append(len(images))
        return host.values(images, None)

    model = adapt(from_host(counted), mean=0.0) if wrapped else from_host(counted)
    with pytest.raises(TypeError, match=r"logits_fn must have a gradient .*from_host, which has none"):
        attack(model, images, labels, jax.random.key(0), epsilon=0.1)
    assert sum(asked) <= 2


def test_a_stand_in_gives_the_gradient(models):
    network, host, images, labels = models
    moved = pgd(host, images, labels, jax.random.key(0), epsilon=0.15, num_steps=3, gradient_fn=network)
    assert (np.asarray(host(moved)).argmax(1) != labels).all()
    with pytest.raises(TypeError, match="gradient_fn must have a gradient"):
        pgd(network, images, labels, jax.random.key(0), epsilon=0.15, gradient_fn=host)


def test_evaluate_and_defences_refuse_gradients_before_any_work(models):
    network, host, images, labels = models
    asked = []

    def told(images):
        asked.append(len(images))
        return host.values(images, None)

    hidden, one = from_host(told), Resources(devices=jax.devices()[:1])
    with pytest.raises(TypeError, match=r"attacks and checks must be .*'square'.*from_host, which has none"):
        # Behind a plain function, which shows nothing of what it calls.
        evaluate(lambda x: hidden(x), images, labels, jax.random.key(0), name="linear", resources=one, progress=False)
    assert sum(asked) <= 2 + len(images)
    with pytest.raises(TypeError, match="network_fn must have a gradient"):
        attack_defence(host, smoothing_defence(0.5), images, labels, jax.random.key(0), epsilon=0.1)
    with pytest.raises(TypeError, match="must have a gradient"):
        jax.grad(lambda x: host(x).sum())(jnp.asarray(images))
    assert isinstance(adapt(network), Partial)


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        (
            lambda x: x.mean((1, 2, 3)),
            ValueError,
            r"function must return numbers \[B, K\], here \[2, K\]; got an array",
        ),
        (lambda x: x.mean((1, 2))[:1], ValueError, "function must return numbers"),
        (lambda x: [["a", "b"]] * len(x), ValueError, "function must return numbers"),
        (lambda x: (x.mean((1, 2)), 1), TypeError, r"a tuple of 2. isvs_jax.robustness.adapt\(from_host"),
        (lambda x: None, TypeError, "function must return one array"),
    ],
)
def test_what_is_no_logits_is_said(function, error, said):
    with pytest.raises(error, match=said):
        jax.eval_shape(from_host(function), jax.ShapeDtypeStruct((4, 2, 2, 3), jnp.float32))


def test_what_is_no_function_or_no_image_is_said():
    with pytest.raises(TypeError, match="function must be a function from NumPy images to logits; got 3"):
        from_host(3)
    with pytest.raises(ValueError, match=r"images must be \[B, H, W, C\]; got shape \(2, 2, 3\)"):
        from_host(lambda x: x)(jnp.zeros((2, 2, 3)))


def test_large_batches_do_not_wait_for_ever_with_one_core():
    """JAX has one thread here: a callback that waits for a copy of its 12 MiB would hold it."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("the cores of a process can be chosen on Linux alone")
    program = """
        import os
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        import jax, jax.numpy as jnp, numpy as np
        from isvs_jax.robustness import from_host
        model = from_host(lambda x: np.stack([x.mean((1, 2, 3)), x[:, 0, 0, 0]], axis=1))
        images = np.random.default_rng(0).random((1024, 32, 32, 3), np.float32)
        unaligned = images.ravel()[1 : 1 + 1023 * 3072].reshape(1023, 32, 32, 3)
        several = jax.jit(lambda x: sum(model(x * scale).sum() for scale in (0.5, 0.7)))
        print(jax.jit(model)(images).shape, several(images).shape, several(unaligned).shape)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "(1024, 2) () ()\n"


def test_a_model_whose_classes_change_is_refused():
    """One logit in place of three would be spread over them."""
    kept = [3]
    model = jax.jit(from_host(lambda images: images.mean((1, 2))[:, : kept[0]]))
    images = jnp.full((4, 2, 2, 3), 0.5)
    model(images)
    kept[0] = 1
    with pytest.raises(
        (ValueError, jax.errors.JaxRuntimeError), match=r"logits must keep the shape \(4, 3\) .*; got \(4, 1\)"
    ):
        jax.block_until_ready(model(images))
