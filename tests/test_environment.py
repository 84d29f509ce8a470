import shutil
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import isvs_jax
from isvs_jax import environment


@pytest.mark.parametrize("package", ["isvs_jax", "isvs_jax.training", "isvs_jax.robustness"])
def test_the_command_is_the_one_that_was_given(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", ModuleSpec(f"{package}.__main__", None))
    monkeypatch.setattr(sys, "argv", ["/where/it/lies/__main__.py", "a b"])
    assert environment.command_line() == f"python -m {package} 'a b'"


def test_a_script_is_named_as_it_was_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.setattr(sys, "argv", ["notebooks/execute.py", "1"])
    assert environment.command_line().endswith("notebooks/execute.py 1")


def test_what_a_result_was_made_with() -> None:
    versions = environment.versions("flax", "no-such-package")
    assert versions["numpy"] == np.__version__
    assert versions["no-such-package"] == "not installed"
    assert versions["isvs_jax"] == isvs_jax.__version__
    one = environment.parameters_hash({"a": jnp.zeros(2)})
    assert one == environment.parameters_hash({"a": np.zeros(2, np.float32)})
    assert one != environment.parameters_hash({"b": jnp.zeros(2)})


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_that_of_the_package_and_of_no_repository_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        name = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", "-C", tmp_path, *name, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    (tmp_path / "environment.py").write_text("")
    monkeypatch.setattr(environment, "_PACKAGE", tmp_path)
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "Another project")
    assert environment.commit() == f"none (version {isvs_jax.__version__})"
    git("add", "environment.py")
    git("commit", "-q", "-m", "The package")
    assert environment.commit() == git("rev-parse", "--short=12", "HEAD")
    (tmp_path / "environment.py").write_text("1")
    assert environment.commit().endswith("-dirty")
    # Within a hook of that repository, git would take another folder for its own.
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "environment.py").write_text("")
    monkeypatch.setattr(environment, "_PACKAGE", tmp_path / "installed")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    assert environment.commit() == f"none (version {isvs_jax.__version__})"
