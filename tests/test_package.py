"""What a user of the bare package meets: a light import, public names."""

import json
import subprocess
import sys

import pytest

import isvs_jax

HEAVY = (
    "flax",
    "optax",
    "tensorflow",
    "tensorflow_datasets",
    "torch",
    "matplotlib",
    "PIL",
    "sklearn",
    "scipy.optimize",
    "grain",
    "tqdm",
)
# What is there after each import, one after the other in a process of their own.
IMPORTS = f"""
import json, sys, isvs_jax, jax._src.xla_bridge as bridge
found = {{"corruptions": len(isvs_jax.robustness.CORRUPTIONS), "training": hasattr(isvs_jax, "training")}}
import isvs_jax.robustness.evaluation
found["device"] = bridge.backends_are_initialized()
print(json.dumps(found | {{"heavy": [name for name in {HEAVY!r} if name in sys.modules]}}))
"""


@pytest.fixture(scope="module")
def imported():
    result = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


def test_import_brings_nothing_heavy(imported):
    assert imported["heavy"] == []


def test_import_starts_no_device(imported):
    assert imported["device"] is False


def test_the_referee_is_there_when_asked_for(imported):
    assert imported["corruptions"] == 15
    assert imported["training"] is False


def test_every_public_name_is_there_and_documented():
    for name in isvs_jax.__all__:
        assert getattr(isvs_jax, name).__doc__, name
