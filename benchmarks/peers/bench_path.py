"""Ours and its peers, each case in two turns through all peers, so that what else the machine does weighs on all."""

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.peers import errors
from benchmarks.peers.cases import CASES, Call, Case, Peer, timed
from benchmarks.peers.peers import PEERS

TURNS = 2
# Seconds and rounds that a turn of a peer may take after the first call.
BUDGET, ROUNDS = 2.0, 20
ERROR_IMAGES = 32

RUNS = [
    pytest.param(case, peer, turn, id=f"{case.name}-turn{turn}-{peer.name.replace(' ', '_')}")
    for case in CASES
    for turn in range(TURNS)
    for peer in PEERS
    if case.name in peer.cases
]


@pytest.fixture(scope="module")
def calls() -> dict[tuple[str, str], Any]:
    """Prepared calls: the second turn finds everything compiled."""
    return {}


@pytest.fixture(scope="module")
def referees(images_of: Callable) -> Callable[[Case, str], np.ndarray | None]:
    """The flow that a kind of peer is to be near, for the first images of a case."""

    @functools.cache
    def referee(case: Case, kind: str) -> np.ndarray | None:
        # Large images in double precision would take longer than everything else.
        if case.heavy or kind not in ("flow", "own") or (kind == "own" and case.size > 32):
            return None
        some = images_of(case.size, case.batch)[:ERROR_IMAGES]
        flow = errors.textbook_flow if kind == "own" else errors.reduced_flow
        return flow(some, case.time)

    return lambda case, kind: referee(case, "flow" if kind in ("path", "textbook") else kind)


@pytest.mark.parametrize(("case", "peer", "turn"), RUNS)
def test_peer(
    case: Case, peer: Peer, turn: int, benchmark: Any, images_of: Callable, calls: dict, referees: Callable
) -> None:
    benchmark.group = case.name
    images = images_of(case.size, case.batch)
    key = case.name, peer.name
    info: dict[str, Any] = {"case": case.name, "peer": peer.name, "kind": peer.kind, "turn": turn}
    if key not in calls:
        calls[key] = peer.prepare(images, case)
    call = calls[key]
    if isinstance(call, str):
        pytest.skip(call)
    if turn == 0:
        began = time.perf_counter()
        outcome, _ = timed(call)
        info["first_seconds"] = time.perf_counter() - began
        info |= deviations(outcome, call, peer, case, images, referees)
    counted: list[float] = []
    benchmark.pedantic(lambda: counted.append(timed(call)[1]), rounds=rounds_of(call, case), iterations=1)
    info |= {"images": call.images, "steps": call.steps, "share": call.share, "note": call.note, "seconds": counted}
    benchmark.extra_info.update(info)


def rounds_of(call: Call, case: Case) -> int:
    """As many as fit."""
    if case.heavy:
        return 1
    seconds = timed(call)[1]
    return int(np.clip(BUDGET / seconds, 1, ROUNDS))


def deviations(
    outcome: Any, call: Call, peer: Peer, case: Case, images: np.ndarray, referees: Callable
) -> dict[str, float]:
    """Mean and largest error in percent, where there is something to compare with and all steps were run."""
    found = {}
    if call.limit is not None:
        limit = call.limit()
        found["limit"] = errors.relative(outcome, limit, images)
    if call.share == 1:
        for kind in (peer.kind, "own") if peer.kind == "textbook" else (peer.kind,):
            referee = referees(case, kind)
            if referee is not None:
                found["own" if kind == "own" else "flow"] = errors.relative(outcome, referee, images)
    return {
        f"{name}_{key}": float(value)
        for name, error in found.items()
        for key, value in (("mean", error.mean()), ("max", error.max()), ("images", error.size))
    }
