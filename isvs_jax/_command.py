"""What all commands share: how one begins and how it ends."""

import io
import signal
import sys
from collections.abc import Callable
from importlib import import_module

from isvs_jax._extras import missing

INTERRUPTED = 130


def start(prog: str, module: str) -> int:
    """Run `main` of the module of a command.

    Args:
        prog: The command, such as "python -m isvs_jax.data".
        module: The full name of its module, whose imports may need an extra.

    Returns:
        The exit status; 1 with one sentence where a package of an extra is missing.
    """
    _write_anything()
    try:
        main = import_module(module).main
    except ModuleNotFoundError as error:
        print(f"{prog}: {missing(error)}", file=sys.stderr)
        return 1
    return main()


def exit_status(work: Callable[[], None], prog: str, again: str = "The same command goes on from there.") -> int:
    """Do the work of a command; its exit status.

    Args:
        work: Raises where something is wrong with what it was given.
        prog: The command, such as "python -m isvs_jax.data".
        again: What is said after "Interrupted.".

    Returns:
        0; `INTERRUPTED` after Ctrl-C or SIGTERM, with one line; 1 after an error of the caller, with one sentence.
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


def _write_anything() -> None:
    """Let stdout write escapes for what its encoding lacks, as stderr does, in place of an error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
