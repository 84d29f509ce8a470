"""What only whole processes show: kills, and several of them training together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from isvs_jax.training import load_classifier

COMMAND = [sys.executable, "-m", "isvs_jax.training", "noise"]
SMALL = ["--data.image-size", "8", "--data.limit-train", "160", "--data.limit-test", "20"]
STEPS = 3 * 10
SHORT = [
    *("--train.epochs", "3", "--train.batch-size", "16"),
    *("--train.optimizer.name", "sgd", "--train.optimizer.learning-rate", "0.05"),
    *("--resources.checkpoint-steps", "4", "--resources.log-steps", "1"),
]


def start(out: Path, *more: str, devices: int = 1) -> subprocess.Popen[str]:
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    return subprocess.Popen(
        [*COMMAND, "--out", str(out), *SMALL, *SHORT, *more],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str], status: int = 0) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == status, output
    return output


def parameters(out: Path) -> list[np.ndarray]:
    return list(map(np.asarray, jax.tree.leaves(load_classifier(out))))


def steps_done(out: Path) -> int:
    log = out / "log.jsonl"
    return len(log.read_text().splitlines()) if log.exists() else 0


def wait_for(out: Path, step: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 240
    while steps_done(out) < step and time.monotonic() < end:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)
    assert steps_done(out) >= step, "the run took too long"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    finish(start(out))
    return out


def test_a_killed_run_ends_the_same_to_the_bit(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    process = start(out)
    wait_for(out, 7, process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (out / "result.json").exists()
    finish(start(out))
    for one, two in zip(parameters(whole), parameters(out), strict=True):
        np.testing.assert_array_equal(one, two)
    results = [json.loads((folder / "result.json").read_text()) for folder in (whole, out)]
    assert results[0]["parameters_sha256"] == results[1]["parameters_sha256"]
    assert steps_done(out) == STEPS


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
        outputs = [finish(process) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert "clean accuracy" in outputs[0]
    # Written once: a line a step, one session, one set of checkpoints.
    assert steps_done(out) == STEPS
    assert len(json.loads((out / "environment.json").read_text())) == 1
    assert json.loads((out / "environment.json").read_text())[0]["processes"] == 2
    for one, two in zip(parameters(whole), parameters(out), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)
