"""What all commands share: how one reads its options, how it ends, and the sentence where a package is missing."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

# The extra that each package comes with, where it is imported by name.
_EXTRAS = {
    "PIL": "photo",
    "matplotlib": "plot",
    "flax": "train",
    "grain": "train",
    "optax": "train",
    "orbax": "train",
    "sklearn": "train",
    "tensorboardX": "train",
    "tensorflow_datasets": "train",
    "tqdm": "train",
    "tyro": "train",
}

INTERRUPTED = 130


def exit_status(work: Callable[[], None], prog: str, again: str = "The same command goes on from there.") -> int:
    """Do the work of a command; its exit status.

    Args:
        work: Raises where something cannot be.
        prog: The command, such as "python -m isvs_jax.data".
        again: What is said after "Interrupted.".

    Returns:
        0; `INTERRUPTED` after Ctrl-C or SIGTERM, with one line; 1 where something cannot be, with one sentence.
    """
    # A polite kill ends like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        work()
    except KeyboardInterrupt:
        print(f"\nInterrupted. {again}", file=sys.stderr)
        return INTERRUPTED
    except ModuleNotFoundError as error:
        print(f"{prog}: {missing(error)}", file=sys.stderr)
        return 1
    except (ValueError, TypeError, OSError, FloatingPointError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 1
    return 0


def one_word_options() -> ConstructorRegistry:
    """The registry of tyro under which an option of a class with a method `parse` is one word, such as "dense:4".

    The class reads the word with its class method `parse`, writes it with `str`, and may name its form in `FORM`;
    `isvs_jax.augment.View` is such a class.

    Example:
        >>> import tyro
        >>> from isvs_jax.augment import View
        >>> with one_word_options():
        ...     tyro.cli(tuple[View, ...], args=["dense:4", "sparse:8"])
        (View(strength=4.0, kind='dense'), View(strength=8.0, kind='sparse'))
    """
    # A core without the extra `train` imports this module too.
    from tyro.constructors import ConstructorRegistry

    registry = ConstructorRegistry()
    registry.primitive_rule(_one_word)
    return registry


def _one_word(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    from tyro.constructors import PrimitiveConstructorSpec

    kind = info.type
    parse: Callable[[str], Any] | None = getattr(kind, "parse", None)
    if not isinstance(kind, type) or parse is None:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=getattr(kind, "FORM", kind.__name__.upper()),
        instance_from_str=lambda words: parse(words[0]),
        is_instance=lambda value: isinstance(value, kind),
        str_from_instance=lambda value: [str(value)],
    )


def missing(error: ModuleNotFoundError) -> str:
    """What to type where a package of an extra is missing; the error's own words for others.

    >>> missing(ModuleNotFoundError("No module named 'flax'", name="flax"))
    'flax is not installed: pip install "isvs_jax[train]"'
    """
    name = (error.name or "").partition(".")[0]
    if name not in _EXTRAS:
        return str(error)
    return f'{name} is not installed: pip install "isvs_jax[{_EXTRAS[name]}]"'
