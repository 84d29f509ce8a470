import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.robustness.attacks import autoattack, autoattack_report

KEY = jax.random.key(7)
SMALL = {"num_steps": 10, "num_queries": 60, "num_targets": 2}


def test_masks_tell_what_the_images_show_and_only_shrink(case):
    labels = case.labels.at[0].add(1) % 5
    seen = []
    result = autoattack_report(
        case.logits_fn, case.images, labels, KEY, epsilon=0.015, norm="linf", **SMALL,
        progress=lambda *step: seen.append(step),
    )  # fmt: skip
    kept = np.asarray(case.logits_fn(result.images).argmax(1) == labels)
    assert (kept == result.robust).all()
    assert list(result.per_attack) == ["clean", "apgd-ce", "apgd-t", "fab-t", "square"]
    masks = list(result.per_attack.values())
    assert not masks[0][0]
    assert masks[0][1:].all()
    for before, after in itertools.pairwise(masks):
        assert (after <= before).all()
    assert (masks[-1] == result.robust).all()
    assert 0 < result.robust.sum() < 11
    # What is robust, or was wrong from the start, comes back as it was.
    same = np.asarray((result.images == case.images).all(axis=(1, 2, 3)))
    assert (same == (result.robust | ~masks[0])).all()
    assert [step[:3] for step in seen] == [
        ("apgd-ce", 1, 1), ("apgd-t", 1, 2), ("apgd-t", 2, 2), ("fab-t", 1, 2), ("fab-t", 2, 2),
        ("square", 1, 1),
    ]  # fmt: skip


def test_no_result_depends_on_the_batch_size(case):
    def run(batch_size):
        return autoattack_report(
            case.logits_fn, case.images, case.labels, KEY, epsilon=0.02, batch_size=batch_size,
            **SMALL,
        )  # fmt: skip

    small, large = run(5), run(100)
    for name, mask in small.per_attack.items():
        assert (mask == large.per_attack[name]).all(), name
    np.testing.assert_allclose(small.images, large.images, atol=1e-5)


def test_each_attack_alone_is_no_weaker_than_its_place_in_the_row(case):
    common = (case.logits_fn, case.images, case.labels, KEY)
    row = autoattack_report(*common, epsilon=0.02, **SMALL)
    alone = autoattack_report(*common, epsilon=0.02, **SMALL, individually=True)
    first = "apgd-ce"
    assert (row.per_attack[first] == alone.per_attack[first]).all()
    assert (alone.robust == np.logical_and.reduce(list(alone.per_attack.values()))).all()
    # An example that is broken in the row is broken by the same attack on its own.
    for name, mask in alone.per_attack.items():
        assert (mask >= alone.robust).all(), name
    assert (alone.robust == row.robust).all()


def test_the_plain_call_runs_the_published_settings_and_compiles_once():
    traces = []
    weights = jax.random.normal(jax.random.key(0), (27, 4))

    def logits_fn(images):
        traces.append(images.shape[0])
        return images.reshape(len(images), -1) @ weights

    images = jax.random.uniform(jax.random.key(1), (6, 3, 3, 3))
    labels = logits_fn(images).argmax(1)
    found = autoattack(logits_fn, images, labels, KEY, epsilon=0.03, batch_size=4)
    # Whole batches of four from the start to the end (and six to find the number of classes).
    assert set(traces[1:]) == {4, 6}
    before = len(traces)
    again = autoattack(logits_fn, images, labels, KEY, epsilon=0.03, batch_size=4)
    assert len(traces) == before
    assert (found == again).all()
    # A linear model's decision within the box is known.
    x = np.asarray(images, np.float64).reshape(6, -1)
    w = np.asarray(weights, np.float64)
    for i, label in enumerate(np.asarray(labels)):
        gains = [
            (np.clip(x[i] + 0.03 * np.sign(w[:, j] - w[:, label]), 0, 1) @ (w[:, j] - w[:, label]))
            for j in range(4)
            if j != label
        ]
        broken = bool(logits_fn(found)[i].argmax() != label)
        assert broken == (max(gains) > 0)


def test_random_models(case):
    def noisy(images, key):
        return case.logits_fn(images + 0.05 * jax.random.normal(key, images.shape))

    result = autoattack_report(
        noisy, case.images, case.labels, KEY, epsilon=0.03, version="rand", eot_samples=4,
        num_steps=10,
    )  # fmt: skip
    assert list(result.per_attack) == ["clean", "apgd-ce", "apgd-dlr"]
    assert result.robust.sum() < result.per_attack["clean"].sum()
    with pytest.raises(ValueError, match="only the APGD attacks are defined"):
        autoattack_report(noisy, case.images, case.labels, KEY, epsilon=0.03, version="rand", attacks=["square"])


def test_masked_gradients_are_warned_of_and_a_surrogate_takes_the_mask_off(case, rounding):
    labels = rounding(case.images).argmax(1)
    common = (rounding, case.images, labels, KEY)
    options = {"epsilon": 0.1, "num_steps": 10, "num_queries": 200, "attacks": ("apgd-ce", "square")}
    result = autoattack_report(*common, **options)
    assert any("Square, which asks for no gradient, broke" in w for w in result.warnings)
    assert any("is exactly zero" in w for w in result.warnings)
    # Copies that fill a batch up are no further images.
    rows = jnp.array([0, *[1] * 11])
    copies = autoattack_report(rounding, case.images[rows], labels[rows], KEY, **options | {"attacks": ("apgd-ce",)})
    assert any("the gradient of 2 of 2 images is exactly zero" in w for w in copies.warnings)
    seeing = autoattack_report(*common, **options, gradient_fn=case.logits_fn)
    assert seeing.warnings == ()
    assert seeing.robust.sum() <= result.robust.sum()


def test_outputs_that_are_no_logits_are_warned_of(case):
    def probabilities(images):
        return jax.nn.softmax(case.logits_fn(images))

    def broken(images):
        return case.logits_fn(images).at[0, 0].set(jnp.nan)

    options = {"epsilon": 0.02, "num_steps": 5, "attacks": ["apgd-ce"]}
    result = autoattack_report(probabilities, case.images, case.labels, KEY, **options)
    assert any("probabilities" in w for w in result.warnings)
    result = autoattack_report(broken, case.images, case.labels, KEY, **options)
    assert any("1 of 12 clean images are not finite" in w for w in result.warnings)
    assert not result.per_attack["clean"][0]


def test_few_classes_run_without_the_ratio_losses():
    def logits_fn(images):
        mean = images.mean((1, 2, 3))
        return jnp.stack([mean, 1 - mean], axis=1)

    images = jnp.array([0.52, 0.7, 0.9]).reshape(3, 1, 1, 1) * jnp.ones((3, 4, 4, 1))
    result = autoattack_report(
        logits_fn, images, jnp.zeros(3, int), KEY, epsilon=0.1, num_steps=20, num_queries=20,
        attacks=("apgd-margin", "fab-t"),
    )  # fmt: skip
    assert result.robust.tolist() == [False, True, True]
    for bad in ((), ("apgd-ce", "apgd-ce")):
        with pytest.raises(
            ValueError, match=r"attacks must be a sequence of at least 1 of 'apgd-ce', .*, each at most once"
        ):
            autoattack_report(logits_fn, images, jnp.zeros(3, int), KEY, epsilon=0.1, attacks=bad)
