"""Whether what lies in a folder was made by the same work, so that it may be gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

# Logits of one network on another machine, or in batches of another size, differ by rounding only.
_PROBE_TOLERANCE = 1e-3


def differing(there: tuple[Any, Any], here: tuple[Any, np.ndarray]) -> list[str]:
    """Where two works differ, one sentence a place.

    Args:
        there: The settings that were kept, as JSON has them, and the probe: logits [n, K] of a few images, which stand
            for networks whose parameters are not known.
        here: Those of the work that is to go on.
    """
    found = differences(there[0], here[0])
    if found or _same(np.asarray(there[1], np.float64), here[1]):
        return found
    return ["the network: its logits on the first images"]


def check_same(found: list[str], file: Path, work: str) -> None:
    """Raise a ValueError that lists the differences where there are any.

    Args:
        found: What `differing` found.
        file: What was kept.
        work: What it is of, "evaluation" or "certification".
    """
    if found:
        raise ValueError(
            f"folder must be that of the same {work}, or a new one; got {file}, which differs: {'; '.join(found)}."
        )


def differences(there: Any, here: Any, place: str = "") -> list[str]:
    """Where two trees of dictionaries differ, one sentence a place.

    Example:
        >>> differences({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}})
        ['b.c is 2 there and 3 here']
    """
    if isinstance(there, dict) and isinstance(here, dict):
        names = sorted(set(there) | set(here))
        return [
            sentence
            for name in names
            for sentence in differences(there.get(name), here.get(name), f"{place}.{name}" if place else name)
        ]
    return [] if there == here else [f"{place} is {there!r} there and {here!r} here"]


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    if first.shape != second.shape:
        return False
    scale = np.nanmax(np.abs(second), initial=1.0, where=np.isfinite(second))
    return bool(np.allclose(first, second, rtol=0, atol=_PROBE_TOLERANCE * scale, equal_nan=True))
