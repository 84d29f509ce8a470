"""Every notebook runs from its text at the smoke size, and its .ipynb holds the cells of the text with outputs."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
TEXTS = sorted(FOLDER.glob("[0-9]_*.py"))
NAMES = [text.stem for text in TEXTS]
# Asks for its devices before anything else does, so that it takes a process of its own.
ALONE = "5_many_devices"

NEEDED = ("equinox", "flax", "grain", "IPython", "matplotlib", "optax", "skimage", "sklearn")
MISSING = [package for package in NEEDED if find_spec(package) is None]


def ran(texts, folder):
    """What running texts one after another in a fresh process found: the traceback of each, or ""."""
    results = folder / "results.json"
    environment = os.environ | {
        "ISVS_JAX_NOTEBOOK_SIZE": "smoke",
        "MPLBACKEND": "agg",
        "PYTHONPATH": str(FOLDER.parent),
    }
    command = [sys.executable, "-W", "error", str(Path(__file__).with_name("run_texts.py")), str(results)]
    done = subprocess.run([*command, *map(str, texts)], env=environment, capture_output=True, text=True, cwd=folder)
    found = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    return {text.stem: found.get(text.stem, f"not reached:\n{done.stderr}") for text in texts}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    if MISSING:
        pytest.skip(f"{', '.join(MISSING)} not installed: pip install 'isvs_jax[notebooks]'")
    alone = [text for text in TEXTS if text.stem == ALONE]
    others = [text for text in TEXTS if text.stem != ALONE]
    return ran(others, tmp_path_factory.mktemp("others")) | ran(alone, tmp_path_factory.mktemp("alone"))


def test_there_are_seven():
    assert [name[0] for name in NAMES] == list("0123456")


def test_the_code_of_the_page_on_loops_is_that_of_its_notebook():
    """Which runs, so that the code of the page does."""
    notebook = (FOLDER / "6_your_own_loop.py").read_text(encoding="utf-8")
    page = (FOLDER.parent / "docs" / "loop.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 8
    assert all(f"\n{block}" in notebook for block in blocks)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_from_its_text(name, outcomes):
    assert outcomes[name] == ""


@pytest.mark.parametrize("text", TEXTS, ids=NAMES)
def test_a_saved_notebook_has_the_cells_of_its_text(text):
    jupytext = pytest.importorskip("jupytext", reason="jupytext is not installed")
    cells, saved = (
        [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]
        for path in (text, text.with_suffix(".ipynb"))
    )
    assert cells == saved


@pytest.mark.parametrize("text", TEXTS, ids=NAMES)
def test_a_saved_notebook_has_outputs_of_one_run_without_errors(text):
    cells = json.loads(text.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]


def test_the_saved_notebooks_are_small():
    assert sum(text.with_suffix(".ipynb").stat().st_size for text in TEXTS) < 3e6
