"""What a report was made with: versions, machine, command, commit, date, and hashes of what went in."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import isvs_jax

_PACKAGE = Path(__file__).parent
_PACKAGES = ("jax", "jaxlib", "numpy")


def versions(*more: str) -> dict[str, str]:
    """The versions of Python and of the packages that figures depend on; `more` names further packages."""
    ours = {"python": platform.python_version(), "isvs_jax": isvs_jax.__version__}
    return ours | {name: _version(name) for name in (*_PACKAGES, *more)}


def hardware(devices: Sequence[jax.Device]) -> dict[str, Any]:
    """The platform, kind and number of the devices that were used, and the machine around them."""
    return {
        "platform": devices[0].platform,
        "device_kind": devices[0].device_kind,
        "device_count": len(devices),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
    }


def session(devices: Sequence[jax.Device]) -> dict[str, Any]:
    """The command, commit, date and machine of this process."""
    return {"command": command_line(), "commit": commit(), "date": today(), "hardware": hardware(devices)}


def command_line() -> str:
    """The command of this process, as it can be typed again."""
    # Python puts a file's path where `-m` was said; what was said is in the specification of the module.
    module = getattr(sys.modules["__main__"], "__spec__", None)
    if module is not None:
        return shlex.join(["python", "-m", module.name.removesuffix(".__main__"), *sys.argv[1:]])
    return shlex.join([Path(sys.executable).name, *sys.argv])


def commit() -> str:
    """The commit that the package's own files are of, with "-dirty" where files differ; elsewhere "none" and a version.

    A repository that merely encloses an installation does not track these files, and is not asked.
    """
    if _git("ls-files", "--error-unmatch", Path(__file__).name):
        described = _git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
        if described:
            return described
    return f"none (version {isvs_jax.__version__})"


def _git(*arguments: str) -> str:
    """What git says in the folder of the package; nothing where it fails."""
    command = ["git", "-C", str(_PACKAGE), *arguments]
    # Within a hook of another repository, git would be told to look there.
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False, env=surroundings)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def today() -> str:
    """The date in UTC, as in ISO 8601."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def parameters_hash(tree: Any) -> str:
    """Compute the SHA-256 of a pytree of arrays: of their places, shapes, dtypes and bytes.

    >>> parameters_hash({"w": np.zeros(3)}) == parameters_hash({"w": np.zeros(4)})
    False
    """
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        array = np.ascontiguousarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape};".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def data_hash(images: np.ndarray, labels: np.ndarray) -> str:
    """Compute the SHA-256 of images and labels."""
    return parameters_hash((images, labels))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
