"""The methods of training that are compared, each a configuration with its own defaults."""

from dataclasses import replace
from math import isclose
from typing import Any, cast

import jax.numpy as jnp
import numpy as np

from isvs_jax.augment._augmix import AugMixConfig
from isvs_jax.augment.basic import Augmentation
from isvs_jax.augment.views import View, show_views
from isvs_jax.filters.matching import FilterKind, matched_strength
from isvs_jax.training.config import TrainConfig
from isvs_jax.training.inputs import Inputs
from isvs_jax.training.noisy_draws import NoisyDraws
from isvs_jax.training.objective import Name, Objective

PATH_VIEWS = (View(2.0), View(4.0), View(8.0))
# The ends of the bands of "scale_mix".
BAND_VIEWS = (View(1.0), *PATH_VIEWS)
# One strength of a filter for each view of the path; `matched` puts the strength of equal residual energy in its place.
_START: dict[FilterKind, tuple[float, ...]] = {
    "blur": (1.5, 1.0, 0.6),
    "lowpass": (0.3, 0.5, 0.7),
    "rof": (0.2, 0.1, 0.05),
}
_BLURS = tuple(View(sigma, "blur") for sigma in _START["blur"])
_BAND_BLURS = (View(2.5, "blur"), *_BLURS)
_NOISY = Augmentation(crop=4, noise=0.1)
# Strengths that differ by no more were matched to the same energies.
_ROUNDING = 1e-3
# What noise of σ = 0.25 is smoothed to: t·σ = 0.8.
_CERTIFIED = View(3.2)


def method_configs() -> dict[str, TrainConfig]:
    """Every method by name, with the same network, budget and seed.

    - "raw"; "noise": Gaussian noise, its standard deviation uniform up to 0.1.
    - "fixed", "path", "coarse_to_fine", "consistency": the ways to use the path. In each step
      "path" shows an example raw or at one of several times, drawn at random.
    - "blur", "lowpass", "rof": as "path", with a filter in the place of the path.
    - "scale_mix": in each step half of the batch has the bands of its path weighted at random; noise and contrast are
      parts of it. "scale_mix_blur": Gaussian bands in the place of these.
    - "augmix_path", "augmix_blur": AugMix, which can show an image along its path, or blurred, as one more operation.
    - "gaussian", "gaussian_consistency": for certificates, noise of σ = 0.25 in every step, without and with the loss
      of Jeong and Shin; "gaussian_path", "gaussian_consistency_path": the noisy images smoothed along their paths.
    - "augmix", "adversarial", "trades": the objectives of Hendrycks, Madry and Zhang et al.
    - "path_augmix", "path_adversarial", "path_trades": these and the path together.

    Recipes, made of the path, noise, and AugMix without its loss; each with Gaussian blurs or bands in the place of the
    path beside it:

    - "path_noise", "blur_noise": as "path", then noise on every example.
    - "noise_then_path", "noise_then_blur": the noise before the smoothing.
    - "path_or_noise", "blur_or_noise": noise on the raw half of the batch alone.
    - "augmix_noise": AugMix, then noise, on every example.
    - "augmix_or_path_noise", "augmix_or_blur_noise": half of the batch by AugMix, the rest smoothed; then noise.
    - "all_round", "all_round_blur", "all_round_either": half of the batch by AugMix with noise, the rest by "scale_mix"
      with bands of the path, Gaussian ones, or for each example either.

    Example:
        >>> sorted(method_configs())[:4]
        ['adversarial', 'all_round', 'all_round_blur', 'all_round_either']
    """
    path = Inputs("random", PATH_VIEWS)
    objectives = {name: Objective(name) for name in ("augmix", "adversarial", "trades")}
    configs = {
        "raw": _make(),
        "noise": _make(augmentation=_NOISY),
        "fixed": _make(Inputs("fixed", (View(4.0),))),
        "path": _make(path),
        "coarse_to_fine": _make(Inputs("coarse_to_fine", PATH_VIEWS)),
        "consistency": _make(Inputs("several", PATH_VIEWS, draws=3), Objective("consistency")),
    }
    configs |= {
        kind: _make(Inputs("random", tuple(View(strength, kind) for strength in start)))
        for kind, start in _START.items()
    }
    bands = replace(path, way="scale_mix", views=BAND_VIEWS)
    configs |= {
        "scale_mix": _make(bands),
        "scale_mix_blur": _make(replace(bands, views=_BAND_BLURS)),
        "augmix_path": _make(objective=Objective("augmix", augmix=AugMixConfig(views=PATH_VIEWS))),
        "augmix_blur": _make(objective=Objective("augmix", augmix=AugMixConfig(views=_BLURS))),
    }
    configs |= {name: _make(objective=objective) for name, objective in objectives.items()}
    certified: tuple[Name, ...] = ("gaussian", "gaussian_consistency")
    for name in certified:
        configs[name] = _make(objective=Objective(name))
        configs[f"{name}_path"] = _make(objective=Objective(name, noise=NoisyDraws(view=_CERTIFIED)))
    configs |= {f"path_{name}": _make(path, objective) for name, objective in objectives.items()}
    return configs | _recipes()


def _recipes() -> dict[str, TrainConfig]:
    """Smoothed images with noise, and with AugMix in the place of raw images."""
    recipes = {"augmix_noise": Inputs(unsmoothed="augmix")}
    for name, views in (("path", PATH_VIEWS), ("blur", _BLURS)):
        plain = Inputs("random", views)
        recipes |= {
            f"{name}_noise": plain,
            f"noise_then_{name}": replace(plain, noise_place="first"),
            f"{name}_or_noise": replace(plain, noise_place="unsmoothed"),
            f"augmix_or_{name}_noise": replace(plain, unsmoothed="augmix"),
        }
    # The bands bring noise of their own.
    bands = Inputs("scale_mix", BAND_VIEWS, unsmoothed="augmix", noise_place="unsmoothed")
    recipes |= {
        "all_round": bands,
        "all_round_blur": replace(bands, views=_BAND_BLURS),
        "all_round_either": replace(bands, views=(*BAND_VIEWS, *_BAND_BLURS)),
    }
    return {name: _make(inputs, augmentation=_NOISY) for name, inputs in recipes.items()}


def views_to_match(config: TrainConfig) -> tuple[View, ...]:
    """The views of the path in whose place a method has filters; none where it has no filter.

    Example:
        >>> [str(view) for view in views_to_match(method_configs()["blur"])]
        ['dense:2', 'dense:4', 'dense:8']
    """
    if not _filters(config):
        return ()
    return BAND_VIEWS if config.inputs.way == "scale_mix" else PATH_VIEWS


def matched(config: TrainConfig, views: tuple[View, ...], images: np.ndarray) -> TrainConfig:
    """A configuration whose filters take away as much of the images as the given views of the path do.

    Each filter among the views of the inputs, or of AugMix, gets the strength at which the mean energy of what it takes
    away equals that of the view of the path in the same place. Views of the path among them stay.

    Args:
        config: A configuration with one filter for each of `views`.
        views: The views of the path.
        images: float32 [N, H, W, C] in [0, 1], on which energies are measured.

    Raises:
        ValueError: There are not as many filters as views.
    """
    filters = _filters(config)
    if len(filters) != len(views):
        raise ValueError(
            f"views must hold one filter (blur, lowpass, rof) for each of {' '.join(map(str, views))}; got "
            f"{' '.join(map(str, filters)) or 'none'}."
        )
    solver = config.inputs.solver
    energies = np.mean((np.asarray(show_views(jnp.asarray(images), views, solver)) - images) ** 2, axis=(1, 2, 3, 4))
    strengths = (
        matched_strength(cast(FilterKind, view.kind), images, float(energy))
        for view, energy in zip(filters, energies, strict=True)
    )
    return _with_views(
        config, tuple(view if view.is_path else View(next(strengths), view.kind) for view in _views(config))
    )


def as_noted(config: TrainConfig, noted: Any) -> TrainConfig:
    """A configuration with the strengths that the folder of a run has noted, where they are the same to rounding.

    Other machines and versions measure energies that differ by rounding; a run goes on with what it began with. Views
    of the path are asked for, not measured, and must be equal.

    Args:
        config: A configuration with matched filters.
        noted: The content of the folder's config.json; where it does not fit, `config` stays as it is.
    """
    try:
        train = noted["train"]
        kept = tuple(View(**view) for view in train["inputs"]["views"] or train["objective"]["augmix"]["views"])
    except (KeyError, TypeError, ValueError):
        return config
    views = _views(config)
    same = len(kept) == len(views) and all(
        there.kind == view.kind and isclose(there.strength, view.strength, rel_tol=0 if view.is_path else _ROUNDING)
        for there, view in zip(kept, views, strict=True)
    )
    return _with_views(config, kept) if same else config


def _with_views(config: TrainConfig, views: tuple[View, ...]) -> TrainConfig:
    if config.inputs.views:
        return replace(config, inputs=replace(config.inputs, views=views))
    return replace(config, objective=replace(config.objective, augmix=replace(config.objective.augmix, views=views)))


def _views(config: TrainConfig) -> tuple[View, ...]:
    """The views of the inputs, or else of AugMix."""
    return config.inputs.views or config.objective.augmix.views


def _filters(config: TrainConfig) -> tuple[View, ...]:
    return tuple(view for view in _views(config) if not view.is_path)


def _make(
    inputs: Inputs = Inputs(), objective: Objective = Objective(), augmentation: Augmentation = Augmentation(crop=4)
) -> TrainConfig:
    return TrainConfig(inputs=inputs, objective=objective, augmentation=augmentation)
