"""An extension of Griffe, which reads the package for the API pages."""

import re
from textwrap import indent
from typing import Any

import griffe

_HEADING = re.compile(r"^Example:(?=\n\s+>>>)", re.MULTILINE)
_BARE = re.compile(r"(?<=\n\n)>>> .*(?:\n.+)*")


class AsPythonSeesIt(griffe.Extension):
    """Examples shown as code, and names that mean what they mean in Python."""

    def on_package(self, *, pkg: griffe.Module, **options: Any) -> None:
        """Called when the package has been read."""
        _mark_examples(pkg)
        _prefer_functions(pkg)


def _mark_examples(parent: griffe.Object) -> None:
    """Sections "Example:" and examples without a heading become "Examples:", which Griffe shows as Python."""
    if parent.docstring:
        text = _HEADING.sub("Examples:", parent.docstring.value)
        parent.docstring.value = _BARE.sub(lambda found: "Examples:\n" + indent(found[0], "    "), text)
    for member in parent.members.values():
        if isinstance(member, griffe.Object):
            _mark_examples(member)


def _prefer_functions(package: griffe.Module) -> None:
    """Where a package imports a function from its module of the same name, the name means the function."""
    for name, member in list(package.members.items()):
        if isinstance(member, griffe.Module):
            _prefer_functions(member)
        module = member.final_target if isinstance(member, griffe.Alias) and member.resolved else member
        if isinstance(module, griffe.Module) and name in module.members and name in package.imports:
            package.members[name] = griffe.Alias(name, module.members[name], parent=package)
