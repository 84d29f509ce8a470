"""What training minimises: cross-entropy, consistency of versions or of noise, AugMix, adversarial training, TRADES."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax

from isvs_jax import SplitLBI
from isvs_jax._checks import check_choice, check_integer, check_number
from isvs_jax.augment._augmix import AugMixConfig, augmix
from isvs_jax.training.inner_maximisation import Ascent, kullback_leibler, pgd_images, trades_images
from isvs_jax.training.noisy_draws import NoisyDraws, agreement, energy_weights, show_noisy

Name = Literal["cross_entropy", "consistency", "augmix", "gaussian", "gaussian_consistency", "adversarial", "trades"]
Weighting = Literal["even", "energy", "energy_normalised"]
# The weights in the papers; the other objectives have no second term.
_WEIGHTS: dict[str, float] = {"consistency": 12.0, "augmix": 12.0, "gaussian_consistency": 10.0, "trades": 6.0}
# The mixture of a Jensen-Shannon divergence is kept away from 0, as AugMix does.
_LEAST_PROBABILITY = 1e-7

Apply = Callable[[Any, Any, jax.Array, bool], tuple[jax.Array, Any]]
LossFn = Callable[..., tuple[jax.Array, tuple[jax.Array, Any]]]


@dataclass(frozen=True)
class Objective:
    """The loss that training minimises.

    - "cross_entropy": over all versions that an example is shown in.
    - "consistency": cross-entropy on the first version + weight × Jensen-Shannon divergence of all, two or more.
    - "augmix": cross-entropy on the image + weight × Jensen-Shannon divergence of it and two AugMix versions of it.
    - "gaussian": cross-entropy over draws of Gaussian noise of a fixed deviation, not clipped, for certificates.
    - "gaussian_consistency": the same + weight × KL of the draws from their mean + the entropy of that mean.
    - "adversarial": cross-entropy on the image that PGD found in the L∞ ball of radius epsilon, from a random start.
    - "trades": cross-entropy on the image + weight × KL(p(image) ‖ p(attacked image)), the attack raising that KL.

    Attributes:
        name: One of the seven names.
        weight: The weight of the second term, ≥ 0; None takes that of its paper, 12 for Jensen-Shannon, 10 for
            "gaussian_consistency" and 6 for TRADES. An objective without a second term has none.
        epsilon: The radius of the ball, in [0, 1].
        attack_steps: The number of steps of the attack, at least 1.
        attack_step_size: The size of these steps, > 0; None takes 2.5·epsilon/attack_steps.
        augmix: The parameters of AugMix, for the objective of that name.
        noise: The noise of the Gaussian objectives; its view comes after the noise.
        weighting: For "trades", how examples weigh in both terms: "even", by "energy" (`energy_weights`), which also
            shrinks the step, or by "energy_normalised", the control that leaves the step alone; its mean is over what
            is seen at once: a device's share of the batch, or a part of it where gradients are accumulated.

    Raises:
        TypeError: A number is none, or `attack_steps` is not an integer.
        ValueError: A number is out of range, or the name is unknown.

    References:
        Cohen, Rosenfeld, Kolter, "Certified adversarial robustness via randomized smoothing", ICML 2019.
        Hendrycks et al., "AugMix", ICLR 2020.
        Jeong, Shin, "Consistency regularization for certified robustness of smoothed classifiers", NeurIPS 2020.
        Madry, Makelov, Schmidt, Tsipras, Vladu, "Towards deep learning models resistant to adversarial attacks",
        ICLR 2018.
        Zhang, Yu, Jiao, Xing, El Ghaoui, Jordan, "Theoretically principled trade-off between robustness and accuracy",
        ICML 2019.
    """

    name: Name = "cross_entropy"
    weight: float | None = None
    epsilon: float = 8 / 255
    attack_steps: int = 7
    attack_step_size: float | None = None
    augmix: AugMixConfig = field(default_factory=AugMixConfig)
    noise: NoisyDraws = field(default_factory=NoisyDraws)
    weighting: Weighting = "even"

    def __post_init__(self) -> None:
        check_choice("name", self.name, get_args(Name))
        if self.weight is not None:
            check_number("weight", self.weight, "[0, inf)")
            if self.name not in _WEIGHTS:
                raise ValueError(f"weight must be None for {self.name!r}, which has no second term; got {self.weight}.")
        check_choice("weighting", self.weighting, get_args(Weighting))
        if self.weighting != "even" and self.name != "trades":
            raise ValueError(
                f"weighting must be 'even' for {self.name!r}, as only 'trades' has others; got {self.weighting!r}."
            )
        check_number("epsilon", self.epsilon, "[0, 1]")
        check_integer("attack_steps", self.attack_steps)
        if self.attack_step_size is not None:
            check_number("attack_step_size", self.attack_step_size, "(0, inf)")

    @property
    def second_weight(self) -> float:
        """The weight of the second term, 0 where there is none."""
        return _WEIGHTS.get(self.name, 0.0) if self.weight is None else self.weight

    @property
    def ascent(self) -> Ascent:
        """The attack inside the objective."""
        usual = 2.5 * self.epsilon / self.attack_steps
        return Ascent(
            self.epsilon, self.attack_steps, usual if self.attack_step_size is None else self.attack_step_size
        )


def make_loss(objective: Objective, *, label_smoothing: float = 0.0, solver: SplitLBI = SplitLBI()) -> LossFn:
    """The loss of an objective.

    Args:
        objective: The choice of what to minimise (static).
        label_smoothing: The share of every target that is spread evenly over the classes, in [0, 1). The cross-entropy
            that PGD raises has none.
        solver: The flow of the views that AugMix may show.

    Returns:
        A pure function loss(apply, params, batch_stats, images, labels, keys) → (loss, (logits, batch_stats)). The
        network is apply(params, batch_stats, images [N, H, W, C], train) → (logits [N, classes], batch_stats). The
        images are float [B, K, H, W, C], the K versions of each example; the labels are int32 [B]; there is a PRNG key
        for each example [B]. The loss is a mean over the B examples. The logits [B, classes] are those of the first
        version as the network was trained on it, for "adversarial" of the attacked image. The function raises a
        ValueError where K or B does not fit.

    Raises:
        ValueError: `label_smoothing` is not in [0, 1).

    Example:
        >>> def apply(params, batch_stats, images, train):
        ...     return images.reshape(len(images), -1) @ params, batch_stats
        >>> loss = make_loss(Objective("trades", epsilon=0.1))
        >>> images, labels = jnp.full((2, 1, 4, 4, 1), 0.5), jnp.array([0, 1])
        >>> keys = jax.random.split(jax.random.key(0), 2)
        >>> value, (logits, _) = loss(apply, jnp.zeros((16, 3)), {}, images, labels, keys)
        >>> value.round(3).item() == jnp.log(3.0).round(3).item(), logits.shape
        (True, (2, 3))
    """
    check_number("label_smoothing", label_smoothing, "[0, 1)")
    terms: dict[str, Callable[..., Loss]] = {
        "cross_entropy": _all_versions,
        "consistency": _consistency,
        "augmix": partial(_augmix, solver),
        "gaussian": _gaussian,
        "gaussian_consistency": _gaussian,
        "adversarial": _adversarial,
        "trades": _trades,
    }

    def loss_fn(
        apply: Apply, params: Any, batch_stats: Any, images: jax.Array, labels: jax.Array, keys: jax.Array
    ) -> tuple[jax.Array, tuple[jax.Array, Any]]:
        _check_batch(objective.name, images, labels, keys)

        def cross_entropy(logits: jax.Array, labels: jax.Array, weights: jax.Array | float = 1.0) -> jax.Array:
            targets = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), label_smoothing)
            return (weights * optax.softmax_cross_entropy(logits, targets)).mean()

        network = _Network(apply, params, batch_stats)
        return terms[objective.name](objective, cross_entropy, network, _Examples(images, labels, keys))

    return loss_fn


@dataclass(frozen=True)
class _Network:
    """A network in training mode with its parameters and batch statistics."""

    apply: Apply
    params: Any
    batch_stats: Any

    def __call__(self, images: jax.Array) -> tuple[jax.Array, Any]:
        """Logits [N, classes] of images [N, H, W, C], and the batch statistics after them."""
        return self.apply(self.params, self.batch_stats, images, True)

    def frozen(self, images: jax.Array) -> jax.Array:
        """Logits alone: the batch statistics of an attack are thrown away, and its gradient is that of the images."""
        params, batch_stats = jax.lax.stop_gradient((self.params, self.batch_stats))
        return self.apply(params, batch_stats, images, True)[0]

    def versions(self, images: jax.Array) -> tuple[jax.Array, Any]:
        """Logits [B, K, classes] of images [B, K, H, W, C], all in one batch."""
        logits, batch_stats = self(images.reshape(-1, *images.shape[2:]))
        return logits.reshape(*images.shape[:2], -1), batch_stats


class _Examples(NamedTuple):
    """Images [B, K, H, W, C], labels [B] and keys [B]."""

    images: jax.Array
    labels: jax.Array
    keys: jax.Array


CrossEntropy = Callable[..., jax.Array]
Loss = tuple[jax.Array, tuple[jax.Array, Any]]


def _all_versions(objective: Objective, cross_entropy: CrossEntropy, network: _Network, examples: _Examples) -> Loss:
    logits, batch_stats = network.versions(examples.images)
    labels = jnp.broadcast_to(examples.labels[:, None], logits.shape[:2])
    return cross_entropy(logits, labels), (logits[:, 0], batch_stats)


def _consistency(objective: Objective, cross_entropy: CrossEntropy, network: _Network, examples: _Examples) -> Loss:
    logits, batch_stats = network.versions(examples.images)
    divergence = jensen_shannon(logits).mean()
    loss = cross_entropy(logits[:, 0], examples.labels) + objective.second_weight * divergence
    return loss, (logits[:, 0], batch_stats)


def _augmix(
    solver: SplitLBI, objective: Objective, cross_entropy: CrossEntropy, network: _Network, examples: _Examples
) -> Loss:
    image = examples.images[:, 0]
    both_keys = jnp.concatenate([jax.vmap(jax.random.fold_in, (0, None))(examples.keys, k) for k in (0, 1)])
    # Both versions of all images at once: AugMix takes long to compile.
    mixed = augmix(both_keys, jnp.concatenate([image, image]), objective.augmix, solver=solver)
    versions = jnp.stack([image, *mixed.reshape(2, *image.shape)], axis=1)
    return _consistency(objective, cross_entropy, network, examples._replace(images=versions))


def _gaussian(objective: Objective, cross_entropy: CrossEntropy, network: _Network, examples: _Examples) -> Loss:
    logits, batch_stats = network.versions(show_noisy(examples.keys, examples.images[:, 0], objective.noise))
    loss = cross_entropy(logits, jnp.broadcast_to(examples.labels[:, None], logits.shape[:2]))
    if objective.name == "gaussian_consistency":
        loss += agreement(logits, objective.second_weight, objective.noise.entropy_weight).mean()
    return loss, (logits[:, 0], batch_stats)


def _adversarial(objective: Objective, cross_entropy: CrossEntropy, network: _Network, examples: _Examples) -> Loss:
    images, labels, keys = examples
    attacked = pgd_images(network.frozen, images[:, 0], labels, keys, objective.ascent)
    logits, batch_stats = network(attacked)
    return cross_entropy(logits, labels), (logits, batch_stats)


def _trades(objective: Objective, cross_entropy: CrossEntropy, network: _Network, examples: _Examples) -> Loss:
    images, labels, keys = examples
    attacked = trades_images(network.frozen, images[:, 0], keys, objective.ascent)
    # Two batches, as in the paper's code: the statistics of clean and attacked images are not mixed.
    clean, batch_stats = network(images[:, 0])
    shifted, batch_stats = _Network(network.apply, network.params, batch_stats)(attacked)
    weights: jax.Array | float = 1.0
    if objective.weighting != "even":
        weights = energy_weights(clean, normalised=objective.weighting == "energy_normalised")
    divergence = (weights * kullback_leibler(clean, shifted)).mean()
    loss = cross_entropy(clean, labels, weights) + objective.second_weight * divergence
    return loss, (clean, batch_stats)


def jensen_shannon(logits: jax.Array) -> jax.Array:
    """The mean over K distributions of their divergence from the mixture of all, (1/K) Σₖ KL(pₖ ‖ (1/K) Σⱼ pⱼ).

    The mixture is cut off at 1e-7 and 1 before its logarithm is taken, as AugMix does.

    Args:
        logits: float [B, K, classes].

    Returns:
        [B], in [0, log K] up to rounding.

    Example:
        >>> jensen_shannon(jnp.array([[[100.0, 0.0], [0.0, 100.0]]])).round(4) == jnp.log(2.0).round(4)
        Array([ True], dtype=bool)

    References:
        Hendrycks et al., "AugMix: a simple data processing method to improve robustness and uncertainty", ICLR 2020.
    """
    log_p = jax.nn.log_softmax(logits)
    mixture = jnp.exp(log_p).mean(axis=1, keepdims=True)
    log_mixture = jnp.log(jnp.clip(mixture, _LEAST_PROBABILITY, 1))
    return optax.losses.kl_divergence_with_log_targets(log_mixture, log_p).mean(axis=1)


def _check_batch(name: str, images: jax.Array, labels: jax.Array, keys: jax.Array) -> None:
    if images.ndim != 5:
        raise ValueError(f"images must be [B, K, H, W, C]; got shape {images.shape}.")
    batch, versions = images.shape[:2]
    for what, shape in (("labels", labels.shape), ("keys", keys.shape)):
        if shape != (batch,):
            raise ValueError(f"{what} must have shape {(batch,)}, one for each example; got shape {shape}.")
    if name == "consistency" and versions < 2:
        raise ValueError("K must be 2 or more for the objective 'consistency', which compares versions; got 1.")
    if name not in ("cross_entropy", "consistency") and versions != 1:
        raise ValueError(f"K must be 1 for the objective {name!r}, which takes one version; got {versions}.")
