import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.robustness.attacks import apgd, pgd
from isvs_jax.robustness.attacks._apgd_step import Window, next_window, schedule_of

KEY = jax.random.key(4)


@pytest.fixture(scope="module")
def linear():
    """The weights of two classes, and their logits."""
    weights = jax.random.normal(jax.random.key(0), (48, 2))
    return weights, lambda images: images.reshape(len(images), -1) @ weights


def checkpoints(num_steps):
    """The windows of a run one after another: the steps at which they end, and their lengths."""
    schedule, following = schedule_of(num_steps), jax.jit(next_window)
    window, ends, lengths = Window(schedule.first, schedule.first), [], []
    while window.end <= num_steps:
        ends.append(int(window.end))
        lengths.append(int(window.length))
        window = following(window, schedule)
    return ends, lengths


@pytest.mark.parametrize("num_steps", [1, 5, 10, 37, 100, 250])
def test_checkpoints_equal_the_recursion_of_the_paper(num_steps):
    # p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j − p_{j−1} − 0.03, 0.06), in whole steps.
    window, left, ends, lengths = max(int(0.22 * num_steps), 1), 0, [], []
    for step in range(1, num_steps + 1):
        left += 1
        if left == window:
            ends.append(step)
            lengths.append(window)
            window = max(window - max(int(0.03 * num_steps), 1), max(int(0.06 * num_steps), 1))
            left = 0
    assert checkpoints(num_steps) == (ends, lengths)


def test_checkpoints_of_a_hundred_steps():
    # The published schedule: 22, 41, 57, 70, 80, 87, 93, 99.
    assert checkpoints(100)[0] == [22, 41, 57, 70, 80, 87, 93, 99]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_optimum_of_a_linear_model_is_reached(linear, norm):
    weights, logits_fn = linear
    direction = np.asarray(weights[:, 1] - weights[:, 0], np.float64)
    images = 0.3 + 0.4 * jax.random.uniform(jax.random.key(1), (6, 4, 4, 3))
    clean = np.asarray(images, np.float64).reshape(6, -1) @ direction
    dual = np.abs(direction).sum() if norm == "linf" else np.linalg.norm(direction)
    # Too little to change any decision, so that the run goes on to its end.
    labels = (clean > 0).astype(int)
    epsilon = 0.9 * np.abs(clean).min() / dual
    found = apgd(logits_fn, images, labels, KEY, epsilon=epsilon, norm=norm, loss="margin", num_steps=50)
    got = np.asarray(found, np.float64).reshape(6, -1) @ direction
    want = clean - np.sign(clean) * epsilon * dual
    np.testing.assert_allclose(got, want, atol=2e-5 * dual)


def test_the_box_is_part_of_the_optimum(linear):
    weights, logits_fn = linear
    direction = np.asarray(weights[:, 1] - weights[:, 0], np.float64)
    images = jax.random.uniform(jax.random.key(1), (6, 4, 4, 3))
    x = np.asarray(images, np.float64).reshape(6, -1)
    labels = (x @ direction > 0).astype(int)
    sign = np.where(labels == 1, -1, 1)[:, None]
    want = (np.clip(x + 0.3 * sign * np.sign(direction), 0, 1) @ direction) * sign[:, 0]
    # Biased so much that nothing ever fools it.
    found = apgd(
        lambda v: logits_fn(v) + 1e3 * jax.nn.one_hot(jnp.asarray(labels), 2),
        images, labels, KEY, epsilon=0.3, loss="margin", num_steps=50,
    )  # fmt: skip
    got = (np.asarray(found, np.float64).reshape(6, -1) @ direction) * sign[:, 0]
    np.testing.assert_allclose(got, want, atol=1e-4)


@pytest.mark.parametrize(("norm", "loss"), [("linf", "cross_entropy"), ("linf", "targeted_dlr"), ("l2", "dlr")])
def test_it_is_no_weaker_than_pgd_of_as_many_steps(case, accuracy, norm, loss):
    epsilon = {"linf": 0.02, "l2": 0.15}[norm]
    options = {"epsilon": epsilon, "norm": norm, "num_steps": 30}
    common = (case.images, case.labels, KEY)
    plain = accuracy(case.logits_fn, pgd(case.logits_fn, *common, **options), case.labels)
    auto = apgd(case.logits_fn, *common, **options, loss=loss)
    # One image of twelve may fall to another loss.
    assert accuracy(case.logits_fn, auto, case.labels) <= plain + 1 / 12 + 1e-6
    assert 0.0 < plain < 1.0


def test_targets_are_tried_one_after_another():
    # Class 1 leads the rest but cannot be raised; class 2 can.
    def logits_fn(images):
        mean = images.mean((1, 2, 3))
        fixed = jnp.zeros_like(mean)
        return jnp.stack([fixed + 0.95, fixed + 0.9, mean, fixed, fixed - 1], axis=1)

    images, labels = jnp.full((2, 3, 3, 1), 0.85), jnp.array([0, 0])
    one = apgd(logits_fn, images, labels, KEY, epsilon=0.2, loss="targeted_dlr", num_targets=1, num_steps=10)
    two = apgd(logits_fn, images, labels, KEY, epsilon=0.2, loss="targeted_dlr", num_targets=2, num_steps=10)
    assert (logits_fn(one).argmax(1) == 0).all()
    assert (logits_fn(two).argmax(1) == 2).all()


def test_misclassified_images_come_back_unchanged(case):
    labels = case.labels.at[:3].add(1) % 5
    found = apgd(case.logits_fn, case.images, labels, KEY, epsilon=0.05, num_steps=30)
    assert (found[:3] == case.images[:3]).all()
    assert (found[3:] != case.images[3:]).any(axis=(1, 2, 3)).all()


def test_each_image_by_itself_jit_vmap_and_no_second_compilation(case):
    traces = []

    def counted(images):
        traces.append(1)
        return case.logits_fn(images)

    def attack(images, labels, epsilon):
        return apgd(counted, images, labels, KEY, epsilon=epsilon, num_steps=12)

    whole = attack(case.images, case.labels, 0.02)
    before = len(traces)
    other = attack(case.images, case.labels, 0.03)
    apgd(counted, case.images, case.labels, KEY, epsilon=0.02, num_steps=24)
    assert len(traces) == before
    # Matrix products of other shapes round differently; the sign turns that into whole steps only
    # where a gradient is nearly zero.
    np.testing.assert_allclose(attack(case.images[:5], case.labels[:5], 0.02), whole[:5], atol=1e-6)
    # The compiled loop and the steps called from the host.
    radii = jnp.array([0.02, 0.03])
    both = jax.jit(jax.vmap(attack, in_axes=(None, None, 0)))(case.images, case.labels, radii)
    np.testing.assert_allclose(both, jnp.stack([whole, other]), atol=1e-6)


def test_one_broken_example_spoils_no_other(case):
    def broken(images):
        # The first image gives infinities, but only once it has been moved.
        moved = jnp.abs(images[:, 0, 0, 0] - case.images[0, 0, 0, 0]) > 1e-6
        bad = (jnp.arange(len(images)) == 0) & moved
        return jnp.where(bad[:, None], jnp.inf, 1.0) * case.logits_fn(images)

    common = (case.images, case.labels, KEY)
    good = apgd(case.logits_fn, *common, epsilon=0.02, num_steps=30)
    bad = apgd(broken, *common, epsilon=0.02, num_steps=30)
    assert jnp.isfinite(bad).all()
    assert not jnp.isfinite(broken(bad)[0]).any()
    np.testing.assert_allclose(bad[1:], good[1:], atol=1e-6)


def test_a_surrogate_gives_the_gradient(case, rounding, accuracy):
    labels = rounding(case.images).argmax(1)
    common = (rounding, case.images, labels, KEY)
    blind = apgd(*common, epsilon=0.1, num_steps=20)
    seeing = apgd(*common, epsilon=0.1, num_steps=20, gradient_fn=case.logits_fn)
    assert accuracy(rounding, seeing, labels) < accuracy(rounding, blind, labels)
