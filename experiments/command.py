"""How a command of the experiments ends: done, interrupted, or with a sentence on what cannot be."""

import signal
import sys
from collections.abc import Callable

from isvs_jax.training import TerminatedError


def exit_status(work: Callable[[], None]) -> int:
    """Do the work of a command; its exit status: 0, 130 where it was interrupted, 1 where something cannot be."""
    # A polite kill ends like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        work()
    except (KeyboardInterrupt, TerminatedError):
        print("\nInterrupted. What is finished is kept: give the same command again to go on.", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, ModuleNotFoundError, FloatingPointError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0
