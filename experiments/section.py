"""What an experiment leaves: tables and pictures with the sentence that they are about, as Markdown, JSON and PNG."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from experiments.estimates import Estimate
from isvs_jax import environment
from isvs_jax._files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DOTS = 110


@dataclass(frozen=True)
class Table:
    """Rows of figures.

    Attributes:
        title: The heading of the names of the rows.
        columns: The headings of the figures.
        rows: The cells of each row by its name, one for each column: an `Estimate` of a share, or text.
        best: For each column 1 where the largest mean is to be shown bold, −1 for the smallest, 0 for none; () for none
            anywhere.
    """

    title: str
    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[Estimate | str]]
    best: tuple[int, ...] = ()

    def markdown(self) -> str:
        """A Markdown table, shares in per cent."""
        bold = [self._best_row(index, sign) for index, sign in enumerate(self.best or (0,) * len(self.columns))]
        lines = [f"| {self.title} | " + " | ".join(self.columns) + " |", "|---|" + "---:|" * len(self.columns)]
        for name, cells in self.rows.items():
            texts = [cell if isinstance(cell, str) else cell.percent() for cell in cells]
            shown = [f"**{text}**" if bold[index] == name else text for index, text in enumerate(texts)]
            lines.append(f"| {name} | " + " | ".join(shown) + " |")
        return "\n".join(lines) + "\n"

    def _best_row(self, index: int, sign: int) -> str | None:
        column = {name: cells[index] for name, cells in self.rows.items()}
        means = {name: cell.mean for name, cell in column.items() if isinstance(cell, Estimate)}
        return max(means, key=lambda name: sign * means[name]) if sign and means else None


@dataclass(frozen=True)
class Section:
    """What an experiment found.

    Attributes:
        name: The name of the experiment and of its folder.
        title: The heading.
        claim: The sentence that is put to the test.
        tables: The tables, in order.
        pictures: The figures by the name of their file, without ending, each with a caption.
        remarks: What a reader must know to judge the figures, a sentence each.
    """

    name: str
    title: str
    claim: str
    tables: tuple[Table, ...]
    pictures: Mapping[str, tuple["Figure", str]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def write_section(section: Section, root: Path, settings: Any) -> Path:
    """Write root/NAME/{report.md, result.json, PICTURE.png}; the path of report.md.

    Args:
        section: The section.
        root: The folder of the study.
        settings: The configuration that made it, a dataclass.
    """
    folder = root / section.name
    folder.mkdir(parents=True, exist_ok=True)
    for file, (figure, _) in section.pictures.items():
        figure.savefig(folder / f"{file}.png", dpi=_DOTS, bbox_inches="tight")
    made = environment.session(jax.devices()) | {"versions": environment.versions("flax", "optax")}
    result = {
        "claim": section.claim,
        "tables": [dataclasses.asdict(table) for table in section.tables],
        "remarks": section.remarks,
        "settings": dataclasses.asdict(settings),
        "made": made,
    }
    write_atomically(folder / "result.json", json.dumps(result, indent=1, ensure_ascii=False, default=str) + "\n")
    write_atomically(folder / "report.md", _markdown(section, made))
    return folder / "report.md"


def write_index(sections: Sequence[Section], root: Path) -> Path:
    """Write root/README.md, a page with the tables, pictures and remarks of several experiments; its path."""
    made = environment.session(jax.devices())
    contents = [f"- [{section.title}](#{_anchor(section.title)}): {section.claim}" for section in sections]
    parts = ["# Experiments\n", "\n".join(contents) + "\n"]
    for section in sections:
        parts += [f"## {section.title}\n", f"{section.claim}\n", *_body(section, f"{section.name}/")]
        parts.append(f"Figures: [{section.name}/result.json]({section.name}/result.json).\n")
    parts.append(_provenance(made))
    write_atomically(root / "README.md", "\n".join(parts))
    return root / "README.md"


def _markdown(section: Section, made: Mapping[str, Any]) -> str:
    return "\n".join([f"# {section.title}\n", f"{section.claim}\n", *_body(section, ""), _provenance(made)])


def _body(section: Section, folder: str) -> list[str]:
    """Tables, pictures and remarks, with links relative to a page that lies above `folder`."""
    parts = [table.markdown() for table in section.tables]
    parts += [f"![{caption}]({folder}{file}.png)\n\n{caption}\n" for file, (_, caption) in section.pictures.items()]
    if section.remarks:
        parts.append("".join(f"- {remark}\n" for remark in section.remarks))
    return parts


def _anchor(title: str) -> str:
    """The name by which Markdown links to a heading."""
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")


def _provenance(made: Mapping[str, Any]) -> str:
    hardware = made["hardware"]
    return (
        f"Command: `{made['command']}`; commit {made['commit']}; {hardware['processor']}, {hardware['cores']} cores, "
        f"{hardware['device_count']} × {hardware['device_kind']}; {made['date']}.\n"
    )
