"""How the numbers, tables and sentences of the referee are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NOTHING = "–"
"""What stands in a table where there is no figure."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with its columns lined up."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join([cells[0].ljust(widths[0]), *padded]) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])


def norm_name(norm: str) -> str:
    """The sign of a norm."""
    return {"linf": "L∞", "l2": "L2"}[norm]


def radius(epsilon: float) -> str:
    """A radius as people write it: in 255ths where it is a round number of quarters of them.

    Example:
        >>> radius(0.5 / 255), radius(0.03)
        ('0.5/255', '0.03')
    """
    levels = 255 * epsilon
    if 0 < levels <= 64 and abs(4 * levels - round(4 * levels)) < 1e-6:
        return f"{round(4 * levels) / 4:g}/255"
    return f"{epsilon:g}"


def ball_name(norm: str, epsilon: float) -> str:
    """The name of the ball that an attack stays in.

    Example:
        >>> ball_name("linf", 8 / 255)
        'L∞, ε = 8/255'
    """
    return f"{norm_name(norm)}, ε = {radius(epsilon)}"


def percent(value: float) -> str:
    """A share in percent, to one decimal."""
    return f"{100 * value:.1f}"


def interval(ends: tuple[float, float] | None) -> str:
    """An interval in percent."""
    return NOTHING if ends is None else f"{percent(ends[0])} to {percent(ends[1])}"


def listed(values: Iterable[object]) -> str:
    """Values one after another."""
    return ", ".join(map(str, values))


def sides(shape: Sequence[int]) -> str:
    """The shape of an image.

    Example:
        >>> sides((32, 32, 3))
        '32×32×3'
    """
    return "×".join(map(str, shape))


def grouped(said: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join the places of equal sentences.

    Args:
        said: Pairs of a place and a sentence.

    Returns:
        Pairs of all places of a sentence and that sentence, in the order in which the sentences come first.

    Example:
        >>> grouped([("a", "It rises."), ("b", "It fails."), ("c", "It rises.")])
        [('a; c', 'It rises.'), ('b', 'It fails.')]
    """
    places: dict[str, list[str]] = {}
    for place, sentence in said:
        places.setdefault(sentence, []).append(place)
    return [("; ".join(found), sentence) for sentence, found in places.items()]


def capital(text: str) -> str:
    """A sentence with a capital letter at its beginning, but for the name mCE."""
    return text if text.startswith("mCE") else text[0].upper() + text[1:]
