"""Reports of nothing: right and wrong answers drawn at random."""

import numpy as np

from isvs_jax.robustness import Report
from isvs_jax.robustness.evaluation import AttackResult, Cell, EpsilonCurve, ResolutionCell, packed
from isvs_jax.robustness.resolution import RESOLUTIONS

COUNT, ATTACKED, CURVED = 40, 16, 8
EPSILONS = (1 / 255, 2 / 255)
WAYS = ("own gradient", "identity backward", "noise")
WARNING = "a gradient-free attack beats the white-box one."


def fabricated(name: str, seed: int, *, defended: bool = False, warnings: tuple[str, ...] = ()) -> Report:
    """A report as `evaluate` gives it, of 40 images, 16 under attack, 8 in the ε-curve."""
    rng = np.random.default_rng([seed, *name.encode()])

    def cell(count: int = COUNT) -> Cell:
        return Cell(packed(rng.random(count) < 0.7), count, ece=float(rng.uniform(0, 0.2)))

    clean = cell()

    def attack(epsilon: float) -> AttackResult:
        standing, masks = clean.mask[:ATTACKED], {}
        for way in ("clean", *(WAYS if defended else ("apgd-ce", "square"))):
            masks[way] = packed(standing)
            standing = standing & (rng.random(ATTACKED) < 0.8)
        last = list(masks.values())[-1]
        kind = "defence" if defended else "attacks"
        return AttackResult("linf", epsilon, Cell(last, ATTACKED, masks=masks, warnings=warnings), kind=kind)

    return Report(
        name=f"{name}, seed {seed}",
        preprocessing="",
        source="regenerated",
        count=COUNT,
        image_shape=(8, 8, 3),
        num_classes=10,
        clean=clean,
        corruptions={name: {1: cell(), 3: cell()} for name in ("gaussian_noise", "defocus_blur", "fog", "contrast")},
        resolutions=tuple(ResolutionCell(*setting, cell=cell()) for setting in RESOLUTIONS),
        attacks=tuple(attack(epsilon) for epsilon in EPSILONS),
        curves=(EpsilonCurve("linf", "PGD", 10, (0.0, *EPSILONS), tuple(cell(CURVED) for _ in range(3)), 0.1, 0.5),),
        settings={"attacks": {"names": ["apgd-ce", "square"], "num_steps": 10, "num_queries": 50}},
    )
