"""How often each class was drawn, and how draws are added."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from isvs_jax.robustness.certification.sampler import NO_CLASS, Sampler


@dataclass
class Tally:
    """What the draws have given so far.

    Attributes:
        votes: int [N, K], of the draws that choose a class, how many were of each.
        voted: The number of draws that are in `votes`.
        counts: int [N], of the draws that bound its probability, how many were of the chosen class.
        no_class: int [N], of the same, how many were of none.
        counted: The number of draws that are in `counts`.
        whole: False while draws are being added: what an interrupt leaves then counts some of them twice or not at all.
    """

    votes: np.ndarray
    voted: int
    counts: np.ndarray
    no_class: np.ndarray
    counted: int
    whole: bool = True

    @classmethod
    def empty(cls, num_images: int, num_classes: int) -> Tally:
        """No draws."""
        zeros = np.zeros(num_images, np.int64)
        return cls(np.zeros((num_images, num_classes), np.int64), 0, zeros, zeros.copy(), 0)

    @contextlib.contextmanager
    def adding(self) -> Iterator[None]:
        """While draws are added."""
        self.whole = False
        yield
        self.whole = True

    def as_dict(self) -> dict[str, Any]:
        """As JSON gives it back: of most images few classes have votes."""
        votes = [{int(label): int(row[label]) for label in np.flatnonzero(row)} for row in self.votes]
        return dataclasses.asdict(self) | {
            "votes": votes,
            "counts": self.counts.tolist(),
            "no_class": self.no_class.tolist(),
        }

    def fill(self, content: dict[str, Any]) -> None:
        """Take over what `as_dict` gave."""
        for row, votes in zip(self.votes, content["votes"], strict=True):
            for label, count in votes.items():
                row[int(label)] = count
        self.counts[:], self.no_class[:] = content["counts"], content["no_class"]
        self.voted, self.counted = content["voted"], content["counted"]


def vote(work: Sampler, key: jax.Array, count: int, tally: Tally, done: Callable[[int], None]) -> None:
    """Count the classes of so many draws of every image."""
    for rows, classes in work.draws(key, np.arange(len(work.images)), count, tally.voted):
        real = classes != NO_CLASS
        with tally.adding():
            np.add.at(tally.votes, (rows[real], classes[real]), 1)
            tally.voted += len(rows)
        done(len(rows))


def count(
    work: Sampler,
    key: jax.Array,
    n: int,
    rows: np.ndarray,
    candidates: np.ndarray,
    tally: Tally,
    done: Callable[[int], None],
) -> None:
    """Count how many of n draws of some images are of their candidates."""
    for drawn, classes in work.draws(key, rows, n, tally.counted):
        with tally.adding():
            np.add.at(tally.counts, drawn, classes == candidates[drawn])
            np.add.at(tally.no_class, drawn, classes == NO_CLASS)
            tally.counted += len(drawn)
        done(len(drawn))
