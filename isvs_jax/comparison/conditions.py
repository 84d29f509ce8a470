"""The conditions under which classifiers are tested, and the test images under each."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.comparison.settings import Settings
from isvs_jax.robustness import corrupt
from isvs_jax.robustness.resolution import low_resolution

Kind = Literal["clean", "corruption", "low_resolution", "pgd"]
_BATCH = 500


@dataclass(frozen=True)
class Condition:
    """One test.

    Attributes:
        kind: What sort it is.
        name: "clean", the name of a corruption, "low_resolution" or "pgd_linf".
        level: Severity, factor, or radius in units of 1/255; 0 for clean.
    """

    kind: Kind
    name: str
    level: float = 0.0

    def __str__(self) -> str:
        return self.name if self.kind == "clean" else f"{self.name}/{self.level:g}"


def conditions(settings: Settings) -> list[Condition]:
    """All tests of a comparison, in the order of the table.

    Example:
        >>> [str(c) for c in conditions(Settings(corruptions=("fog",), severities=(1, 5)))][:3]
        ['clean', 'fog/1', 'fog/5']
    """
    return [
        Condition("clean", "clean"),
        *(Condition("corruption", name, severity) for name in settings.corruptions for severity in settings.severities),
        *(Condition("low_resolution", "low_resolution", factor) for factor in settings.factors),
        *(Condition("pgd", "pgd_linf", epsilon) for epsilon in sorted(settings.attack_epsilons)),
    ]


def shown_under(condition: Condition, images: np.ndarray, key: jax.Array) -> np.ndarray:
    """The test images as a classifier sees them under a condition that does not depend on the classifier.

    Args:
        condition: Of any kind but "pgd".
        images: float32 [N, H, W, C] in [0, 1].
        key: A PRNG key; what happens to an image depends on its place in `images` and not on the batch it is in.

    Returns:
        float32 [N, H, W, C].
    """
    if condition.kind == "clean":
        return images
    done = []
    for start in range(0, len(images), _BATCH):
        batch = jnp.asarray(images[start : start + _BATCH])
        if condition.kind == "corruption":
            indices = jnp.arange(start, start + len(batch))
            shown = corrupt(batch, condition.name, int(condition.level), key, indices=indices)
        else:
            shown = low_resolution(batch, int(condition.level))
        done.append(np.asarray(shown))
    return np.concatenate(done)
