"""`python -m isvs_jax.data`: data sets from the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from isvs_jax._command import exit_status
from isvs_jax.data.dataset import Dataset, digest
from isvs_jax.data.prepared import load_prepared
from isvs_jax.data.specification import load
from isvs_jax.data.specification import prepare as make_prepared

_PROG = "python -m isvs_jax.data"
# Class names that are shown.
_NAMES = 12

Spec = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SPEC")]

_DESCRIPTION = """Data sets for training, as arrays on disk that are mapped into memory: they may be larger than it.

    python -m isvs_jax.data prepare tfds:cifar10 --out data/cifar10
    python -m isvs_jax.data prepare photos/ --image-size 224 --out data/photos
    python -m isvs_jax.data describe prepared:data/photos"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""

    def work() -> None:
        tyro.extras.subcommand_cli_from_dict(
            {"prepare": prepare, "describe": describe}, args=arguments, prog=_PROG, description=_DESCRIPTION
        )

    return exit_status(work, _PROG)


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
        out: The folder to write, on a disk with room for height × width × channels bytes an image.
        image_size: Height and width to which the central squares are resized. Needed where the images differ in size;
            by default 32 for the digits, and the images' own where all have one.
        data_dir: The folder in which TFDS keeps its data sets; by default $TFDS_DATA_DIR or ~/tensorflow_datasets.
        mirror: Whether training may show images mirrored; by default no for digits and writing, yes for others.
        seed: The seed of the split, where the data set has no test images of its own.
        workers: The number of threads that read and resize; by default one for each processor.
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
        data_dir: The folder in which TFDS keeps its data sets.
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
        splits = {"training": dataset.train, "test": dataset.test}
        lines += [f"  sha256 of the {name} images: {digest(split)}" for name, split in splits.items()]
    return "\n".join(lines)
