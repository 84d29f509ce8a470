"""Every example of a docstring runs, each module once, and so does the code of the pages whose code stands alone."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def modules_with_examples() -> list[str]:
    """By their text, so that nothing is imported while tests are collected."""
    files = (file for package in ("isvs_jax", "experiments") for file in sorted((ROOT / package).rglob("*.py")))
    return [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in files
        if re.search(r"^\s*>>> ", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_run(name, tmp_path, monkeypatch):
    if name.endswith("_from_torch"):
        pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_code_of_the_readme_on_the_solver_runs():
    """On smaller images than those that it shows."""
    section = (ROOT / "README.md").read_text().split("\n## The solver\n")[1].split("\n## ")[0]
    code = "".join(re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))
    names = {}
    exec(compile(code.replace("(8, 32, 32, 3)", "(8, 6, 6, 3)"), "README.md", "exec"), names)
    assert names["mapped"].shape == (3,)
    assert names["mapped"][0] < names["compiled"] < names["mapped"][2]
    assert names["slope"] > 0


@pytest.mark.parametrize("page", ["index.md", "questions.md"])
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.chdir(tmp_path)
    # Pages show a photograph; what is tested is that their code runs, on every eighth pixel of it.
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    small = data.coffee()[::8, ::8]
    monkeypatch.setattr(data, "coffee", lambda: small)
    code = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    assert code
    for block in code:
        exec(compile(block, page, "exec"), {})
