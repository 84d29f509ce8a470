"""Whatever ends a run, the same command goes on and ends the same; several processes train as one."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from isvs_jax.training import TrainState, execute, init_state, make_optimizer, read_log
from isvs_jax.training.checkpoint import CHECKPOINT_DIR, Checkpoints
from isvs_jax.training.command import main, parse
from tests.training.networks import Minute

# Three epochs of ten steps, with something of all that a step can depend on.
STEPS = 30
RUN = [
    *("path", "--data.image-size", "8", "--data.limit-train", "160", "--data.limit-test", "20"),
    *("--train.epochs", "3", "--train.batch-size", "16", "--train.ema-decay", "0.9"),
    *("--train.inputs.views", "dense:0.5", "--train.augmentation.crop", "1", "--train.augmentation.noise", "0.05"),
    *("--train.optimizer.name", "sgd", "--train.optimizer.learning-rate", "0.05"),
    *("--resources.checkpoint-steps", "4", "--resources.log-steps", "4"),
]
ONE = ["--resources.devices", "1"]

pytestmark = pytest.mark.usefixtures("minute_networks")
Arrange = Callable[[int, Callable[[], None]], None]


def train_here(out: Path) -> None:
    execute(parse([*RUN, *ONE, "--out", str(out)]), progress=False, say=lambda text: None)


def start(out: Path, *more: str, devices: int = 1) -> subprocess.Popen[str]:
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.child", *RUN, "--out", str(out), *more],
        env=environment,
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def state_in(out: Path) -> TrainState:
    """The newest checkpoint."""
    optimizer = make_optimizer(parse(RUN).train.optimizer, STEPS)
    with Checkpoints(out / CHECKPOINT_DIR, read_only=True) as checkpoints:
        kept = checkpoints.restore(init_state(Minute(), optimizer, (8, 8, 1), 0, average=True))
    assert kept is not None
    assert kept.iterator == {"next_step": int(kept.state.step)}
    return dataclasses.replace(kept.state, key=jax.random.key_data(kept.state.key))


def assert_same(one: TrainState, two: TrainState) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(two)
    jax.tree.map(np.testing.assert_array_equal, one, two)


@pytest.fixture(scope="module")
def whole(minute_networks: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    train_here(out)
    assert int(state_in(out).step) == STEPS
    return out


@pytest.fixture
def usual_sigterm() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_killed_process_is_taken_up_and_ends_the_same_to_the_bit(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    process = start(out, *ONE, "--resources.log-steps", "1")
    try:
        end = time.monotonic() + 240
        while len(read_log(out)) < 7 and time.monotonic() < end:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.002)
        process.send_signal(signal.SIGSTOP)
        # While it lives, the folder is its own.
        with pytest.raises(OSError, match=r"folder of a run must be free; got .*killed, where another process trains"):
            train_here(out)
        assert len(json.loads((out / "environment.json").read_text())) == 1
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 7 <= len(read_log(out)) < STEPS
    assert not (out / "result.json").exists()
    train_here(out)
    assert_same(state_in(whole), state_in(out))
    results = [json.loads((folder / "result.json").read_text()) for folder in (whole, out)]
    assert results[0]["parameters_sha256"] == results[1]["parameters_sha256"]
    steps = [line["step"] for line in read_log(out)]
    assert steps == sorted(set(steps))
    assert steps[-1] == STEPS


def test_an_interrupted_run_is_taken_up_and_a_damaged_checkpoint_passed_over(
    whole: Path, tmp_path: Path, at_step: Arrange
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    # In the middle of an epoch, a step after a checkpoint.
    at_step(17, interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_here(tmp_path)
    assert [line["step"] for line in read_log(tmp_path)] == [4, 8, 10, 12, 16]
    train_here(tmp_path)
    assert_same(state_in(whole), state_in(tmp_path))
    assert [line["step"] for line in read_log(tmp_path)] == [4, 8, 10, 12, 16, 20, 24, 28, 30]
    # A damaged last checkpoint: the one before is taken, and the end is the same.
    for file in (tmp_path / CHECKPOINT_DIR / str(STEPS)).rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with pytest.warns(UserWarning, match=f"checkpoint of step {STEPS} cannot be read"):
        train_here(tmp_path)
    assert_same(state_in(whole), state_in(tmp_path))


@pytest.mark.usefixtures("usual_sigterm")
def test_sigterm_saves_before_leaving_and_says_so(
    whole: Path, tmp_path: Path, at_step: Arrange, capsys: pytest.CaptureFixture[str]
) -> None:
    at_step(13, lambda: os.kill(os.getpid(), signal.SIGTERM))
    # Nothing but the signal asks for a checkpoint.
    assert main([*RUN, *ONE, "--out", str(tmp_path), "--resources.checkpoint-steps", "1000"]) == 130
    said = capsys.readouterr().err
    assert "stopped by SIGTERM; saved after step 13 of 30. The same command goes on from there." in said
    assert int(state_in(tmp_path).step) == 13
    train_here(tmp_path)
    assert_same(state_in(whole), state_in(tmp_path))


def test_two_processes_of_two_devices_end_with_the_parameters_of_one(whole: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    out = tmp_path / "together"
    together = ["--distributed.mode", "address", "--distributed.address", f"localhost:{port}"]
    processes = [
        start(out, *together, "--distributed.num-processes", "2", "--distributed.process-id", str(index), devices=2)
        for index in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert "clean accuracy" in outputs[0]
    # Written once: a line every four steps and at the end of an epoch, one session, one set of checkpoints.
    assert [line["step"] for line in read_log(out)] == [4, 8, 10, 12, 16, 20, 24, 28, 30]
    sessions = json.loads((out / "environment.json").read_text())
    assert [session["processes"] for session in sessions] == [2]
    for one, two in zip(*(jax.tree.leaves(state_in(folder).variables) for folder in (whole, out)), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)
