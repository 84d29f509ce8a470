"""Variations: a training with one choice made otherwise."""

from dataclasses import dataclass, replace
from typing import Any

from isvs_jax.augment.views import View
from isvs_jax.training.config import TrainConfig
from isvs_jax.training.methods import PATH_VIEWS


@dataclass(frozen=True)
class Variation:
    """A training along the path with one choice made otherwise.

    Attributes:
        group: Which choice, such as "ν".
        label: What was chosen, such as "0.3".
        field: The field of `Inputs` that differs.
        value: What stands there.
    """

    group: str
    label: str
    field: str
    value: Any

    @property
    def training(self) -> str:
        """Its name among the trainings."""
        chosen = self.label.replace(" = ", "").replace(" ", "-")
        return f"ablation-{self.field.removeprefix('solver_')}-{chosen}"

    def config(self, base: TrainConfig) -> TrainConfig:
        """The base with this choice."""
        return replace(base, inputs=replace(base.inputs, **{self.field: self.value}))


_SPARSE = tuple(View(view.strength, "sparse") for view in PATH_VIEWS)

VARIATIONS: tuple[Variation, ...] = (
    *(Variation("ν", f"{nu:g}", "solver_nu", nu) for nu in (0.03, 0.3, 1.0)),
    *(Variation("κ", f"{kappa:g}", "solver_kappa", kappa) for kappa in (2.0, 20.0)),
    *(Variation("time", f"t = {time:g}", "views", (View(time),)) for time in (2.0, 4.0, 8.0, 16.0)),
    *(Variation("penalty", name, "solver_penalty", name) for name in ("anisotropic", "isotropic")),
    Variation("output", "sparse", "views", _SPARSE),
    Variation("output", "dense and sparse", "views", (*PATH_VIEWS, *_SPARSE)),
    *(Variation("raw share", f"{share:g}", "raw_share", share) for share in (0.0, 0.25, 0.75)),
)
"""From the base: dense t = 2, 4 or 8 half of the time, else the image itself; ν = 0.1, κ = 5, "color"."""


def variation_configs(base: TrainConfig) -> dict[str, TrainConfig]:
    """Every variation of a base by the name of its training."""
    return {variation.training: variation.config(base) for variation in VARIATIONS}
