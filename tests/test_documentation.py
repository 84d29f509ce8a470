"""The pages: every public name is in the API, links lead to files, nothing is left out."""

import importlib
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
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


def test_every_page_is_in_the_navigation():
    navigation = (DOCS.parent / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    named = set(re.findall(r": (\S+\.md)$", navigation, re.MULTILINE))
    assert named == {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
