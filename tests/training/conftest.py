"""Networks that are small, and things that happen in the middle of a run."""

from collections.abc import Callable, Iterator

import jax
import pytest
from jax.sharding import PartitionSpec

from isvs_jax.training import AXIS, run, trained
from isvs_jax.training.log import RunLog
from tests.training.networks import build_minute


@pytest.fixture(scope="module")
def minute_networks() -> Iterator[None]:
    """Whatever network a run names, it is the smallest one."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (run, trained):
            patch.setattr(module, "build_model", build_minute)
        yield


@pytest.fixture(scope="session")
def shared() -> Callable[[Callable[..., jax.Array]], Callable[..., jax.Array]]:
    """Maps a function of arrays over all devices, each with its share of every array."""
    mesh = jax.make_mesh((jax.device_count(),), (AXIS,), axis_types=(jax.sharding.AxisType.Auto,))

    def arrange(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        rows = PartitionSpec(AXIS)
        return jax.jit(jax.shard_map(function, mesh=mesh, in_specs=rows, out_specs=rows))

    return arrange


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], None]:
    """Lets something happen, once, when so many steps are done."""
    add = RunLog.add

    def arrange(step: int, happening: Callable[[], None]) -> None:
        def watched(log: RunLog, metrics: object) -> None:
            add(log, metrics)  # type: ignore[arg-type]
            if log.done + len(log._waiting) == step:
                monkeypatch.setattr(RunLog, "add", add)
                happening()

        monkeypatch.setattr(RunLog, "add", watched)

    return arrange
