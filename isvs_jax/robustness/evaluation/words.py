"""The words of the command line: fractions, defences, and the published images that are read."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_origin

from tyro.constructors import PrimitiveConstructorSpec, PrimitiveTypeInfo

from isvs_jax.augment import View
from isvs_jax.robustness.defences import Defence, rounding_defence, smoothing_defence, total_variation_defence
from isvs_jax.robustness.evaluation.settings import Read
from isvs_jax.robustness.official import load_cifar_c, load_imagenet_c, load_tfds


def fraction(text: str) -> float:
    """A number, or a fraction such as 8/255.

    Example:
        >>> fraction("51/255"), fraction("0.5")
        (0.2, 0.5)
    """
    above, _, below = text.partition("/")
    try:
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"a radius must be a number or a fraction such as 8/255; got {text!r}.") from None


def parse_defence(text: str) -> Defence:
    """A defence in one word: "dense:TIME", "sparse:TIME", "rounding:LEVELS" or "total_variation:WEIGHT".

    Raises:
        ValueError: There is no such defence.

    Example:
        >>> import jax.numpy as jnp
        >>> parse_defence("rounding:2").forward(jnp.array([0.2, 0.7])).tolist()
        [0.0, 1.0]
    """
    what = "defence must be dense:TIME, sparse:TIME, rounding:LEVELS or total_variation:WEIGHT"
    kind, _, value = text.partition(":")
    try:
        if kind in ("dense", "sparse"):
            return smoothing_defence(View.parse(text).strength, output="dense" if kind == "dense" else "sparse")
        if kind == "rounding":
            return rounding_defence(int(value))
        if kind == "total_variation":
            return total_variation_defence(float(value))
    except ValueError as error:
        raise ValueError(f"{what}; got {text!r}: {error}") from error
    raise ValueError(f"{what}; got {text!r}.")


def fraction_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[float] | None:
    """The rule of tyro by which a number may be a fraction."""
    if info.type is not float:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="NUMBER",
        instance_from_str=lambda texts: fraction(texts[0]),
        is_instance=lambda value: isinstance(value, (int, float)),
        str_from_instance=lambda value: [_number(value)],
    )


def read_word(word: str) -> Read:
    """The loader of published images that a word names, see `isvs_jax.robustness.evaluation.options.Evaluation`.

    A folder alone is one of CIFAR-10-C or CIFAR-100-C where labels.npy lies in it.

    Raises:
        ValueError: There is no such loader.

    Example:
        >>> read_word("imagenet-c:data/ImageNet-C").args
        ('data/ImageNet-C',)
    """
    kind, _, rest = word.partition(":")
    loaders: dict[str, Callable[..., Any]] = {
        "cifar-c": load_cifar_c,
        "imagenet-c": load_imagenet_c,
        "tfds": load_tfds,
    }
    if kind in loaders and rest:
        return functools.partial(loaders[kind], rest)
    if (Path(word) / "labels.npy").is_file():
        return functools.partial(load_cifar_c, word)
    raise ValueError(
        "corruptions.read must be cifar-c:FOLDER, imagenet-c:FOLDER, tfds:cifar10_corrupted or "
        f"tfds:imagenet2012_corrupted, or a folder with labels.npy; got {word!r}."
    )


def bound_reader(read: Read, count: int | None, data_dir: str | None) -> Read:
    """A loader of `read_word` with how many images are read, and with the folder of TFDS."""
    if not isinstance(read, functools.partial):
        return read
    options: dict[str, Any] = {} if count is None else {"count": count}
    if read.func is load_tfds and data_dir is not None:
        options["data_dir"] = data_dir
    return functools.partial(read, **options)


def reader_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """A word, in place of a function that reads the published files."""
    if get_origin(info.type) is not Callable:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="KIND:FOLDER",
        instance_from_str=lambda texts: read_word(texts[0]),
        is_instance=callable,
        str_from_instance=lambda value: [str(value)],
    )


def _number(value: float) -> str:
    levels = 255 * value
    return f"{levels:g}/255" if 0 < value < 0.2 and abs(2 * levels - round(2 * levels)) < 1e-9 else f"{value:g}"
