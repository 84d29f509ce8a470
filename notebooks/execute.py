"""Execute the notebooks from their texts and save them with their outputs.

python notebooks/execute.py            # all of them
python notebooks/execute.py 1 4        # those with these numbers
python notebooks/execute.py --check    # nothing is executed: are the .ipynb those of the texts?
"""

import argparse
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
TIMEOUT_SECONDS = 1800


def texts(numbers: list[str]) -> list[Path]:
    """The texts of the notebooks with these numbers; of all, where none are given."""
    found = sorted(FOLDER.glob("[0-9]_*.py"))
    unknown = [number for number in numbers if number not in {text.name[0] for text in found}]
    if unknown:
        raise SystemExit(f"notebooks are numbered {', '.join(text.name[0] for text in found)}; there is no {unknown}.")
    return [text for text in found if not numbers or text.name[0] in numbers]


def executed(text: Path) -> nbformat.NotebookNode:
    """The notebook of a text with its outputs; nothing in it changes from run to run but the outputs."""
    notebook = jupytext.read(text)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_SECONDS,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    client.execute()
    notebook.metadata.pop("language_info", None)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    return notebook


def same_cells(text: Path) -> bool:
    """Whether the .ipynb beside a text has its cells."""
    saved = text.with_suffix(".ipynb")
    if not saved.exists():
        return False
    one, other = ([(cell.cell_type, cell.source) for cell in jupytext.read(path).cells] for path in (text, saved))
    return one == other


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", nargs="*", help="of the notebooks; none are all")
    parser.add_argument("--check", action="store_true", help="only compare texts and .ipynb")
    arguments = parser.parse_args()
    chosen = texts(arguments.numbers)
    if arguments.check:
        different = [text.name for text in chosen if not same_cells(text)]
        sys.exit(f"not the cells of their texts: {', '.join(different)}; run make notebooks." if different else 0)
    for text in chosen:
        start = time.perf_counter()
        notebook = executed(text)
        saved = text.with_suffix(".ipynb")
        nbformat.write(notebook, saved)
        kilobytes = saved.stat().st_size / 1000
        print(f"{saved.name}: {time.perf_counter() - start:.0f} s, {kilobytes:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
