"""What a user of the bare package meets: a light import, public names, sentences where an extra is missing."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import isvs_jax

SUBPACKAGES = ("augment", "data", "filters", "models", "plotting", "robustness", "training")
EXTRAS = ("PIL", "flax", "grain", "matplotlib", "optax", "sklearn", "tensorflow_datasets", "tqdm", "tyro")
HEAVY = (*EXTRAS, "scipy.optimize", "tensorflow", "torch")
# What the imports bring, one after the other in a process of their own.
IMPORTS = f"""
import json, sys, isvs_jax
heavy = {{}}
for name in ["solver", *{SUBPACKAGES!r}]:
    if name not in ("models", "training"):
        getattr(isvs_jax, name)
        heavy[name] = [module for module in {HEAVY!r} if module in sys.modules]
classes = [isvs_jax.models.CNN.__name__, isvs_jax.training.TrainConfig.__name__]
print(json.dumps({{"heavy": heavy, "corruptions": len(isvs_jax.robustness.CORRUPTIONS), "classes": classes}}))
"""
# The commands and the subpackages where no extra is installed.
HIDDEN = f"""
import contextlib, io, json, runpy, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
said = {{}}
commands = (["", "photo.png"], [".data", "describe", "digits"], [".robustness", "judge"], [".training", "raw"])
for command in (["isvs_jax" + part, *rest] for part, *rest in commands):
    sys.argv, errors = command, io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        except SystemExit as end:
            said[command[0]] = [end.code, errors.getvalue()]
import isvs_jax
for subpackage, name in (("models", "CNN"), ("training", "train")):
    try:
        getattr(getattr(isvs_jax, subpackage), name)
    except ModuleNotFoundError as error:
        said[name] = [1, str(error)]
print(json.dumps(said))
"""


def run_alone(code: str, folder: Path, **environment: str) -> dict[str, object]:
    paths = os.pathsep.join([str(Path(isvs_jax.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_imports_bring_nothing_heavy_and_start_no_device(tmp_path):
    # There is no such platform: whatever started a device would raise.
    found = run_alone(IMPORTS, tmp_path, JAX_PLATFORMS="nonsense")
    assert found["heavy"] == {name: [] for name in found["heavy"]}
    assert len(found["heavy"]) == 6
    assert found["corruptions"] == 15
    assert found["classes"] == ["CNN", "TrainConfig"]


def test_a_missing_extra_is_one_sentence(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"")
    said = run_alone(HIDDEN, tmp_path)
    assert set(said) == {
        "isvs_jax",
        *(f"isvs_jax.{part}" for part in ("data", "robustness", "training")),
        "CNN",
        "train",
    }
    for name, (status, text) in said.items():
        extra = "photo" if name == "isvs_jax" else "train"
        assert status == 1
        assert text.rstrip().endswith(f'pip install "isvs_jax[{extra}]"'), text
        assert len(text.splitlines()) == 1


def test_the_package_shows_its_public_names_and_nothing_else():
    assert set(dir(isvs_jax)) == {*isvs_jax.__all__, *SUBPACKAGES, "__version__"}
    assert importlib.import_module("isvs_jax.augment") is isvs_jax.augment
    with pytest.raises(AttributeError, match="module 'isvs_jax' has no attribute 'trainings'"):
        _ = isvs_jax.trainings


def test_every_public_name_is_there_and_documented():
    for name in isvs_jax.__all__:
        assert getattr(isvs_jax, name).__doc__, name
