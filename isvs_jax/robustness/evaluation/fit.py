"""All settings of one evaluation, and whether images, classes and network allow them, before any of the work."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import brief
from isvs_jax.robustness.adapters.host import NoGradientError
from isvs_jax.robustness.adaptive import check_gradient_attacks
from isvs_jax.robustness.attacks._model import CLASSES_NEEDED, LogitsFn
from isvs_jax.robustness.attacks._square import check_square_size
from isvs_jax.robustness.evaluation.settings import Attacks, Corruptions, HardStopChecks, each_once, sequence
from isvs_jax.robustness.resolution import Resolution, low_resolution

# Losses of attacks that are not defined for two classes.
_LOSSES = {"apgd-t": "targeted_dlr", "apgd-dlr": "dlr"}


@dataclass(frozen=True)
class Settings:
    """All that figures depend on beside the network, the images and the key."""

    corruptions: Corruptions
    resolutions: tuple[Resolution, ...]
    attacks: Attacks
    checks: HardStopChecks

    def as_dict(self) -> dict[str, Any]:
        """Dictionaries, lists, numbers and strings, as JSON gives them back."""
        plain = dataclasses.replace(self, corruptions=dataclasses.replace(self.corruptions, read=None))
        values = json.loads(json.dumps(dataclasses.asdict(plain)))
        del values["corruptions"]["read"]
        return values


def chosen(
    corruptions: Corruptions | None,
    resolutions: Iterable[Resolution],
    attacks: Attacks | None,
    checks: HardStopChecks | None,
    count: int,
) -> Settings:
    """The settings of an evaluation of `count` images; None leaves a group out.

    Raises:
        TypeError: A group is of another kind.
        ValueError: A setting of low resolution comes twice.
    """
    groups: list[Any] = []
    for name, given, kind, none in (
        ("corruptions", corruptions, Corruptions, Corruptions(names=())),
        ("attacks", attacks, Attacks, Attacks(names=())),
        ("checks", checks, HardStopChecks, HardStopChecks(curve=(), doubling=False)),
    ):
        if not (given is None or isinstance(given, kind)):
            raise TypeError(f"{name} must be isvs_jax.robustness.{kind.__name__}(...) or None; got {brief(given)}.")
        groups.append(none if given is None else given)
    corrupted, attacked, checked = groups
    entries = sequence("resolutions", resolutions, "isvs_jax.robustness.Resolution")
    if not all(isinstance(entry, tuple) and 1 <= len(entry) <= 4 for entry in entries):
        raise TypeError(f"resolutions must be a sequence of isvs_jax.robustness.Resolution; got {brief(entries)}.")
    found = each_once("resolutions", [_whole(Resolution(*entry)) for entry in entries], "Resolution")
    # A report says of how many images it is, not of how many it was asked to be.
    attacked = dataclasses.replace(attacked, count=min(attacked.count, count))
    checked = dataclasses.replace(checked, count=min(checked.count, count))
    return Settings(corrupted, found, attacked, checked)


def _whole(setting: Resolution) -> Resolution:
    """The setting with Python's own integers, which JSON takes; what is none is left to `check_fit`."""
    numbers: dict[str, Any] = {
        key: int(value) for key, value in setting._asdict().items() if isinstance(value, np.integer)
    }
    return setting._replace(**numbers)


def check_fit(settings: Settings, shape: Sequence[int], num_classes: int, defended: bool) -> None:
    """Refuse settings that images [H, W, C], so few classes or a defence do not allow, before any of the work.

    Raises:
        ValueError: One of them does not fit.
    """
    for setting in settings.resolutions:
        _check_resolution(setting, shape)
    attacks, curves = settings.attacks, settings.checks.curves
    for attack in attacks.names:
        needed = CLASSES_NEEDED[_LOSSES.get(attack, "margin")]
        if num_classes < needed:
            raise ValueError(
                f"attacks.names must be of attacks for {num_classes} classes, 'apgd-ce', 'apgd-margin', 'fab-t' and "
                f"'square'; got {attack!r}, which needs at least {needed} classes."
            )
    in_l2 = "l2" in curves or any(norm == "l2" for norm, _ in attacks.balls)
    if in_l2 and ("square" in attacks.names or defended):
        check_square_size(jnp.zeros((1, *shape)), "l2")
    if defended and (attacks.balls or curves):
        check_gradient_attacks(attacks.names)


def check_differentiable(settings: Settings, network: LogitsFn, shape: Sequence[int]) -> None:
    """Refuse attacks and curves that follow the gradient of a network without one; nothing is computed.

    Raises:
        TypeError: The network has no gradient.
    """
    attacks, curves = settings.attacks, settings.checks.curves
    if not curves and not (attacks.balls and set(attacks.names) - {"square"}):
        return
    try:
        jax.eval_shape(jax.grad(lambda images: jnp.sum(network(images))), jax.ShapeDtypeStruct(shape, jnp.float32))
    except NoGradientError as error:
        raise TypeError(
            "attacks and checks must be attacks=Attacks(names=('square',)) or None and checks=None for a model without "
            f"a gradient; got the attacks {brief(attacks.names)} and {len(curves)} curves: {error}"
        ) from error


def _check_resolution(setting: Resolution, shape: Sequence[int]) -> None:
    factor, down, up, quality = setting
    changed = functools.partial(low_resolution, factor=factor, down=down, up=up, jpeg_quality=quality)
    try:
        jax.eval_shape(changed, jax.ShapeDtypeStruct((1, *shape), np.float32))
    except (ValueError, TypeError) as error:
        size = f"images of {shape[0]}×{shape[1]} pixels"
        raise ValueError(
            f"resolutions must be settings that {size} allow; got {tuple(setting)}: {error} "
            "resolutions=() and --no-resolutions leave them out."
        ) from error
