"""What an evaluation tests, in groups that check themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax

from isvs_jax._checks import brief, check_integer, check_names, check_number
from isvs_jax.robustness._batches import Layout
from isvs_jax.robustness.attacks._autoattack import ATTACKS, VERSIONS
from isvs_jax.robustness.corruptions import CORRUPTIONS
from isvs_jax.robustness.corruptions._tables import CATEGORIES, NUM_SEVERITIES, TABLE_SIZES
from isvs_jax.robustness.evaluation.hard_stop_rule import check_radii
from isvs_jax.robustness.official import CorruptedImages

EPSILONS = (0.5 / 255, 2 / 255, 8 / 255)
CURVE = (0.5 / 255, 2 / 255, 8 / 255, 32 / 255, 0.5)
STANDARD = VERSIONS["standard"]
Read = Callable[[str, int], CorruptedImages]

_BATCH = 128


@dataclass(frozen=True)
class Corruptions:
    """Which corruptions, and how they are made.

    Attributes:
        names: Names out of CORRUPTIONS and VALIDATION_CORRUPTIONS; none for no corruptions.
        severities: Integers from 1 to 5.
        table: The originals' table of parameters by the side of the images, 32, 64 or 224; "auto" is the nearest.
        quantize: Whether to round to grey levels as the originals do.
        read: A function of a name and a severity that reads corrupted images, instead of corrupting, such as
            `functools.partial(load_cifar_c, folder)`. The report says the source.

    Raises:
        TypeError: A value has another type.
        ValueError: A value does not exist.
    """

    names: tuple[str, ...] = CORRUPTIONS
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    table: Literal["auto", 32, 64, 224] = "auto"
    quantize: bool = False
    read: Read | None = None

    def __post_init__(self) -> None:
        names = check_names("corruptions.names", self.names, CATEGORIES, least=0)
        severities = each_once("corruptions.severities", self.severities, "integers from 1 to 5")
        whole = [check_integer("each of corruptions.severities", s, 1, NUM_SEVERITIES) for s in severities]
        if names and not whole:
            raise ValueError("corruptions.severities must be one or more of 1 to 5; got none.")
        if self.table not in ("auto", *TABLE_SIZES):
            sizes = ", ".join(map(str, TABLE_SIZES))
            raise ValueError(f"corruptions.table must be one of 'auto', {sizes}; got {brief(self.table)}.")
        if not (self.read is None or callable(self.read)):
            raise TypeError(f"corruptions.read must be a function of a name and a severity; got {brief(self.read)}.")
        table = self.table if self.table == "auto" else int(self.table)
        _set(self, names=names, severities=tuple(whole), table=table, quantize=bool(self.quantize))


@dataclass(frozen=True)
class Attacks:
    """Which attacks, and how much they may spend.

    Attributes:
        names: Attacks of `autoattack_report`, in order; none for no attacks. With a defence, at least one that follows
            a gradient.
        epsilons: The radii in L∞, in (0, 1].
        epsilons_l2: The radii in L2, above 0.
        count: How many of the images are attacked: the first ones.
        num_steps: The steps of APGD and FAB.
        num_queries: The budget of Square.
        individually: Whether every attack runs on every correctly classified image, not on what is left.

    Raises:
        TypeError: A value has another type.
        ValueError: A value does not exist or is out of range.
    """

    names: tuple[str, ...] = STANDARD
    epsilons: tuple[float, ...] = EPSILONS
    epsilons_l2: tuple[float, ...] = ()
    count: int = 1000
    num_steps: int = 100
    num_queries: int = 5000
    individually: bool = False

    def __post_init__(self) -> None:
        names = check_names("attacks.names", self.names, ATTACKS, least=0)
        counts = {name: check_integer(f"attacks.{name}", getattr(self, name)) for name in _COUNTS}
        radii = _radii("attacks.epsilons", self.epsilons), _radii("attacks.epsilons_l2", self.epsilons_l2, False)
        _set(self, names=names, epsilons=radii[0], epsilons_l2=radii[1], individually=bool(self.individually), **counts)

    @property
    def balls(self) -> list[tuple[str, float]]:
        """The norm and radius of every ball in which the attacks run."""
        return _balls(self.epsilons, self.epsilons_l2) if self.names else []


@dataclass(frozen=True)
class HardStopChecks:
    """Which checks of the attacks are made: whether an attack of their kind works at all.

    Attributes:
        curve: The radii of the ε-curve of PGD in L∞, increasing; let the last be `full_radius`. None for no curve.
        curve_l2: The radii of the ε-curve in L2.
        count: How many images the curve and the doubling are of: the first ones.
        num_steps: The steps of PGD for the curve.
        doubling: Whether the attacks run with twice the steps and queries too, in every ball, on those of the first
            `count` images that held: they may break no more. In a norm of the curve without such a ball it is the
            attack of the curve that is doubled.

    Raises:
        TypeError: A value has another type.
        ValueError: A value is out of range.
    """

    curve: tuple[float, ...] = CURVE
    curve_l2: tuple[float, ...] = ()
    count: int = 200
    num_steps: int = 40
    doubling: bool = True

    def __post_init__(self) -> None:
        counts = {name: check_integer(f"checks.{name}", getattr(self, name)) for name in ("count", "num_steps")}
        curve, curve_l2 = _radii("checks.curve", self.curve), _radii("checks.curve_l2", self.curve_l2, False)
        for name, radii in (("checks.curve", curve), ("checks.curve_l2", curve_l2)):
            check_radii(name, radii, 0)
        _set(self, curve=curve, curve_l2=curve_l2, doubling=bool(self.doubling), **counts)

    @property
    def curves(self) -> dict[str, tuple[float, ...]]:
        """The radii by norm, where there are some."""
        return {norm: radii for norm, radii in (("linf", self.curve), ("l2", self.curve_l2)) if radii}


@dataclass(frozen=True)
class Resources:
    """What an evaluation may use.

    Attributes:
        batch_size: The images on the devices at a time (of those under attack, 512), a multiple of the devices; by
            default 128, or the next multiple.
        devices: The devices; by default all.

    Raises:
        TypeError: A value has another type.
        ValueError: The batch is empty, or there is no device.
    """

    batch_size: int | None = None
    devices: Sequence[jax.Device] | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None:
            _set(self, batch_size=check_integer("resources.batch_size", self.batch_size))
        if self.devices is not None:
            devices = sequence("resources.devices", self.devices, "devices")
            if not devices or not all(isinstance(device, jax.Device) for device in devices):
                what = "resources.devices must be one or more of jax.devices(), or None for all"
                raise TypeError(f"{what}; got {brief(self.devices)}.")
            _set(self, devices=devices)

    def layout(self) -> Layout:
        """How batches lie on the devices."""
        devices = tuple(jax.devices() if self.devices is None else self.devices)
        usual = -(-_BATCH // len(devices)) * len(devices)
        return Layout.over(devices, usual if self.batch_size is None else self.batch_size)


_COUNTS = ("count", "num_steps", "num_queries")


def sequence(name: str, values: Any, what: str) -> tuple[Any, ...]:
    """The values as a tuple; text and mappings are no sequences here.

    Raises:
        TypeError: They are no sequence.
    """
    try:
        if isinstance(values, (str, bytes, dict)):
            raise TypeError
        return tuple(values)
    except TypeError:
        raise TypeError(f"{name} must be a sequence of {what}; got {brief(values)}.") from None


def each_once(name: str, values: Any, what: str) -> tuple[Any, ...]:
    """The values as a tuple, none of them twice.

    Raises:
        TypeError: They are no sequence.
        ValueError: One comes twice.
    """
    found = sequence(name, values, what)
    if any(value in found[:index] for index, value in enumerate(found)):
        raise ValueError(f"{name} must name each once; got {brief(found)}.")
    return found


def _radii(name: str, values: Any, bounded: bool = True) -> tuple[float, ...]:
    """Radii as Python floats; in L∞ at most 1, since images lie in [0, 1]."""
    radii = []
    for value in each_once(name, values, "radii"):
        radius = check_number(f"each of {name}", value, "(0, inf)")
        if bounded and radius > 1:
            hint = f"Images lie in [0, 1]: for {radius:g} grey levels write {radius:g} / 255."
            raise ValueError(f"each of {name} must be a number in (0, 1]; got {radius:g}. {hint}")
        radii.append(radius)
    return tuple(radii)


def _balls(linf: Sequence[float], l2: Sequence[float]) -> list[tuple[str, float]]:
    return [*(("linf", epsilon) for epsilon in linf), *(("l2", epsilon) for epsilon in l2)]


def _set(group: Any, **values: Any) -> None:
    """Keep checked values in a frozen dataclass, as Python's own numbers and tuples."""
    for name, value in values.items():
        object.__setattr__(group, name, value)
