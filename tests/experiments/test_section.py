"""Tables and sections as Markdown and JSON."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from experiments.estimates import estimate
from experiments.section import Section, Table, write_index, write_section

TABLE = Table(
    "accuracy in %",
    ("n", "clean", "ECE"),
    {"raw": ("3", estimate([0.5]), estimate([0.1])), "path": ("1", estimate([0.6]), estimate([0.2], None, ["So."]))},
    best=(0, 1, -1),
)


@dataclass(frozen=True)
class Settings:
    out: Path = Path("there")


@pytest.fixture
def section() -> Section:
    figure = Figure()
    figure.add_subplot().plot([0, 1])
    return Section("some", "Some, title", "It holds.", (TABLE,), {"line": (figure, "A line.")}, ("Mind it.",))


def test_tables_show_shares_in_per_cent_and_the_best_of_each_column_bold() -> None:
    assert TABLE.markdown().splitlines() == [
        "| accuracy in % | n | clean | ECE |",
        "|---|---:|---:|---:|",
        "| raw | 3 | 50.0 | **10.0** |",
        "| path | 1 | **60.0** | 20.0* |",
    ]


def test_a_section_leaves_text_numbers_and_pictures(section: Section, tmp_path: Path) -> None:
    text = write_section(section, tmp_path, Settings()).read_text()
    for part in ("# Some, title", "It holds.", TABLE.markdown(), "![A line.](line.png)", "- Mind it.", "Command: `"):
        assert part in text
    assert (tmp_path / "some" / "line.png").read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((tmp_path / "some" / "result.json").read_text())
    assert numbers["settings"] == {"out": "there"}
    assert numbers["remarks"] == ["Mind it."]
    assert numbers["tables"][0]["rows"]["path"][2]["warnings"] == ["So."]
    assert {"command", "commit", "date", "hardware", "versions"} <= set(numbers["made"])


def test_every_link_of_the_page_leads_somewhere(section: Section, tmp_path: Path) -> None:
    write_section(section, tmp_path, Settings())
    text = write_index([section], tmp_path).read_text()
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert "#some-title" in links
    assert {link for link in links if not link.startswith("#")} == {"some/line.png", "some/result.json"}
    assert all((tmp_path / link).is_file() for link in links if not link.startswith("#"))
    assert "## Some, title" in text
    assert TABLE.markdown() in text
