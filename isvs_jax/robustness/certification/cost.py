"""What a certification takes: said before it starts, and shown while it runs."""

from __future__ import annotations

import sys
import time
from typing import Any

import jax
import numpy as np

from isvs_jax._progress import progress_bar
from isvs_jax.robustness.certification.sampler import Sampler


def say_cost(work: Sampler, what: str, forwards: int) -> None:
    """Say how many forwards are to come, and how long they take at the speed of one batch."""
    key, row, size = jax.random.key(0), np.zeros(1, np.int64), work.layout.batch_size
    # The first of them is compiled.
    for _ in range(2):
        begun = time.perf_counter()
        for _ in work.draws(key, row, size):
            pass
    rate = size / (time.perf_counter() - begun)
    seconds = forwards / rate
    long = f"{seconds / 3600:.1f} hours" if seconds > 5400 else f"{seconds / 60:.1f} minutes"
    print(
        f"Noise of standard deviation {work.sigma:g} on the scale of [0, 1]. {what}: at most {forwards:,} forwards, "
        f"about {long} at {rate:,.0f} images a second.",
        file=sys.stderr,
        flush=True,
    )


class Bar:
    """A progress bar that counts forwards; nothing where it is not shown or tqdm is not installed."""

    def __init__(self, total: int, shown: bool) -> None:
        self._bar: Any = None
        if shown:
            try:
                self._bar = progress_bar(shown=True, total=total, unit="forwards", unit_scale=True, desc="certify")
            except ModuleNotFoundError:
                self._bar = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, draws: int) -> None:
        """Count draws that were made."""
        if self._bar is not None:
            self._bar.update(draws)

    def less(self, draws: int) -> None:
        """Expect fewer draws."""
        if self._bar is not None:
            self._bar.total -= draws
            self._bar.refresh()
