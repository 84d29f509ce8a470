"""How much work a cell is, counted in looks at single images, and how long that takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from isvs_jax.robustness.evaluation.attacked import attacks_of
from isvs_jax.robustness.evaluation.engine import Work
from isvs_jax.robustness.evaluation.hard_stop_rule import NUM_DRAWS

# A gradient is a forward pass and a backward one, which costs about two: until gradients were measured.
_FORWARDS_A_GRADIENT = 3
# The ways of attacking a defence that follow a gradient.
_GRADIENT_WAYS = 4
_MOST_TARGETS = 9


class Effort(NamedTuple):
    """The forward passes and the gradients of single images that a cell takes at most."""

    forwards: int = 0
    gradients: int = 0

    @property
    def units(self) -> int:
        """Both in forward passes."""
        return self.forwards + _FORWARDS_A_GRADIENT * self.gradients


def total(efforts: Sequence[Effort]) -> Effort:
    """The sum of efforts."""
    return Effort(sum(effort.forwards for effort in efforts), sum(effort.gradients for effort in efforts))


def of_attacks(work: Work, count: int, num_steps: int, num_queries: int) -> Effort:
    """All attacks within a ball on so many images: at most, since attacks leave alone what is broken.

    Args:
        work: The evaluation.
        count: The number of images.
        num_steps: The steps of a gradient attack.
        num_queries: The queries of Square.
    """
    targets = min(_MOST_TARGETS, work.num_classes - 1)
    steps, looks = 0, 1
    for name in attacks_of(work):
        if name == "square":
            looks += num_queries
        elif name == "noise":
            looks += NUM_DRAWS
        else:
            steps += num_steps * (targets if name in ("apgd-t", "fab-t") else 1)
    ways = 1 if work.defence is None else _GRADIENT_WAYS
    return Effort(looks * count, ways * steps * count)


def of_curve(work: Work, num_steps: int) -> Effort:
    """One radius of an ε-curve."""
    checks = work.settings.checks
    if work.defence is not None:
        return of_attacks(work, checks.count, num_steps, work.settings.attacks.num_queries)
    return Effort(checks.count, num_steps * checks.count)


def expected_seconds(
    missing: Sequence[Effort], finished: Sequence[tuple[Effort, float]], seconds_a_forward: float
) -> float:
    """How long the missing cells take.

    Args:
        missing: Their efforts.
        finished: The efforts and durations of cells that were made: those with gradients say how long such cells
            take, and the others likewise.
        seconds_a_forward: The time of one forward pass of one image, where no cell of a kind was made yet.

    Example:
        >>> expected_seconds([Effort(100), Effort(0, 10)], [(Effort(50), 5.0)], 0.5)
        25.0
    """
    seconds = 0.0
    for with_gradients in (False, True):
        made = [(effort.units, time) for effort, time in finished if bool(effort.gradients) == with_gradients]
        units, spent = sum(unit for unit, _ in made), sum(time for _, time in made)
        rate = spent / units if units else seconds_a_forward
        seconds += rate * sum(effort.units for effort in missing if bool(effort.gradients) == with_gradients)
    return seconds


def announced(efforts: Sequence[Effort], cells: int, seconds_a_forward: float) -> str:
    """The sentence that is said before the work begins.

    Args:
        efforts: Those of the cells that are still to be made.
        cells: The number of all cells.
        seconds_a_forward: The time of one forward pass of one image.

    Example:
        >>> announced([Effort(1000)], 3, 0.002).partition(". ")[2]
        'At 2 ms a forward pass that is about 2 s, and compiling on top.'
    """
    whole, there = total(efforts), cells - len(efforts)
    known = f", {there} of them there" if there else ""
    gradients = f" and at most {whole.gradients:,} gradients" if whole.gradients else ""
    counted = f", a gradient counted as {_FORWARDS_A_GRADIENT}," if whole.gradients else ""
    return (
        f"{cells} cells{known}: {whole.forwards:,} forward passes{gradients} of single images are to be made. At "
        f"{1000 * seconds_a_forward:.3g} ms a forward pass{counted} that is about "
        f"{duration(expected_seconds(efforts, [], seconds_a_forward))}, and compiling on top."
    )


def duration(seconds: float) -> str:
    """A time as people say it.

    Example:
        >>> duration(8.2), duration(200), duration(7800)
        ('8 s', '3 min', '2 h 10 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
