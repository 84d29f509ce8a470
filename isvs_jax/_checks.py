"""Checks of what a caller gives, in one voice: `<name> must be <what>; got <what came>`, and a hint.

Values are looked at where they can be seen; shapes and dtypes always. Checks take the name first, then the value.
"""

import os
import re
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

ArrayLike = Any


def concrete(value: ArrayLike) -> np.ndarray | None:
    """The value as float64, or None where it is traced (or stands for a leaf in a tree) and cannot be seen."""
    if isinstance(value, jax.core.Tracer):
        return None
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return None


def brief(value: object) -> str:
    """A value in a few words, for the end of a sentence: an array by its shape and dtype, anything long cut short."""
    shape, dtype = getattr(value, "shape", ()), getattr(value, "dtype", None)
    if shape and dtype is not None:
        return f"an array of shape {tuple(shape)} and dtype {dtype}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def brief_numbers(value: ArrayLike) -> str:
    """An array of numbers in a few words: the numbers where they can be seen, else shape and dtype."""
    if concrete(value) is None or np.ndim(value) > 1:
        return f"{value.dtype}{list(value.shape)}"
    seen = np.asarray(value)
    if seen.ndim == 0:
        return f"{seen.item():.6g}" if seen.dtype.kind == "f" else str(seen.item())
    return np.array2string(seen, threshold=8, precision=6, separator=", ")


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise a ValueError unless `value` is one of `choices`."""
    allowed = tuple(choices)
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {brief(value)}.")


def check_names(name: str, values: object, choices: Iterable[str], *, least: int = 1) -> tuple[str, ...]:
    """The names as a tuple: at least `least` of them, each one of `choices` and none twice.

    Raises:
        TypeError: They are no sequence of names.
        ValueError: One is unknown or comes twice, or there are too few.

    Example:
        >>> check_names("attacks", ["square"], ("apgd", "square"))
        ('square',)
    """
    allowed = tuple(choices)
    count = f"at least {least} of" if least else "some or none of"
    what = f"a sequence of {count} {', '.join(map(repr, allowed))}, each at most once"
    if isinstance(values, str) or not isinstance(values, Iterable):
        hint = f" For one write ({values!r},)." if isinstance(values, str) else ""
        raise TypeError(f"{name} must be {what}; got {brief(values)}.{hint}")
    given = tuple(values)
    known = all(isinstance(value, str) and value in allowed for value in given)
    if not known or len(set(given)) != len(given) or len(given) < least:
        raise ValueError(f"{name} must be {what}; got {brief(given)}.")
    return given


def check_path(name: str, value: object) -> Path:
    """The value as a path.

    Raises:
        TypeError: It is neither text nor a path.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be a path; got {brief(value)}.")
    return Path(value)


def check_integer(name: str, value: object, least: int = 1, most: int | None = None) -> int:
    """The value as a Python integer from `least` to `most`; NumPy's integers are taken, bool is not.

    Raises:
        TypeError: It is no integer, or traced.
        ValueError: It is out of range.
    """
    what = f"an integer of at least {least}" if most is None else f"an integer from {least} to {most}"
    if isinstance(value, jax.core.Tracer):
        raise TypeError(f"{name} must be {what}; got a traced value. Mark it static, or close over it.")
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be {what}; got {brief(value)}.")
    if value < least or (most is not None and value > most):
        raise ValueError(f"{name} must be {what}; got {value}.")
    return int(value)


def check_number(name: str, value: object, interval: str, *, unit: str = "number") -> float:
    """The value as a Python float within an interval such as "[0, 1)", "(0, inf)" or "[0, inf)".

    Args:
        name: What the sentence calls it.
        value: A Python or NumPy number; bool and text are refused.
        interval: Where it must lie; "inf" as the end asks for a finite number.
        unit: What is counted, such as "number of pixels".

    Raises:
        TypeError: It is no number.
        ValueError: It is outside of the interval, or not finite.

    Example:
        >>> check_number("raw_share", 0.5, "[0, 1]")
        0.5
    """
    opening, low, high, closing = _ends(interval)
    if high == float("inf"):
        what = f"a finite {unit} {'>' if opening == '(' else '≥'} {low:g}"
    else:
        what = f"a {unit} in {interval}"
    numeric = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not numeric:
        raise TypeError(f"{name} must be {what}; got {brief(value)}.")
    number = float(value)  # type: ignore[arg-type]
    above = number > low if opening == "(" else number >= low
    below = number < high if closing == ")" else number <= high
    if not (above and below):
        raise ValueError(f"{name} must be {what}; got {value}.")
    return number


def _ends(interval: str) -> tuple[str, float, float, str]:
    match = re.fullmatch(r"([\[(])([^,]+), ([^,]+)([\])])", interval)
    assert match is not None, interval
    return match[1], float(match[2]), float(match[3]), match[4]


def check_positive(name: str, value: ArrayLike) -> None:
    """Raise unless `value` is a positive finite number (or an array of them), or cannot be seen."""
    if isinstance(value, (str, bytes, bool, list, tuple, dict, set, complex)) or value is None:
        raise TypeError(f"{name} must be a positive finite number; got {brief(value)}.")
    seen = concrete(value)
    if seen is not None and not (np.isfinite(seen).all() and (seen > 0).all()):
        raise ValueError(f"{name} must be a positive finite number; got {brief_numbers(seen)}.")


def check_scalar(name: str, value: ArrayLike) -> None:
    """Raise a ValueError unless `value` has no axes."""
    if jnp.shape(value) != ():
        raise ValueError(
            f"{name} must be a scalar; got shape {jnp.shape(value)}. For several values, map with jax.vmap."
        )


def check_key(key: ArrayLike) -> jax.Array:
    """The PRNG key in its typed form; one of uint32, as of `jax.random.PRNGKey`, is taken too.

    Raises:
        TypeError: It is no key.
        ValueError: It is several.
    """
    what = "key must be one PRNG key, as of jax.random.key(0)"
    if not isinstance(key, (jax.Array, np.ndarray)):
        raise TypeError(f"{what}; got {brief(key)}.")
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        length = prod(jax.eval_shape(jax.random.key_data, jax.eval_shape(jax.random.key, 0)).shape)
        if key.dtype != np.uint32 or key.shape[-1:] != (length,):
            raise TypeError(f"{what}; got {brief(key)}.")
        key = jax.random.wrap_key_data(jnp.asarray(key))
    if key.shape:
        raise ValueError(f"{what}; got keys of shape {tuple(key.shape)}.")
    return key


def as_keys(key: ArrayLike, count: int) -> jax.Array:
    """One PRNG key for a batch of `count` examples, shape [], or one for each of them, shape [count], as it was given.

    Raises:
        TypeError: They are no PRNG keys.
        ValueError: They are neither one nor `count`.
    """
    if not (isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)):
        return check_key(key)
    if key.shape not in ((), (count,)):
        raise ValueError(
            f"key must be one PRNG key, as of jax.random.key(0), or {count} of them, one for each example, as of "
            f"jax.random.split(key, {count}); got keys of shape {key.shape}."
        )
    return key


def example_keys(key: ArrayLike, count: int) -> jax.Array:
    """A PRNG key for each of `count` examples: those given, or as many split off the one given."""
    keys = as_keys(key, count)
    return keys if keys.shape else jax.random.split(keys, count)


def as_numbers(value: ArrayLike, name: str) -> jax.Array | np.ndarray:
    """`value` as an array: of float64 NumPy where it can be seen, as a JAX array where some of it is traced.

    Raises:
        TypeError: It holds something that is no real number.
    """
    if isinstance(value, (jax.Array, np.ndarray)):
        numeric = jnp.issubdtype(value.dtype, jnp.floating) or jnp.issubdtype(value.dtype, jnp.integer)
        if not numeric:
            raise TypeError(f"{name} must hold real numbers; got dtype {value.dtype}.")
        return value if isinstance(value, jax.core.Tracer) else np.asarray(value, np.float64)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value)):
        return jnp.asarray(value)
    if isinstance(value, (str, bytes, bool)) or value is None:
        raise TypeError(f"{name} must hold real numbers; got {brief(value)}.")
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must hold real numbers; got {brief(value)}.") from None


def check_times(name: str, times: np.ndarray) -> None:
    """Raise a ValueError unless every time is finite and not negative."""
    if not (np.isfinite(times).all() and (times >= 0).all()):
        raise ValueError(f"{name} must be finite and ≥ 0; got {brief_numbers(times)}.")
