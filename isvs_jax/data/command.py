"""`python -m isvs_jax.data`: data sets from the command line."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from isvs_jax.data._load import load
from isvs_jax.data._prepare import prepare as make_prepared
from isvs_jax.data.dataset import Dataset, Split, digest
from isvs_jax.data.prepared import load_prepared

# Class names that are shown.
_NAMES = 12

Spec = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SPEC")]

_DESCRIPTION = """Data sets for training, as arrays on disk that are mapped into memory: they may be larger than it.

    python -m isvs_jax.data prepare tfds:cifar10 --out data/cifar10
    python -m isvs_jax.data prepare photos/ --image-size 224 --out data/photos
    python -m isvs_jax.data describe prepared:data/photos"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 1 with a sentence on stderr where it cannot be done."""
    try:
        tyro.extras.subcommand_cli_from_dict(
            {"prepare": prepare, "describe": describe},
            args=arguments,
            prog="python -m isvs_jax.data",
            description=_DESCRIPTION,
        )
    except KeyboardInterrupt:
        print("\nInterrupted: the same command goes on from where it was.", file=sys.stderr)
        return 130
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"python -m isvs_jax.data: {error}", file=sys.stderr)
        return 1
    return 0


def prepare(
    spec: Spec,
    out: Path,
    image_size: int | None = None,
    data_dir: Path | None = None,
    mirror: bool | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> None:
    """Decode a data set once into a folder of arrays, which then trains as prepared:FOLDER.

    The folder appears when it is whole. If this is interrupted or killed, the same command goes on from where it was.
    The images are never in memory all at once.

    Args:
        spec: "digits", "tfds:NAME" such as tfds:cifar10, or a folder with a folder of images for each class.
        out: The folder to write; a disk with room for height × width × channels bytes an image.
        image_size: Height and width to which the central squares are resized. Needed where the images differ in size;
            by default 32 for the digits, and the images' own where all have one.
        data_dir: Where TFDS keeps its data sets; by default $TFDS_DATA_DIR or ~/tensorflow_datasets.
        mirror: Whether training may show images mirrored; by default no for digits and writing, yes for others.
        seed: Of the split, where the data set has no test images of its own.
        workers: Threads that read and resize; by default one for each processor.
        progress: Whether to show progress bars.
    """
    folder = make_prepared(
        spec,
        out,
        data_dir=data_dir,
        image_size=image_size,
        mirror=mirror,
        seed=seed,
        workers=workers,
        progress=progress,
    )
    print(f"{_described(str(folder), load_prepared(folder), with_digest=False)}\nTrain on it as prepared:{folder}")


def describe(spec: Spec, data_dir: Path | None = None, image_size: int | None = None, progress: bool = True) -> None:
    """Say what is in a data set: classes, images, shape, and a hash of the images.

    Args:
        spec: "digits", "tfds:NAME", "prepared:FOLDER", or a folder with a folder of images for each class.
        data_dir: Where TFDS keeps its data sets.
        image_size: Height and width to which the central squares are resized.
        progress: Whether to show progress bars.
    """
    dataset = load(spec, data_dir=data_dir, image_size=image_size, progress=progress)
    print(_described(spec, dataset, with_digest=True))


def _described(title: str, dataset: Dataset, *, with_digest: bool) -> str:
    height, width, channels = dataset.image_shape
    names = ", ".join(dataset.class_names[:_NAMES]) + (", ..." if dataset.num_classes > _NAMES else "")
    images = dataset.train.images
    lines = [
        f"{title}: {dataset.name}, from {dataset.source}",
        f"  {len(dataset.train):,} training and {len(dataset.test):,} test images",
        f"  {height}×{width} pixels, {channels} channel{'s' * (channels > 1)}, {images.dtype}",
        f"  {dataset.num_classes} classes: {names}",
        f"  mirrored in training: {'yes' if dataset.mirror else 'no'}",
    ]
    if with_digest:
        lines += [f"  sha256 of the {name} images: {digest(split)}" for name, split in _splits(dataset)]
    return "\n".join(lines)


def _splits(dataset: Dataset) -> tuple[tuple[str, Split], tuple[str, Split]]:
    return ("training", dataset.train), ("test", dataset.test)
