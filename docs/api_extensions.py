"""An extension of Griffe, which reads the package for the API pages."""

import re
from textwrap import indent
from typing import Any

import griffe

_HEADING = re.compile(r"^Example:(?=\n\s+>>>)", re.MULTILINE)
_BARE = re.compile(r"(?<=\n\n)>>> .*(?:\n.+)*")


class ExamplesAsCode(griffe.Extension):
    """Examples are shown as Python code."""

    def on_package(self, *, pkg: griffe.Module, **options: Any) -> None:
        """Called when the package has been read."""
        _mark_examples(pkg)


def _mark_examples(parent: griffe.Object) -> None:
    """Sections "Example:" and examples without a heading become "Examples:", which Griffe shows as Python."""
    if parent.docstring:
        text = _HEADING.sub("Examples:", parent.docstring.value)
        parent.docstring.value = _BARE.sub(lambda found: "Examples:\n" + indent(found[0], "    "), text)
    for member in parent.members.values():
        if isinstance(member, griffe.Object):
            _mark_examples(member)
