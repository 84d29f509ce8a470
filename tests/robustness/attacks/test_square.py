import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.robustness.attacks import square
from isvs_jax.robustness.attacks._ball import check_ball
from isvs_jax.robustness.attacks._square_moves import bump, schedule_of, window_sides

KEY = jax.random.key(6)
RADII = {"linf": 0.03, "l2": 0.3}


def _share(query):
    """The published schedule, as a table of thresholds."""
    for threshold, divisor in ((10, 1), (50, 2), (200, 4), (500, 8), (1000, 16), (2000, 32)):
        if query <= threshold:
            return 0.8 / divisor
    for threshold, divisor in ((4000, 64), (6000, 128), (8000, 256)):
        if query <= threshold:
            return 0.8 / divisor
    return 0.8 / 512


def test_window_sides_follow_the_published_schedule():
    def sides(num_queries, norm, rescale=False):
        level = jax.vmap(schedule_of(num_queries, rescale).level)
        return window_sides(32, 32, norm, 0.8)[np.asarray(level(np.arange(num_queries, dtype=np.int32)))]

    linf, l2 = sides(10000, "linf"), sides(10000, "l2")
    for query in (0, 10, 11, 50, 51, 200, 201, 501, 1001, 2001, 4001, 6001, 8001, 9999):
        side = max(round(math.sqrt(_share(query) * 1024)), 1)
        assert linf[query] == side
        side = max(side, 3)
        assert l2[query] == side + (side % 2 == 0)
    assert (sides(100, "linf", rescale=True) == linf[::100]).all()
    assert (sides(300, "linf") == linf[:300]).all()


@pytest.mark.parametrize("side", [3, 4, 5, 9, 12])
def test_bumps_are_sums_of_nested_boxes(side):
    def half(rows, columns):
        total = np.zeros((rows, columns))
        for k in range(max(rows // 2, columns // 2) + 1):
            i, j = rows // 2, columns // 2
            total[max(i - k, 0) : i + k + 1, max(j - k, 0) : j + k + 1] += 1 / (k + 1) ** 2
        return total / np.linalg.norm(total)

    want = np.concatenate([half(side // 2, side), -half(side - side // 2, side)])
    np.testing.assert_allclose(bump(side), want / np.linalg.norm(want), atol=1e-12)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_accepted_moves_never_raise_the_margin_and_stay_in_the_ball(case, norm):
    def margins(images):
        logits = np.asarray(case.logits_fn(images))
        own = logits[np.arange(12), case.labels]
        return own - np.where(np.eye(5, dtype=bool)[case.labels], -np.inf, logits).max(1)

    # The draws of a query do not depend on the budget: a smaller one is the beginning of a larger.
    before = None
    for num_queries in (1, 30, 300):
        images = square(
            case.logits_fn, case.images, case.labels, KEY, epsilon=RADII[norm], norm=norm,
            num_queries=num_queries,
        )  # fmt: skip
        check_ball(case.images, images, RADII[norm], norm)
        now = margins(images)
        if before is not None:
            # Solved examples are frozen, so that they stay where they are.
            assert (now <= before + 1e-6).all()
            np.testing.assert_allclose(now[before <= 0], before[before <= 0], atol=1e-6)
        before = now
    assert (before < margins(case.images)).all()
    assert (before <= 0).any()


def test_linf_perturbations_sit_at_the_corners(case):
    found = square(case.logits_fn, 0.3 + 0.4 * case.images, case.labels, KEY, epsilon=0.05, num_queries=30)
    delta = np.abs(np.asarray(found - (0.3 + 0.4 * case.images)))
    moved = delta[delta.max(axis=(1, 2, 3)) > 0]
    np.testing.assert_allclose(moved, 0.05, atol=1e-6)


def test_no_gradient_is_needed(case, rounding, accuracy):
    labels = rounding(case.images).argmax(1)
    found = square(rounding, case.images, labels, KEY, epsilon=0.1, num_queries=300)
    assert accuracy(rounding, found, labels) < 0.5


def test_one_broken_example_spoils_no_other(case):
    def broken(images):
        first = jnp.arange(len(images)) == 0
        return jnp.where(first[:, None], jnp.nan, 1.0) * case.logits_fn(images)

    common = (case.images, case.labels, KEY)
    good = square(case.logits_fn, *common, epsilon=0.02, num_queries=30)
    bad = square(broken, *common, epsilon=0.02, num_queries=30)
    assert (bad[0] == case.images[0]).all()
    np.testing.assert_allclose(bad[1:], good[1:], atol=1e-6)


def test_each_image_by_itself_jit_and_no_second_compilation(case):
    traces = []

    def counted(images):
        traces.append(1)
        return case.logits_fn(images)

    def attack(images, labels, epsilon):
        return square(counted, images, labels, KEY, epsilon=epsilon, num_queries=40)

    whole = attack(case.images, case.labels, 0.02)
    before = len(traces)
    attack(case.images, case.labels, 0.03)
    square(counted, case.images, case.labels, KEY, epsilon=0.02, num_queries=80)
    assert len(traces) == before
    np.testing.assert_allclose(attack(case.images[:5], case.labels[:5], 0.02), whole[:5], atol=1e-6)
    np.testing.assert_allclose(jax.jit(attack)(case.images, case.labels, 0.02), whole, atol=1e-6)


def test_images_need_not_be_square():
    images = jax.random.uniform(jax.random.key(0), (2, 11, 4, 3))

    def logits_fn(x):
        return jnp.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], axis=1)

    labels = logits_fn(images).argmax(1)
    for norm, epsilon in (("linf", 0.3), ("l2", 0.5)):
        found = square(logits_fn, images, labels, KEY, epsilon=epsilon, norm=norm, num_queries=20)
        assert found.shape == images.shape
