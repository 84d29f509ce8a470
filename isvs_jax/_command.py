"""What all commands share: how one begins, how it reads its options, and how it ends."""

from __future__ import annotations

import importlib.util
import io
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from isvs_jax._extras import missing

INTERRUPTED = 130

# Programs that take so many seconds to compile are kept, and of them so many bytes, the latest used.
_WORTH_KEEPING = 0.3
_MOST_KEPT = 1 << 30


def start(prog: str, module: str, extra: str = "train") -> int:
    """Run `main` of the module of a command, with the programs that were compiled before.

    Args:
        prog: The command, such as "python -m isvs_jax.data".
        module: The full name of its module.
        extra: The extra that it comes with.

    Returns:
        The exit status; 1 with one sentence where a package of an extra is missing.
    """
    keep_compiled()
    try:
        main = import_module(module).main
    except ModuleNotFoundError as error:
        print(f"{prog}: {missing(error, extra)}", file=sys.stderr)
        return 1
    return main()


def keep_compiled() -> None:
    """Compile no program twice: keep them from process to process, for the whole process.

    They are kept where the variable JAX_COMPILATION_CACHE_DIR says, by default in isvs_jax within the folder of caches
    of the user (XDG_CACHE_HOME, or ~/.cache). JAX_ENABLE_COMPILATION_CACHE=false switches it off.
    """
    # Imported here: whoever only imports this module needs no JAX yet.
    import jax

    settings = jax.config.values
    if settings["jax_compilation_cache_dir"] is not None or not settings["jax_enable_compilation_cache"]:
        return
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = caches / "isvs_jax" / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # A home that cannot be written to has no cache.
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _WORTH_KEEPING)
    # Without filelock, of the extra `train`, JAX cannot drop what is old.
    if importlib.util.find_spec("filelock") is not None:
        jax.config.update("jax_compilation_cache_max_size", _MOST_KEPT)


def exit_status(work: Callable[[], None], prog: str, again: str = "The same command goes on from there.") -> int:
    """Do the work of a command; its exit status.

    Args:
        work: Raises where something is wrong with what it was given.
        prog: The command, such as "python -m isvs_jax.data".
        again: What is said after "Interrupted.", or after the sentence of an interrupt that has one.

    Returns:
        0; `INTERRUPTED` after Ctrl-C or SIGTERM, with one line; 1 after an error of the caller, with one sentence.
    """
    _write_anything()
    # A polite kill ends like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        work()
    except KeyboardInterrupt as error:
        print(f"\n{str(error) or 'Interrupted.'} {again}", file=sys.stderr)
        return INTERRUPTED
    except ModuleNotFoundError as error:
        print(f"{prog}: {missing(error)}", file=sys.stderr)
        return 1
    except (ValueError, TypeError, OSError, FloatingPointError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 1
    return 0


def _write_anything() -> None:
    """Let stdout write escapes for what its encoding lacks, as stderr does, in place of an error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


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

    kind, parse = info.type, getattr(info.type, "parse", None)
    if not (isinstance(kind, type) and callable(parse)):
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=getattr(kind, "FORM", kind.__name__.upper()),
        instance_from_str=lambda words: parse(words[0]),
        is_instance=lambda value: isinstance(value, kind),
        str_from_instance=lambda value: [str(value)],
    )
