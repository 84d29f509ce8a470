"""Data sets of any specification, written once as arrays that are mapped into memory."""

import os
from pathlib import Path

from isvs_jax.data._load import open_source
from isvs_jax.data.prepared import prepare_source


def prepare(
    spec: str,
    out: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    mirror: bool | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Decode a data set once into a folder of arrays, which `load` takes as "prepared:FOLDER".

    The images are the ones that `load` gives for the same arguments. They are never in memory all at once. The folder
    appears when it is whole; if this is interrupted or killed, the same call goes on from where it was, and where the
    folder is there already, it returns at once.

    Args:
        spec: As for `load`.
        out: The folder to write.
        data_dir: Where TFDS keeps its data; of no use to the others.
        image_size: Height and width; None is 32 for the digits, and for the others the images' own, which then have to
            be one.
        mirror: Whether an image and its mirror image belong to the same class; None is what is known of the set.
        seed: Of the split, where the data set has no test images of its own.
        workers: Threads that read and resize; None is one for each processor.
        progress: Whether to show progress bars.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: There is nothing to read.
        ModuleNotFoundError: A package that reads this data set is missing.
        OSError: The disk has no room; how much is needed and how much is free is said before anything is read.
        ValueError: The specification or the data cannot be used, or the folder holds something else.

    Example:
        >>> import tempfile
        >>> from isvs_jax import data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     digits = data.load(f"prepared:{prepare('digits', f'{folder}/digits', progress=False)}")
        >>> len(digits.train), type(digits.train.images).__name__
        (1198, 'memmap')
    """
    threads = (os.cpu_count() or 1) if workers is None else workers
    if threads < 1:
        raise ValueError(f"workers is {threads}; it may be a positive integer.")
    source = open_source(spec, data_dir=data_dir, image_size=image_size, seed=seed, workers=threads, progress=progress)
    return prepare_source(source, out, mirror=mirror, workers=threads, progress=progress)
