"""Run the first Python block of README.md and keep the picture that it saves: docs/images/strip.png.

    python docs/strip.py

The photograph is scikit-image's `coffee`, by Rachel Michetti, released under CC0.
"""

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run the code in an empty folder and copy what it saved."""
    code = re.search(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert code is not None, "README.md must hold a block of Python."
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        exec(compile(code[1], "README.md", "exec"), {})
        picture = Path("strip.png").read_bytes()
        os.chdir(ROOT)
    (ROOT / "docs" / "images" / "strip.png").write_bytes(picture)
    print(f"docs/images/strip.png: {len(picture) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
