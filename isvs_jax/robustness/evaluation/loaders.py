"""Functions that read corrupted images, told from one another across processes."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

import numpy as np

from isvs_jax.robustness.evaluation.settings import Read

_PACKAGE = __name__.partition(".")[0]
# Longer descriptions are shown by their beginning and told apart by their hash.
_LONGEST = 160


def told_apart(read: Read | None, folder: str | os.PathLike[str] | None) -> str | None:
    """A loader by its name, its code and what is bound to it; with a folder it must be the same in every process.

    Raises:
        ValueError: With a folder: of a lambda, a local function, or an object without a `repr` of its own another could
            be taken for it, and the cells of one for those of the other.
    """
    if read is None:
        return None
    described = _described(read)
    if folder is not None and any(mark in described for mark in ("<lambda>", "<locals>", " at 0x")):
        raise ValueError(
            "corruptions.read must be a function that can be told from others, where folder is given: one of a module, "
            f"or functools.partial of one; got {described}."
        )
    return described if len(described) <= _LONGEST else f"{described[:_LONGEST]}... ({_hash(described)})"


def _described(loader: Callable[..., Any]) -> str:
    """A function by its name and code, and what `functools.partial` binds to it: the same in every process."""
    if isinstance(loader, functools.partial):
        bound = [*map(_value, loader.args), *(f"{name}={_value(value)}" for name, value in loader.keywords.items())]
        return f"{_described(loader.func)}({', '.join(bound)})"
    owner = getattr(loader, "__self__", None)
    if owner is not None:
        return f"{_value(owner)}.{getattr(loader, '__name__', '')}"
    if not hasattr(loader, "__qualname__"):
        return _value(loader)
    name = f"{loader.__module__}.{loader.__qualname__}"
    code = getattr(loader, "__code__", None)
    # A function of a script may be another under the same name; those of this package go by its version.
    if code is None or name.startswith(f"{_PACKAGE}."):
        return name
    return f"{name} ({_hash(_of_code(code) + _value(loader.__defaults__))})"


def _value(value: object) -> str:
    """A value in words that leave out none of its numbers."""
    if callable(value) and hasattr(value, "__qualname__"):
        return _described(value)
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
        return repr(value)


def _of_code(code: CodeType) -> str:
    constants = [_of_code(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return " ".join([code.co_code.hex(), *code.co_names, *constants])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]
