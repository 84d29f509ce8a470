"""Runs texts of notebooks one after another in this process: run_texts.py RESULTS TEXT...

RESULTS becomes a JSON object: for each text the error's traceback, or "" where there was none. As in Jupyter, what a
cell ends with is shown: figures are laid out.
"""

import ast
import json
import sys
import traceback
from pathlib import Path

from matplotlib.figure import Figure


def show(value):
    if isinstance(value, Figure):
        value.draw_without_rendering()


def run(text):
    tree = ast.parse(text.read_text(encoding="utf-8"), str(text))
    for node in tree.body:
        if isinstance(node, ast.Expr):
            node.value = ast.Call(ast.Name("_show", ast.Load()), [node.value], [])
    code = compile(ast.fix_missing_locations(tree), str(text), "exec")
    exec(code, {"__name__": "__main__", "_show": show})


results = {}
for text in map(Path, sys.argv[2:]):
    try:
        run(text)
        results[text.stem] = ""
    except Exception:
        results[text.stem] = traceback.format_exc()
    Path(sys.argv[1]).write_text(json.dumps(results), encoding="utf-8")
