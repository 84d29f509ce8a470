"""The cells of an evaluation made one after another, and what is said of how long that takes."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from isvs_jax.robustness.evaluation.cells import Cell
from isvs_jax.robustness.evaluation.effort import Effort, announced, duration, expected_seconds
from isvs_jax.robustness.evaluation.store import Store
from isvs_jax.robustness.text import radius

# The seconds between two lines of progress where there is no terminal.
_INTERVAL = 10.0


class Task(NamedTuple):
    """A function that makes a cell and is given a function which it tells how far it is; and how much work that is."""

    make: Callable[[Callable[[str], None]], Cell]
    effort: Effort


def make_missing(tasks: Mapping[str, Task], store: Store, progress: bool, seconds_a_forward: float) -> None:
    """Make the cells that are not there, one after another.

    Args:
        tasks: What makes them, by key.
        store: Where they are kept.
        progress: Whether to say on stderr how much work there is, and then how far it is: by a bar on a terminal, where
            there is tqdm, and by lines some seconds apart elsewhere.
        seconds_a_forward: The time of one forward pass of one image, for the first guess of the duration.
    """
    missing = [key for key in tasks if key not in store]
    show: _Show = _silent
    if progress and missing:
        efforts = [tasks[key].effort for key in missing]
        print(announced(efforts, len(tasks), seconds_a_forward), file=sys.stderr, flush=True)
        show = _shown(sum(effort.units for effort in efforts))
    finished: list[tuple[Effort, float]] = []
    try:
        for number, key in enumerate(missing):
            place = f"{number}/{len(missing)} cells"
            left = expected_seconds([tasks[later].effort for later in missing[number:]], finished, seconds_a_forward)
            ahead, begun = f"{place}, about {duration(left)} left, {_readable(key)}", time.monotonic()
            show(ahead, 0, False)
            store.put(key, tasks[key].make(functools.partial(_tell, show, ahead)))
            finished.append((tasks[key].effort, time.monotonic() - begun))
            last = number + 1 == len(missing)
            show(f"{number + 1}/{len(missing)} cells, {_readable(key)} done", tasks[key].effort.units, last)
    finally:
        show("", 0, True)


def _readable(key: str) -> str:
    """The key of a cell for people: radii as they write them."""
    parts = [radius(float(part)) if "." in part else part.replace("_", " ") for part in key.split("/")]
    return " ".join(parts)


# A function of what is said, how much work was done since, and whether it is the last thing to be said.
_Show = Callable[[str, int, bool], None]


def _tell(show: _Show, ahead: str, text: str) -> None:
    show(f"{ahead} {text}", 0, False)


def _silent(text: str, units: int, last: bool) -> None:
    """What nobody is shown."""


def _shown(units: int) -> _Show:
    """A bar over so many units of work, or lines."""
    if sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ModuleNotFoundError:
            return _lines()
        bar = tqdm(total=units, dynamic_ncols=True, bar_format="{percentage:3.0f}%|{bar}| {elapsed}{postfix}")

        def on_bar(text: str, done: int, last: bool) -> None:
            if text:
                bar.set_postfix_str(text, refresh=False)
            bar.update(done)
            bar.refresh()
            if last:
                bar.close()

        return on_bar
    return _lines()


def _lines() -> _Show:
    said = time.monotonic()

    def on_line(text: str, done: int, last: bool) -> None:
        nonlocal said
        if text and (last or time.monotonic() - said >= _INTERVAL):
            said = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    return on_line
