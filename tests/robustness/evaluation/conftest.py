"""A linear network on tiny images, and a small evaluation of it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.robustness.evaluation import Attacks, Corruptions, HardStopChecks, Report, Resources, evaluate
from isvs_jax.robustness.resolution import Resolution

CORRUPTIONS = Corruptions(("gaussian_noise", "contrast"), (1, 5))
ATTACKS = Attacks(("apgd-ce",), epsilons=(0.5 / 255, 2 / 255), num_steps=3)
CHECKS = HardStopChecks(curve=(2 / 255, 0.5), num_steps=3)


def _linear(weights: jax.Array, images: jax.Array) -> jax.Array:
    return (images.reshape(len(images), -1) - 0.5) @ weights


class Problem:
    """A network, images and labels of which two are wrong."""

    def __init__(self, seed: int = 0, count: int = 21) -> None:
        rng = np.random.default_rng(seed)
        self.weights = jnp.asarray(rng.normal(0, 1, (8 * 8 * 3, 5)), jnp.float32)
        self.logits_fn = jax.tree_util.Partial(_linear, self.weights)
        self.images = rng.random((count, 8, 8, 3), np.float32)
        self.labels = np.array(self.logits_fn(self.images).argmax(1), np.int32)
        self.labels[[2, 5]] = (self.labels[[2, 5]] + 1) % 5

    def evaluate(self, **changes: Any) -> Report:
        """Two corruptions, two radii, one resolution; further arguments of `evaluate`."""
        arguments: dict[str, Any] = {
            "name": "linear",
            "corruptions": CORRUPTIONS,
            "resolutions": (Resolution(2),),
            "attacks": ATTACKS,
            "checks": CHECKS,
            "parameters": self.weights,
            "resources": Resources(8, jax.devices()[:1]),
            "progress": False,
        }
        return evaluate(self.logits_fn, self.images, self.labels, jax.random.key(0), **arguments | changes)


@pytest.fixture(scope="session")
def problem() -> Problem:
    return Problem()


@pytest.fixture(scope="session")
def report(problem: Problem) -> Report:
    return problem.evaluate()


@pytest.fixture(scope="session")
def other_problem() -> Callable[[int], Problem]:
    return Problem
