"""What all commands share: how one ends, and the sentence where a package is missing."""

import signal
import sys
from collections.abc import Callable

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


def missing(error: ModuleNotFoundError) -> str:
    """What to type where a package of an extra is missing; the error's own words for others.

    >>> missing(ModuleNotFoundError("No module named 'flax'", name="flax"))
    'flax is not installed: pip install "isvs_jax[train]"'
    """
    name = (error.name or "").partition(".")[0]
    if name not in _EXTRAS:
        return str(error)
    return f'{name} is not installed: pip install "isvs_jax[{_EXTRAS[name]}]"'
