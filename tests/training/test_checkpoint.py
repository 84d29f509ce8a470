import dataclasses
import shutil
from collections import namedtuple
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isvs_jax.training import TrainState, init_state
from isvs_jax.training.checkpoint import Checkpoints, Kept
from tests.training.networks import Minute


def state_at(step: int) -> TrainState:
    state = init_state(Minute(), optax.adam(1e-3), (8, 8, 1), seed=step, average=True)
    return dataclasses.replace(state, step=jnp.int32(step))


def same(one: TrainState, two: TrainState) -> bool:
    plain = [dataclasses.replace(state, key=jax.random.key_data(state.key)) for state in (one, two)]
    return all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, plain), strict=True))


def test_all_of_a_state_comes_back(tmp_path: Path) -> None:
    with Checkpoints(tmp_path / "kept") as checkpoints:
        assert checkpoints.restore(state_at(0)) is None
        checkpoints.save(Kept(state_at(3), {"next_step": 3}))
    with Checkpoints(tmp_path / "kept") as checkpoints:
        found = checkpoints.restore(state_at(0))
        assert found is not None
        assert same(found.state, state_at(3))
        assert found.iterator == {"next_step": 3}


def test_the_last_few_and_the_best_are_kept(tmp_path: Path) -> None:
    with Checkpoints(tmp_path, keep=2, tested=True) as checkpoints:
        for step, accuracy in ((1, 0.2), (2, 0.9), (3, None), (4, 0.5), (5, 0.6), (6, None)):
            checkpoints.save(Kept(state_at(step), {"next_step": step}), accuracy)
        checkpoints.wait()
        assert checkpoints.best_step == 2
        assert checkpoints.latest_step == 6
        best = checkpoints.restore(state_at(0), step=2)
        assert best is not None
        assert same(best.state, state_at(2))
        with pytest.raises(ValueError, match=r"step must be one of \[2, 5, 6\], the checkpoints in .*; got 3"):
            checkpoints.restore(state_at(0), step=3)


def test_a_damaged_checkpoint_is_passed_over_and_put_aside(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with Checkpoints(folder) as checkpoints:
        for step in (1, 2):
            checkpoints.save(Kept(state_at(step), {"next_step": step}))
    for file in (folder / "2").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with Checkpoints(folder) as checkpoints:
        with pytest.warns(UserWarning, match="checkpoint of step 2 cannot be read and is passed over"):
            found = checkpoints.restore(state_at(0))
        assert found is not None
        assert same(found.state, state_at(1))
        assert (tmp_path / "kept-damaged" / "2-0").is_dir()
        # The step comes again, and is saved.
        checkpoints.save(Kept(state_at(2), {"next_step": 2}))
        checkpoints.wait()
        again = checkpoints.restore(state_at(0))
        assert again is not None
        assert same(again.state, state_at(2))


def test_where_none_can_be_read_all_stay_and_the_run_does_not_start_over(tmp_path: Path) -> None:
    with Checkpoints(tmp_path / "kept") as checkpoints:
        for step in (1, 2):
            checkpoints.save(Kept(state_at(step), {"next_step": step}))
        checkpoints.wait()
        # Damage that Orbax sees at once, before it starts to read in the background.
        for step in (1, 2):
            shutil.rmtree(tmp_path / "kept" / str(step) / "state")
    with (
        Checkpoints(tmp_path / "kept") as checkpoints,
        pytest.raises(OSError, match=r"no checkpoint can be read \(tried: steps 2, 1\). The first said"),
    ):
        checkpoints.restore(state_at(0))
    with Checkpoints(tmp_path / "kept") as checkpoints:
        assert checkpoints.latest_step == 2
    assert not (tmp_path / "kept-damaged").exists()


def test_a_reader_leaves_alone_what_a_run_is_writing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(Kept(state_at(1), {"next_step": 1}))
    writing = tmp_path / "2.orbax-checkpoint-tmp"
    shutil.copytree(tmp_path / "1", writing)
    caplog.clear()
    with Checkpoints(tmp_path, tested=True, read_only=True) as checkpoints:
        # To read is what was asked for, and no reason for a warning.
        assert not [record for record in caplog.records if record.levelname == "WARNING"]
        found = checkpoints.restore(state_at(0))
        assert found is not None
        assert same(found.state, state_at(1))
        assert checkpoints.best_step is None
    assert writing.exists()


def test_a_half_written_checkpoint_does_not_count(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(Kept(state_at(1), {"next_step": 1}))
    # What a kill leaves while Orbax writes.
    shutil.copytree(tmp_path / "1", tmp_path / "2.orbax-checkpoint-tmp")
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest_step == 1


def test_a_full_disk_is_said_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    with Checkpoints(tmp_path) as checkpoints:
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10, 9, 1))
        with pytest.raises(OSError, match=r"a checkpoint takes .* MB, but 0.0 MB are free"):
            checkpoints.save(Kept(state_at(1), {}))
