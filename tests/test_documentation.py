"""The pages: every public name is in the API, links lead to files, nothing is left out."""

import ast
import importlib
import json
import re
import runpy
from pathlib import Path

import pytest

import isvs_jax

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOKS = sorted((DOCS.parent / "notebooks").glob("*.ipynb"))
PAGES = {
    "core": "isvs_jax",
    "filters": "isvs_jax.filters",
    "augment": "isvs_jax.augment",
    "plotting": "isvs_jax.plotting",
    "data": "isvs_jax.data",
    "models": "isvs_jax.models",
    "training": "isvs_jax.training",
    "robustness": "isvs_jax.robustness",
    "certification": "isvs_jax.robustness.certification",
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


def test_links_of_the_readme_lead_to_files():
    text = (DOCS.parent / "README.md").read_text()
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)", text) if not target.startswith("https://")]
    assert targets
    assert all((DOCS.parent / target).is_file() for target in targets)


def test_modules_that_export_a_function_of_their_own_name_are_private():
    """docs/contributing.md states it; so `package.name` is the function, for readers and for the API pages."""
    shared = []
    for file in Path(isvs_jax.__file__).parent.rglob("[!_]*.py"):
        defined = [node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)]
        shared += [file.name] if file.stem in defined else []
    assert not shared


def test_the_version_is_the_same_everywhere():
    citation, changelog = ((DOCS.parent / name).read_text() for name in ("CITATION.cff", "CHANGELOG.md"))
    version, date = re.search(r"^## ([\d.]+) \((\d{4}-\d\d-\d\d)\)$", changelog, re.MULTILINE).groups()
    assert version == isvs_jax.__version__
    assert f"\nversion: {version}\ndate-released: {date}\n" in citation


def test_readme_and_site_open_with_the_same_code():
    readme, site = (
        re.search(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        for page in (DOCS.parent / "README.md", DOCS / "index.md")
    )
    assert readme is not None
    assert site is not None
    assert readme[1] == site[1]


@pytest.mark.parametrize(
    ("cell", "marked"),
    [
        ("<td>54.8 ± 3.0*</td>", '<td class="figure">54.8\u00a0±\u00a03.0*</td>'),
        ("<td><strong>-0.9 ± 0.7</strong></td>", '<td class="figure"><strong>−0.9\u00a0±\u00a00.7</strong></td>'),
        ('<td style="x">1.3 (0.9 to 1.8)</td>', '<td class="figure" style="x">1.3 (0.9 to 1.8)</td>'),
        ("<td>2026-11-28</td>", '<td class="figure">2026-11-28</td>'),
        ("<td>0.05 t</td>", "<td>0.05 t</td>"),
        (f"<td>{'long ' * 9}</td>", f'<td class="text">{"long " * 9}</td>'),
        ("<p>wins 1.5 ± 0.9</p>", "<p>wins 1.5\u00a0±\u00a00.9</p>"),
    ],
)
def test_figures_stay_on_one_line(cell, marked):
    assert runpy.run_path(str(DOCS / "site_hooks.py"))["mark_cells"](cell) == marked


def test_relations_stay_on_one_line_but_code_as_it_is():
    changed = runpy.run_path(str(DOCS / "site_hooks.py"))["on_page_content"]
    code = "<pre><code>t = 4</code></pre> <code>n = 2</code>"
    assert (
        changed(f"<p>κ = 5 and t ≈ 1/σ, at t = 4</p>{code}")
        == f"<p>κ\u00a0=\u00a05 and t\u00a0≈\u00a01/σ, at t\u00a0=\u00a04</p>{code}"
    )


def test_options_stay_on_one_line():
    mark = runpy.run_path(str(DOCS / "site_hooks.py"))["keep_options_whole"]
    assert mark("<code>make --all x</code>") == "<code>make <span class=option>--all</span> x</code>"
    assert mark("<pre><code>make --all</code></pre>") == "<pre><code>make --all</code></pre>"


def test_every_page_is_in_the_navigation():
    navigation = (DOCS.parent / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    named = set(re.findall(r": (\S+\.md)$", navigation, re.MULTILINE))
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert named == pages | {f"notebooks/{notebook.stem}.md" for notebook in NOTEBOOKS}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_becomes_a_page_with_its_outputs(notebook):
    text, pictures = runpy.run_path(str(DOCS / "site_hooks.py"))["as_page"](notebook)
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert all("".join(cell["source"]) in text for cell in cells)
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert all(line.rstrip() in text for output in outputs for line in output.get("text", []))
    assert re.findall(r"^!\[.*\]\((.*)\)$", text, re.MULTILINE) == list(pictures)
    assert len(pictures) == sum("image/png" in output.get("data", {}) for output in outputs) > 0
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
