"""The pages: every public name is in the API, links lead to files, nothing is left out."""

import importlib
import json
import re
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOKS = sorted((DOCS.parent / "notebooks").glob("*.ipynb"))
PAGES = {
    "core": "isvs_jax",
    "plotting": "isvs_jax.plotting",
    "data": "isvs_jax.data",
    "models": "isvs_jax.models",
    "training": "isvs_jax.training",
    "robustness": "isvs_jax.robustness",
}


@pytest.mark.parametrize(("page", "package"), PAGES.items())
def test_the_api_pages_hold_every_public_name(page, package):
    listed = re.findall(r"^::: (\S+)$", (DOCS / "api" / f"{page}.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(f"{package}.{name}" for name in importlib.import_module(package).__all__)


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).is_file(), target


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_names_that_pages_import_are_there(page):
    for module, names in re.findall(r"^ *from (isvs_jax[\w.]*) import (.+)$", page.read_text(), re.MULTILINE):
        for name in names.split(","):
            assert hasattr(importlib.import_module(module), name.split()[0]), f"{module}.{name}"


def test_every_page_is_in_the_navigation():
    navigation = (DOCS.parent / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    named = set(re.findall(r": (\S+\.md)$", navigation, re.MULTILINE))
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert named == pages | {f"notebooks/{notebook.stem}.md" for notebook in NOTEBOOKS}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_becomes_a_page_with_its_outputs(notebook):
    text, pictures = runpy.run_path(str(DOCS / "notebook_pages.py"))["as_page"](notebook)
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert all("".join(cell["source"]) in text for cell in cells)
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert all(line.rstrip() in text for output in outputs for line in output.get("text", []))
    assert re.findall(r"^!\[.*\]\((.*)\)$", text, re.MULTILINE) == list(pictures)
    assert len(pictures) == sum("image/png" in output.get("data", {}) for output in outputs) > 0
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
