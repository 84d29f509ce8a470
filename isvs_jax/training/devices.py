"""The step of one device mapped over many, in one process or several."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from isvs_jax._checks import check_choice
from isvs_jax.training.config import Mapping
from isvs_jax.training.step import Batch, Metrics, TrainState, TrainStep

# The name of the axis over which a batch is divided.
AXIS = "data"
# A step of the run, whose key is folded from that of the state.
Advance = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]


@dataclass(frozen=True)
class Distributed:
    """The processes of a run, one on each machine.

    Attributes:
        mode: "none" for one process; "auto" where the cluster says who takes part (SLURM, Open MPI, TPU pods,
            Kubernetes); "address" to say it by hand with the other fields.
        address: The HOST:PORT of process 0.
        num_processes: The number of processes.
        process_id: The number of this process, from 0.

    Raises:
        ValueError: The mode is unknown, or the other fields do not go with it.
    """

    mode: str = "none"
    address: str | None = None
    num_processes: int | None = None
    process_id: int | None = None

    def __post_init__(self) -> None:
        given = (self.address, self.num_processes, self.process_id)
        check_choice("mode", self.mode, ("none", "auto", "address"))
        if self.mode == "address" and None in given:
            raise ValueError(f"address, num_processes and process_id must be given for mode 'address'; got {given}.")
        if self.mode != "address" and given != (None, None, None):
            raise ValueError(f"address, num_processes and process_id must be None for mode {self.mode!r}; got {given}.")

    def initialize(self) -> None:
        """Join the processes of the run; this is called once, before anything else of JAX."""
        if self.mode == "auto":
            jax.distributed.initialize()
        elif self.mode == "address":
            jax.distributed.initialize(self.address, self.num_processes, self.process_id)


@dataclass(frozen=True)
class Mapped:
    """A step mapped over devices.

    Attributes:
        advance: A function (state, batch) → (state, metrics) over all devices; the state that goes in may be used up.
        place_state: A function that puts a state, the same in every process, on the devices.
        place_batch: A function that puts the rows of this process on its devices.
    """

    advance: Advance
    place_state: Callable[[TrainState], TrainState]
    place_batch: Callable[[Any], Batch]


def map_over_devices(step: TrainStep, devices: list[jax.Device], mapping: Mapping = "shard_map") -> Mapped:
    """A per-device step, made with axis_name=AXIS, mapped over devices.

    Args:
        step: A function (state, batch, key) → (state, metrics) that averages over AXIS.
        devices: The devices of all processes, as many of each.
        mapping: "shard_map" for `jax.shard_map` on a mesh of one axis, or "pmap" for `jax.pmap`, which JAX keeps as a
            wrapper of it.

    Example:
        >>> from isvs_jax.models import CNN
        >>> from isvs_jax.training import init_state, make_optimizer, make_train_step, OptimizerConfig, plain_batch
        >>> import jax.numpy as jnp
        >>> model, optimizer = CNN(10, width=4), make_optimizer(OptimizerConfig(), 10)
        >>> step = make_train_step(model, optimizer, axis_name=AXIS)
        >>> mapped = map_over_devices(step, jax.devices()[:1])
        >>> state = mapped.place_state(init_state(model, optimizer, (8, 8, 1), seed=0))
        >>> batch = mapped.place_batch(plain_batch(jnp.zeros((4, 8, 8, 1)), jnp.arange(4)))
        >>> int(mapped.advance(state, batch)[0].step)
        1
    """

    def advance(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        return step(state, batch, jax.random.fold_in(state.key, state.step))

    mesh = Mesh(np.asarray(devices), (AXIS,), axis_types=(AxisType.Auto,))
    whole, divided = PartitionSpec(), PartitionSpec(AXIS)

    def place_state(state: TrainState) -> TrainState:
        return jax.tree.map(lambda leaf: _replicated(leaf, NamedSharding(mesh, whole)), state)

    sharding = NamedSharding(mesh, divided)
    own = sum(device.process_index == jax.process_index() for device in devices)

    def place_batch(rows: Any) -> Batch:
        if mapping == "pmap":
            # A leading axis of devices, as `jax.pmap` takes it.
            rows = [np.reshape(leaf, (own, len(leaf) // own, *np.shape(leaf)[1:])) for leaf in rows]
        return Batch(*(jax.make_array_from_process_local_data(sharding, np.asarray(leaf)) for leaf in rows))

    if mapping == "pmap":
        over = jax.pmap(advance, AXIS, in_axes=(None, 0), out_axes=(None, None), devices=devices)
        return Mapped(over, place_state, place_batch)
    # The step says every reduction itself: nothing is left to be inferred from what varies over the mesh.
    over = jax.shard_map(advance, mesh=mesh, in_specs=(whole, divided), out_specs=(whole, whole), check_vma=False)
    return Mapped(jax.jit(over, donate_argnums=0), place_state, place_batch)


def _replicated(leaf: jax.Array, sharding: NamedSharding) -> jax.Array:
    """An array on every device; keys as their data, which alone can be put on devices of other processes."""
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_replicated(jax.random.key_data(leaf), sharding))
    return jax.device_put(leaf, sharding)


def chosen_devices(per_process: int | None) -> list[jax.Device]:
    """The first `per_process` devices of each process; None takes all.

    Raises:
        ValueError: A process has fewer.
    """
    if per_process is None:
        return jax.devices()
    own = jax.local_device_count()
    if per_process > own:
        raise ValueError(
            f"devices must be at most {own}, the number of {jax.default_backend()} devices here; got {per_process}."
        )
    by_process: dict[int, list[jax.Device]] = {}
    for device in jax.devices():
        by_process.setdefault(device.process_index, []).append(device)
    return [device for group in by_process.values() for device in group[:per_process]]


def agreed(answer: bool) -> bool:
    """The answer of process 0: each process has its own view of the disk, and all do the same."""
    return bool(multihost_utils.broadcast_one_to_all(np.asarray(answer))) if jax.process_count() > 1 else answer


def check_divides(batch_size: int, devices: int, accumulate: int) -> None:
    """Raise a ValueError unless a batch falls into equal parts."""
    parts = devices * accumulate
    if batch_size % parts:
        raise ValueError(
            f"batch_size must be a multiple of {parts}, {devices} devices × {accumulate} parts of accumulation; got "
            f"{batch_size}. {max(1, round(batch_size / parts)) * parts} is near."
        )
