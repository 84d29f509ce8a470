import gc
import pickle
import threading
import time
from pathlib import Path

import grain
import numpy as np
import pytest

from isvs_jax.data import Split
from isvs_jax.training.batches import BatchIterator, make_loader
from isvs_jax.training.config import TrainConfig
from isvs_jax.training.step import Batch

NUMBER = 22


def numbered(dtype: type = np.uint8) -> Split:
    """Images whose pixels all are the image's number, or a 255th of it, and labels that are the number too."""
    numbers = np.arange(NUMBER, dtype=np.uint8)
    pixels = numbers if dtype is np.uint8 else (numbers / np.float32(255)).astype(np.float32)
    return Split(np.tile(pixels[:, None, None, None], (1, 2, 3, 1)), numbers.astype(np.int32))


def configured(**changes: object) -> TrainConfig:
    return TrainConfig(**{"epochs": 3, "batch_size": 4, "seed": 7, **changes})  # type: ignore[arg-type]


def collected(loader: BatchIterator) -> list[Batch]:
    found = list(loader)
    loader.close()
    return found


def assert_same(one: Batch, two: Batch) -> None:
    for name, left, right in zip(Batch._fields, one, two, strict=True):
        assert left.dtype == right.dtype, name
        np.testing.assert_array_equal(left, right, err_msg=name)


def test_each_epoch_takes_every_image_once_but_for_another_rest() -> None:
    batches = collected(make_loader(numbered(), configured(epochs=8)))
    assert len(batches) == 8 * 5
    epochs = np.concatenate([batch.labels for batch in batches]).reshape(8, 20)
    assert all(len(set(epoch)) == 20 for epoch in epochs.tolist())
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == 8
    rests = {frozenset(range(NUMBER)) - set(epoch) for epoch in epochs.tolist()}
    assert len(rests) > 4


def test_the_images_themselves() -> None:
    for dtype in (np.uint8, np.float32):
        split = numbered(dtype)
        for batch in collected(make_loader(split, configured())):
            assert batch.images.dtype == dtype
            assert batch.images.shape == (4, 2, 3, 1)
            assert batch.labels.dtype == batch.positions.dtype == np.int32
            np.testing.assert_array_equal(batch.images, split.images[batch.labels])
            np.testing.assert_array_equal(batch.positions, range(4))


@pytest.mark.parametrize("count", [2, 4])
def test_any_number_of_processes_sees_the_same_batches(count: int) -> None:
    config = configured()
    whole = collected(make_loader(numbered(), config))
    parts = [
        collected(make_loader(numbered(), config, process_index=index, process_count=count)) for index in range(count)
    ]
    for batch, *shards in zip(whole, *parts, strict=True):
        assert all(len(shard.labels) == 4 // count for shard in shards)
        # Put together by their positions, whatever the order in which the processes are asked.
        rows = [np.concatenate(field) for field in zip(*shards[::-1], strict=True)]
        order = np.argsort(rows[-1])
        assert_same(Batch(*(field[order] for field in rows)), batch)


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    config = configured()
    whole = collected(make_loader(numbered(), config))
    for start in (0, 4, 5, 14, 15):
        rest = collected(make_loader(numbered(), config, start_step=start, prefetch=3))
        assert len(rest) == 15 - start
        for one, two in zip(whole[start:], rest, strict=True):
            assert_same(one, two)
    other = collected(make_loader(numbered(), configured(seed=8)))
    assert any((one.labels != two.labels).any() for one, two in zip(whole, other, strict=True))
    # Neighbouring seeds share no order, not even of different epochs.
    orders = [{tuple(batch.labels) for batch in run} for run in (whole, other)]
    assert not orders[0] & orders[1]


def test_the_state_leads_to_the_same_next_batch() -> None:
    loader = make_loader(numbered(), configured())
    for _ in range(7):
        next(loader)
    state = loader.get_state()
    rest = list(loader)
    assert len(rest) == 8
    # Back in the same iterator, and in another that started elsewhere and reads ahead by another number.
    loader.set_state(state)
    assert_same(next(loader), rest[0])
    with pytest.raises(ValueError, match="next_step must be an integer from 0 to 15; got 16"):
        loader.set_state({"next_step": 16})
    loader.close()
    other = make_loader(numbered(), configured(), start_step=3, prefetch=5)
    other.start_prefetch()
    other.set_state(state)
    for one, two in zip(rest, other, strict=True):
        assert_same(one, two)
    assert other.get_state() == {"next_step": 15}
    with pytest.raises(StopIteration):
        next(other)


def test_grain_saves_and_restores_the_iterator(tmp_path: Path) -> None:
    loader = make_loader(numbered(), configured())
    next(loader)
    assert isinstance(loader, grain.DatasetIterator)
    handler = grain.checkpoint.CheckpointHandler()
    handler.save(tmp_path, args=grain.checkpoint.CheckpointSave(loader))
    expected = next(loader)
    again = make_loader(numbered(), configured())
    handler.restore(tmp_path, args=grain.checkpoint.CheckpointRestore(again))
    assert_same(next(again), expected)
    loader.close()
    again.close()


def mapped(folder: Path, array: np.ndarray) -> np.ndarray:
    np.save(folder / "array.npy", array)
    return np.load(folder / "array.npy", mmap_mode="r")


def test_mapped_arrays_travel_by_the_names_of_their_files(tmp_path: Path) -> None:
    split = numbered()
    on_disk = Split(mapped(tmp_path, np.tile(split.images, (1, 40, 40, 1))), split.labels)
    loader = make_loader(on_disk, configured())
    whole = len(pickle.dumps(np.asarray(on_disk.images)))
    packed = pickle.dumps(loader._source)
    assert len(packed) < whole / 10
    batch = pickle.loads(packed)(3)
    assert_same(batch, list(loader)[3])
    # A part of a map has to travel itself: its place in the file is not known.
    part = Split(on_disk.images[5:], split.labels[5:] - 5)
    loader = make_loader(part, configured())
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(loader._source))(0).images, next(loader).images)


def test_worker_processes_give_the_same_batches(tmp_path: Path) -> None:
    split = Split(mapped(tmp_path, numbered().images), numbered().labels)
    config = configured()
    expected = collected(make_loader(split, config))
    with_workers = make_loader(split, config, workers=2, start_step=9)
    for batch in expected[9:12]:
        assert_same(next(with_workers), batch)
    assert with_workers.get_state() == {"next_step": 12}
    with_workers.close()


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "grain" in thread.name]


@pytest.mark.parametrize("end", ["close", "drop"])
def test_threads_end_with_the_iterator(end: str) -> None:
    gc.collect()
    loader = make_loader(numbered(), configured())
    next(loader)
    assert readers()
    if end == "close":
        loader.close()
        loader.close()
    else:
        del loader
    deadline = time.monotonic() + 5
    while readers() and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert not readers()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"process_count": 3}, "batch_size must be a multiple of 3, the number of processes; got 4"),
        ({"process_count": 0}, "process_count must be an integer of at least 1; got 0"),
        ({"process_count": 2, "process_index": 2}, "process_index must be an integer from 0 to 1; got 2"),
        ({"start_step": 16}, "start_step must be an integer from 0 to 15; got 16"),
        ({"start_step": -1}, "start_step must be an integer from 0 to 15; got -1"),
        ({"workers": -1}, "workers must be an integer of at least 0; got -1"),
        ({"prefetch": 0}, "prefetch must be an integer of at least 1; got 0"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make_loader(numbered(), configured(), **options)


def test_more_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size must be at most 22, the number of training images; got 23"):
        make_loader(numbered(), configured(batch_size=23))
    with pytest.raises(ValueError, match="seed must be an integer from 0 to 4294967295; got -1"):
        make_loader(numbered(), configured(seed=-1))
