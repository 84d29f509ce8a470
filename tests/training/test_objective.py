"""The objectives against the formulas of their papers in NumPy, for a network that is linear in its parameters."""

import importlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp, softmax

from isvs_jax.training import AugMixConfig
from isvs_jax.training.inner_maximisation import Ascent, kullback_leibler, pgd_images, trades_images
from isvs_jax.training.noisy_draws import NoisyDraws
from isvs_jax.training.objective import Objective, jensen_shannon, make_loss

B, K, CLASSES = 6, 3, 4
SHAPE = (4, 4, 1)
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(size=(B, K, *SHAPE)).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, B).astype(np.int32)
KEYS = jax.random.split(jax.random.key(0), B)
PARAMS = RNG.normal(size=(16, CLASSES)).astype(np.float32)
NAMES = ("cross_entropy", "consistency", "augmix", "gaussian_consistency", "adversarial", "trades")
SMOOTHING = 0.1


def apply(params: Any, seen: Any, images: jax.Array, train: bool) -> tuple[jax.Array, Any]:
    """A linear network whose batch statistics count the batches and their images."""
    assert train
    seen = {"batches": seen["batches"] + 1, "images": seen["images"] + len(images)}
    return images.reshape(len(images), -1) @ params, seen


SEEN = {"batches": jnp.zeros(()), "images": jnp.zeros(())}


def logits_of(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float64) @ PARAMS.astype(np.float64)


def cross_entropy(logits: np.ndarray, labels: np.ndarray, smoothing: float = SMOOTHING) -> float:
    targets = (1 - smoothing) * np.eye(CLASSES)[labels] + smoothing / CLASSES
    return float(-(targets * log_softmax(logits, axis=-1)).sum(-1).mean())


def kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return (p * (np.log(p) - np.log(q))).sum(-1)


def js(logits: np.ndarray) -> float:
    p = softmax(logits, axis=-1)
    mixture = np.clip(p.mean(1, keepdims=True), 1e-7, 1)
    return float(kl(p, mixture).mean())


def versions_for(name: str) -> np.ndarray:
    return IMAGES if name in ("cross_entropy", "consistency") else IMAGES[:, :1]


def loss_of(objective: Objective, params: Any = PARAMS, smoothing: float = SMOOTHING) -> Any:
    loss = make_loss(objective, label_smoothing=smoothing)
    images = versions_for(objective.name)
    return jax.jit(lambda params: loss(apply, params, SEEN, images, LABELS, KEYS))(params)


def ascent_in_numpy(start: np.ndarray, images: np.ndarray, slope: Any, ascent: Ascent) -> np.ndarray:
    attacked = start
    for _ in range(ascent.steps):
        attacked = attacked + ascent.step_size * np.sign(slope(attacked))
        attacked = np.clip(attacked, images - ascent.epsilon, images + ascent.epsilon)
        attacked = np.clip(attacked, 0, 1)
    return attacked


def pgd_in_numpy(images: np.ndarray, ascent: Ascent) -> np.ndarray:
    """Madry et al.; only the random start is taken from the keys."""
    noise = np.stack([jax.random.uniform(key, SHAPE, minval=-1, maxval=1) for key in KEYS])

    def slope(attacked: np.ndarray) -> np.ndarray:
        error = softmax(logits_of(attacked), axis=-1) - np.eye(CLASSES)[LABELS]
        return (error @ PARAMS.T.astype(np.float64)).reshape(images.shape)

    return ascent_in_numpy(np.clip(images + ascent.epsilon * noise, 0, 1), images, slope, ascent)


def trades_in_numpy(images: np.ndarray, ascent: Ascent) -> np.ndarray:
    """Zhang et al.; only the normal noise of the start is taken from the keys."""
    noise = np.stack([jax.random.normal(key, SHAPE) for key in KEYS])
    clean = softmax(logits_of(images), axis=-1)

    def slope(attacked: np.ndarray) -> np.ndarray:
        error = softmax(logits_of(attacked), axis=-1) - clean
        return (error @ PARAMS.T.astype(np.float64)).reshape(images.shape)

    return ascent_in_numpy(images + 0.001 * noise, images, slope, ascent)


def test_divergences_are_those_of_numpy() -> None:
    logits = 3 * RNG.normal(size=(5, 4, 7)).astype(np.float32)
    p = softmax(logits.astype(np.float64), axis=-1)
    np.testing.assert_allclose(kullback_leibler(logits[:, 0], logits[:, 1]), kl(p[:, 0], p[:, 1]), rtol=1e-4)
    np.testing.assert_allclose(jensen_shannon(logits).mean(), js(logits.astype(np.float64)), rtol=1e-5)
    np.testing.assert_allclose(kullback_leibler(logits, logits), 0, atol=1e-6)
    np.testing.assert_allclose(jensen_shannon(logits[:, :1].repeat(3, 1)), 0, atol=1e-6)


def test_divergences_of_certain_networks_are_finite() -> None:
    certain = jnp.array([[[500.0, 0, 0], [0, 500.0, 0]]])
    value, slopes = jax.jit(jax.value_and_grad(lambda logits: jensen_shannon(logits).sum()))(certain)
    assert float(value) == pytest.approx(np.log(2), rel=1e-6)
    assert bool(jnp.isfinite(slopes).all())
    slopes = jax.jit(jax.grad(lambda logits: kullback_leibler(logits[:, 0], logits[:, 1]).sum()))(certain)
    assert bool(jnp.isfinite(slopes).all())


def test_cross_entropy_is_the_mean_over_all_versions() -> None:
    loss, (logits, seen) = loss_of(Objective())
    flat = logits_of(IMAGES.reshape(-1, *SHAPE))
    assert float(loss) == pytest.approx(cross_entropy(flat, LABELS.repeat(K)), rel=1e-5)
    np.testing.assert_allclose(logits, logits_of(IMAGES[:, 0]), rtol=1e-4, atol=1e-5)
    assert seen == {"batches": 1, "images": B * K}


def test_consistency_is_cross_entropy_and_jensen_shannon() -> None:
    loss, (logits, seen) = loss_of(Objective("consistency", weight=5.0))
    all_logits = logits_of(IMAGES.reshape(-1, *SHAPE)).reshape(B, K, CLASSES)
    expected = cross_entropy(all_logits[:, 0], LABELS) + 5 * js(all_logits)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(logits, all_logits[:, 0], rtol=1e-4, atol=1e-5)
    assert seen == {"batches": 1, "images": B * K}


@pytest.fixture
def simple_augmix(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mixture with noise in the place of AugMix, which takes long to compile and has tests of its own."""
    module = importlib.import_module("isvs_jax.training.objective")
    monkeypatch.setattr(module, "augmix", lambda keys, images, config, *, solver: config.alpha * noisy(keys, images))


def noisy(keys: jax.Array, images: jax.Array) -> jax.Array:
    return images / 2 + jax.vmap(lambda key: jax.random.uniform(key, SHAPE, images.dtype, maxval=0.5))(keys)


@pytest.mark.usefixtures("simple_augmix")
def test_augmix_compares_the_image_with_two_mixtures_of_it() -> None:
    loss, (logits, seen) = loss_of(Objective("augmix", augmix=AugMixConfig(alpha=0.5)))
    image = IMAGES[:, 0]
    keys = [jnp.stack([jax.random.fold_in(key, k) for key in KEYS]) for k in (0, 1)]
    mixed = [0.5 * np.asarray(noisy(for_each, image)) for for_each in keys]
    assert np.abs(mixed[0] - mixed[1]).max() > 0.01
    all_logits = np.stack([logits_of(version) for version in (image, *mixed)], axis=1)
    expected = cross_entropy(all_logits[:, 0], LABELS) + 12 * js(all_logits)
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(logits, all_logits[:, 0], rtol=1e-4, atol=1e-5)
    assert seen == {"batches": 1, "images": 3 * B}


def test_adversarial_training_is_that_of_numpy() -> None:
    objective = Objective("adversarial", epsilon=0.1, attack_steps=4)
    loss, (logits, seen) = loss_of(objective)
    attacked = pgd_in_numpy(IMAGES[:, 0].astype(np.float64), Ascent(0.1, 4, 2.5 * 0.1 / 4))
    assert float(loss) == pytest.approx(cross_entropy(logits_of(attacked), LABELS), rel=1e-5)
    np.testing.assert_allclose(logits, logits_of(attacked), rtol=1e-4, atol=1e-5)
    # The looks of the attack leave no batch statistics.
    assert seen == {"batches": 1, "images": B}
    assert float(loss) > cross_entropy(logits_of(IMAGES[:, 0]), LABELS) + 0.1


def test_trades_is_that_of_numpy() -> None:
    objective = Objective("trades", epsilon=0.1, attack_steps=4, attack_step_size=0.03)
    loss, (logits, seen) = loss_of(objective)
    image = IMAGES[:, 0].astype(np.float64)
    attacked = trades_in_numpy(image, Ascent(0.1, 4, 0.03))
    clean, shifted = logits_of(image), logits_of(attacked)
    divergence = kl(softmax(clean, axis=-1), softmax(shifted, axis=-1)).mean()
    assert divergence > 0.05
    assert float(loss) == pytest.approx(cross_entropy(clean, LABELS) + 6 * divergence, rel=1e-4)
    np.testing.assert_allclose(logits, clean, rtol=1e-4, atol=1e-5)
    assert seen == {"batches": 2, "images": 2 * B}


@pytest.mark.parametrize(("weighting", "normalised"), [("energy", False), ("energy_normalised", True)])
def test_trades_weighs_both_terms_by_energy(weighting: Any, normalised: bool) -> None:
    objective = Objective("trades", epsilon=0.1, attack_steps=4, attack_step_size=0.03, weighting=weighting)
    image = IMAGES[:, 0].astype(np.float64)
    clean, shifted = logits_of(image), logits_of(trades_in_numpy(image, Ascent(0.1, 4, 0.03)))
    weights = 1 / np.log1p(np.exp(np.abs(logsumexp(clean, axis=-1))))
    if normalised:
        weights /= weights.mean()
    targets = (1 - SMOOTHING) * np.eye(CLASSES)[LABELS] + SMOOTHING / CLASSES
    both = -(targets * log_softmax(clean, axis=-1)).sum(-1) + 6 * kl(softmax(clean, axis=-1), softmax(shifted, axis=-1))
    assert float(loss_of(objective)[0]) == pytest.approx((weights * both).mean(), rel=1e-4)


def test_gaussian_objectives_are_those_of_numpy() -> None:
    noise = NoisyDraws(sigma=0.3, draws=3, entropy_weight=0.5)
    drawn = np.stack([0.3 * np.asarray(jax.random.normal(key, (3, *SHAPE))) for key in KEYS])
    noisy_images = IMAGES[:, :1] + drawn
    assert noisy_images.min() < 0
    all_logits = logits_of(noisy_images.reshape(-1, *SHAPE)).reshape(B, 3, CLASSES)
    crossed = cross_entropy(all_logits.reshape(-1, CLASSES), LABELS.repeat(3))
    p = softmax(all_logits, axis=-1)
    mean = p.mean(axis=1)
    agreed = 10 * kl(mean[:, None], p).mean() - 0.5 * (mean * np.log(mean)).sum(-1).mean()
    for name, expected in (("gaussian", crossed), ("gaussian_consistency", crossed + agreed)):
        loss, (logits, seen) = loss_of(Objective(name, noise=noise))
        assert float(loss) == pytest.approx(expected, rel=1e-4)
        np.testing.assert_allclose(logits, all_logits[:, 0], rtol=1e-4, atol=1e-5)
        assert seen == {"batches": 1, "images": 3 * B}


def linear_logits(images: jax.Array) -> jax.Array:
    return images.reshape(len(images), -1) @ PARAMS


@jax.jit
def both_attacks(images: jax.Array, epsilon: jax.Array) -> tuple[jax.Array, jax.Array]:
    ascent = Ascent(epsilon, 5, 2.5 * epsilon / 5)
    pgd = pgd_images(linear_logits, images, LABELS, KEYS, ascent)
    return pgd, trades_images(linear_logits, images, KEYS, ascent)


@pytest.mark.parametrize("epsilon", [0.0, 0.03, 0.5, 1.0])
def test_attacks_stay_in_the_ball_and_raise_what_they_are_to_raise(epsilon: float) -> None:
    # Black, white and grey pixels: the ball and [0, 1] both cut.
    images = np.round(IMAGES[:, 0] * 2) / 2
    pgd, trades = (np.asarray(attacked) for attacked in both_attacks(images, epsilon))
    for attacked in (pgd, trades):
        assert np.abs(attacked - images).max() <= epsilon + 1e-7
        assert attacked.min() >= 0
        assert attacked.max() <= 1
    if epsilon:
        p, q = (softmax(logits_of(x), axis=-1) for x in (images, trades))
        assert (kl(p, q) > 0).all()
        before, after = (log_softmax(logits_of(x), axis=-1)[np.arange(B), LABELS] for x in (images, pgd))
        assert (after < before).all()


@pytest.mark.usefixtures("simple_augmix")
@pytest.mark.parametrize("name", ["consistency", "augmix", "trades"])
def test_without_weight_it_is_cross_entropy(name: str) -> None:
    loss, _ = loss_of(Objective(name, weight=0.0))
    assert float(loss) == pytest.approx(cross_entropy(logits_of(IMAGES[:, 0]), LABELS), rel=1e-5)


def test_in_a_ball_of_no_size_it_is_cross_entropy() -> None:
    expected = cross_entropy(logits_of(IMAGES[:, 0]), LABELS)
    for name in ("adversarial", "trades"):
        assert float(loss_of(Objective(name, epsilon=0.0))[0]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("x64", "simple_augmix")
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    """The attacks of a linear network end in corners of the ball, which a small change of it does not move."""
    loss = make_loss(Objective(name, epsilon=0.05), label_smoothing=SMOOTHING)
    images = versions_for(name).astype(np.float64)
    direction = RNG.normal(size=PARAMS.shape)

    @jax.jit
    @jax.value_and_grad
    def along(size: jax.Array) -> jax.Array:
        return loss(apply, PARAMS + size * direction, SEEN, images, LABELS, KEYS)[0]

    difference = (along(1e-5)[0] - along(-1e-5)[0]) / 2e-5
    assert float(along(0.0)[1]) == pytest.approx(float(difference), rel=1e-5)


def test_the_gradient_does_not_pass_through_the_attack() -> None:
    """d loss/d params with the attacked image held fixed: what the papers train with."""
    objective = Objective("adversarial", epsilon=0.3, attack_steps=1, attack_step_size=0.05)
    loss = make_loss(objective)

    def smooth_apply(params: jax.Array, seen: Any, images: jax.Array, train: bool) -> tuple[jax.Array, Any]:
        return jnp.tanh(images.reshape(len(images), -1)) @ params, seen

    images = jnp.asarray(IMAGES[:, :1])
    ours = jax.jit(jax.grad(lambda params: loss(smooth_apply, params, {}, images, LABELS, KEYS)[0]))(PARAMS)
    attacked = pgd_images(lambda x: smooth_apply(PARAMS, {}, x, True)[0], images[:, 0], LABELS, KEYS, objective.ascent)
    fixed = make_loss(Objective())
    expected = jax.grad(lambda params: fixed(smooth_apply, params, {}, attacked[:, None], LABELS, KEYS)[0])(PARAMS)
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_the_mean_over_equal_shards_is_the_loss_of_the_batch() -> None:
    loss = make_loss(Objective("trades", epsilon=0.1), label_smoothing=SMOOTHING)
    images = IMAGES[:, :1]
    traced = []

    @jax.jit
    def part(images: jax.Array, labels: jax.Array, keys: jax.Array) -> jax.Array:
        traced.append(1)
        return loss(apply, PARAMS, SEEN, images, labels, keys)[0]

    halves = [part(images[i : i + 3], LABELS[i : i + 3], KEYS[i : i + 3]) for i in (0, 3)]
    assert float(sum(halves) / 2) == pytest.approx(float(loss_of(Objective("trades", epsilon=0.1))[0]), rel=1e-5)
    # Other values of the same shapes compile nothing.
    assert len(traced) == 1


def test_the_weights_of_the_papers_are_the_defaults() -> None:
    assert [Objective(name).second_weight for name in NAMES] == [0, 12, 12, 10, 0, 6]
    assert Objective("trades", weight=2.0).second_weight == 2
    assert Objective("trades").ascent == pytest.approx((8 / 255, 7, 2.5 * 8 / 255 / 7))
