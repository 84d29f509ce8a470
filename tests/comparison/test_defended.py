import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax import SplitLBI, smooth
from isvs_jax.comparison.defended import Attack, attacks_on, smoothed_logits, survivors
from isvs_jax.training import View

VIEW = View(1.0)
IMAGES = np.asarray(jax.random.uniform(jax.random.key(0), (6, 6, 6, 1)))


def brightness(images: jax.Array) -> jax.Array:
    """Class 1 above a mean of 0.5."""
    level = images.mean((1, 2, 3))
    return jnp.stack([0.5 - level, level - 0.5], -1)


def corner(images: jax.Array) -> jax.Array:
    """Class 1 where one pixel is bright."""
    return jnp.stack([0.5 - images[:, 0, 0, 0], images[:, 0, 0, 0] - 0.5], -1)


def test_smoothed_logits_and_their_gradients() -> None:
    solver = SplitLBI(kappa=4.0)
    flow, identity = (smoothed_logits(corner, VIEW, solver, backward) for backward in ("flow", "identity"))
    smoothed = smooth(IMAGES, 1.0, solver)
    np.testing.assert_allclose(flow(IMAGES), corner(smoothed), atol=1e-6)
    np.testing.assert_allclose(identity(IMAGES), corner(smoothed), atol=1e-6)
    through_flow, as_if_nothing = (jax.grad(lambda x, f=f: f(x)[:, 1].sum())(IMAGES) for f in (flow, identity))
    expected = jax.grad(lambda x: smooth(x, 1.0, solver)[:, 0, 0, 0].sum())(IMAGES)
    np.testing.assert_allclose(through_flow, expected, atol=1e-6)
    np.testing.assert_array_equal(as_if_nothing, jax.grad(lambda x: corner(x)[:, 1].sum())(IMAGES))


def test_survivors_of_a_linear_classifier_are_known() -> None:
    levels = np.array([0.40, 0.48, 0.52, 0.60, 0.70], np.float32)
    images = np.broadcast_to(levels[:, None, None, None], (5, 4, 4, 1)).copy()
    labels = (levels > 0.5).astype(np.int32)
    attacks = attacks_on(jax.tree_util.Partial(brightness))
    standing = np.array([True, True, True, True, False])
    after = survivors(brightness, attacks, images, labels, standing, jax.random.key(0), epsilon=0.05, num_steps=10)
    # The mean moves by epsilon: what is nearer than that to 0.5 falls; what had fallen before does not rise again.
    assert list(after) == ["own gradient"]
    assert after["own gradient"].tolist() == [True, False, False, True, False]


def test_attacks_add_up() -> None:
    labels = (IMAGES[:, 0, 0, 0] > 0.5).astype(np.int32)
    blind = Attack("blind", jax.tree_util.Partial(corner), jax.tree_util.Partial(lambda x: 0 * corner(x)))
    seeing = Attack("seeing", jax.tree_util.Partial(corner))
    after = survivors(
        corner, [blind, seeing], IMAGES, labels, np.ones(6, bool), jax.random.key(0), epsilon=0.2, num_steps=5
    )
    margin = np.abs(IMAGES[:, 0, 0, 0] - 0.5)
    np.testing.assert_array_equal(after["seeing"], margin > 0.2)
    assert (after["blind"] | ~after["seeing"]).all()
    assert after["blind"].sum() >= after["seeing"].sum()


def test_a_smoothed_classifier_is_attacked_in_three_ways() -> None:
    names = [attack.name for attack in attacks_on(jax.tree_util.Partial(corner), VIEW)]
    assert names == ["own gradient", "identity backward", "transfer from unsmoothed"]
