"""Hooks of MkDocs: every notebook is a page, with the outputs that it was saved with, and figures stay on one line."""

import base64
import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"

# "54.8 ± 3.0", "−0.9 ± 0.7"; a cell of nothing but figures, such as "1.3 (0.9 to 1.8)" or "53 · 0.41 (0.77)".
_INTERVAL = re.compile(r"(\d[\d.,]*%?)(</strong>)? ± (\d)")
_CELL = re.compile(r"<td( [^>]*)?>(.*?)</td>", re.DOTALL)
_FIGURES = re.compile(r"[-+−–~∞]?\d(?:[\d\s.,:/%*()±·×…∞+−–-]|to|e[+-]|\u00a0)*")
# "κ = 5", "t ≈ 1/σ": no line begins with what comes behind a letter.
_RELATION = re.compile(r"(?<=\b[tKnδερκνσ]) ([=≈≤≥→]) (?=\S)")
_CODE = re.compile(r"(<pre.*?</pre>|<code.*?</code>)", re.DOTALL)
_HYPHEN = re.compile(r"(?<![\d-])-(?=\d)")
_TAG = re.compile(r"<[^>]+>")
_INLINE = re.compile(r"(?<!<pre>)(?<!</span>)<code>([^<]*--[^<]*)</code>")
_OPTION, _WHOLE = re.compile(r"--[\w.-]+"), r"<span class=option>\g<0></span>"
# Cells of more characters than these are sentences, which need room.
_LONG = 28


def on_files(files: Any, *, config: Any) -> Any:
    """Called with the files of the site; adds notebooks/NAME.md and its pictures."""
    from mkdocs.structure.files import File

    for notebook in sorted(FOLDER.glob("*.ipynb")):
        text, pictures = as_page(notebook)
        files.append(File.generated(config, f"notebooks/{notebook.stem}.md", content=text))
        for name, picture in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=picture))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Called with the text of a page; links to a notebook, as they stand in the repository, lead to its page."""
    if "/" in page.file.src_uri:
        return markdown
    return re.sub(r"\]\(\.\./notebooks/(\w+)\.ipynb\)", r"](notebooks/\1.md)", markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Called with the page as HTML, before the frame of the site is put around it."""
    parts = _CODE.split(mark_cells(html))
    # Every other part is code, which is copied and must stay as it is.
    parts[::2] = [_RELATION.sub("\u00a0\\1\u00a0", part) for part in parts[::2]]
    return keep_options_whole("".join(parts))


def mark_cells(html: str) -> str:
    """No line breaks around ±; cells of figures get the class "figure" and a minus for a hyphen, long ones "text"."""
    return _CELL.sub(_marked, _INTERVAL.sub("\\1\\2\u00a0±\u00a0\\3", html))


def _marked(cell: re.Match[str]) -> str:
    attributes, content = cell[1] or "", cell[2]
    text = " ".join(_TAG.sub("", content).split())
    if _FIGURES.fullmatch(text):
        content = _HYPHEN.sub("−", content)
        return f'<td class="figure"{attributes}>{content}</td>'
    return f'<td class="text"{attributes}>{content}</td>' if len(text) > _LONG else cell[0]


def keep_options_whole(html: str) -> str:
    """No line break after the first hyphen of "--option" in the running text."""
    return _INLINE.sub(lambda code: f"<code>{_OPTION.sub(_WHOLE, code[1])}</code>", html)


def as_page(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and its pictures by their names."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        printed = "".join("".join(output.get("text", "")) for output in cell["outputs"]).rstrip()
        if printed:
            parts.append(f"```text\n{printed}\n```")
        for data in (output["data"] for output in cell["outputs"] if "data" in output):
            if "image/png" in data:
                name = f"{notebook.stem}_{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![What the cell above draws]({name})")
            elif "text/html" in data:
                parts.append("".join(data["text/html"]))
            else:
                parts.append(f"```text\n{''.join(data['text/plain'])}\n```")
    return "\n\n".join(parts) + "\n", pictures
