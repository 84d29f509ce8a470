"""The examples run: of the docstrings that no other test runs, and of the pages whose code stands alone."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

import isvs_jax

# The examples show what comes out, not how quickly.
pytestmark = pytest.mark.usefixtures("cheap_compilation")

# Run by tests/test_package.py, tests/robustness/test_examples.py and tests/robustness/report/test_examples.py.
ELSEWHERE = {
    *(f"isvs_jax.solver.{name}" for name in ("edges", "flow", "regions", "_scale_space", "_smooth")),
    *(f"isvs_jax.robustness.{name}" for name in ("adaptive", "batches", "defences", "masking", "text")),
    *(f"isvs_jax.robustness.attacks.{name}" for name in ("noise",)),
}
ROOT = Path(isvs_jax.__file__).parent


def modules_with_examples() -> list[str]:
    """By their text, so that nothing is imported while tests are collected."""
    files = (file for file in sorted(ROOT.rglob("*.py")) if ">>> " in file.read_text())
    return [".".join(("isvs_jax", *file.relative_to(ROOT).with_suffix("").parts)) for file in files]


def test_no_example_is_run_twice_by_mistake():
    assert set(modules_with_examples()) >= ELSEWHERE


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in modules_with_examples()
        if name not in ELSEWHERE and not name.startswith("isvs_jax.robustness.evaluation.")
    ],
)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("page", ["index.md", "questions.md"])
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.chdir(tmp_path)
    # Pages show a photograph; what is tested is that their code runs, on every eighth pixel of it.
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    small = data.coffee()[::8, ::8]
    monkeypatch.setattr(data, "coffee", lambda: small)
    code = re.findall(r"^```python\n(.*?)^```$", (ROOT.parent / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    assert code
    for block in code:
        exec(compile(block, page, "exec"), {})
