"""Options of the benchmarks, the images, and what is written about the machine. Everything runs on the CPU."""

import functools
import os
import shlex
from typing import Any

import jax
import numpy as np
import pytest

from benchmarks.common import photographs
from benchmarks.peers import peers
from isvs_jax import environment

jax.config.update("jax_platforms", "cpu")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("peers")
    folder = os.environ.get("TFDS_DATA_DIR")
    group.addoption("--tfds-dir", default=folder, help="folder of prepared TFDS data sets (default: $TFDS_DATA_DIR)")
    group.addoption("--tfds-name", help="data set in it, 32×32×3; without it 32×32 photographs of scikit-image")


@pytest.fixture(scope="session")
def images_of(request: pytest.FixtureRequest) -> Any:
    """Float32 images [count, size, size, 3]: no more than 128 small and 16 large ones differ."""
    name, folder = (request.config.getoption(f"--tfds-{option}") for option in ("name", "dir"))

    @functools.cache
    def made(size: int) -> np.ndarray:
        count = 128 if size <= 32 else 16 if size <= 512 else 1
        return photographs(size, count, folder if name else None, name or "")

    def images(size: int, count: int) -> np.ndarray:
        found = made(size)
        return np.resize(found, (count, *found.shape[1:]))

    return images


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """What every report of this repository says."""
    session = environment.session(jax.devices())
    session["command"] = shlex.join(["python", "-m", "pytest", *config.invocation_params.args])
    session["versions"] = environment.versions(
        "torch", "deepinv", "kornia", "scikit-image", "scipy", "pytest-benchmark"
    )
    session["data"] = config.getoption("--tfds-name") or "photographs of scikit-image"
    session["load"] = os.getloadavg()[0]
    machine_info["session"] = session


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    """How busy the machine was at the end, too."""
    session = output_json["machine_info"]["session"]
    session["load_at_the_end"] = os.getloadavg()[0]
    worker = _scico()
    if worker is not None:
        session["versions"] |= {f"{name} of SCICO" if name == "jax" else name: v for name, v in worker.versions.items()}


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process of SCICO."""
    worker = _scico()
    if worker is not None:
        worker.close()


def _scico() -> Any:
    """The process of SCICO where this run has started it."""
    worker = peers.scico_process() if peers.scico_process.cache_info().currsize else None
    return None if isinstance(worker, str) else worker
