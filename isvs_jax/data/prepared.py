"""Data sets prepared once as arrays on disk, from where they are mapped into memory: they may be larger than it."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax._files import read_json, write_json
from isvs_jax._progress import progress_bar
from isvs_jax.data.dataset import Dataset, Split, digest
from isvs_jax.data.growing import ArraySpec, PartialFolder, only_maker
from isvs_jax.data.image_files import fitted
from isvs_jax.data.source import Part, Shape, Source

FORMAT = 1
ABOUT = "dataset.json"
PARTS = ("train", "test")
_ABOUT = ("name", "origin", "how", "class_names", "mirror", "image_shape", "counts")

# Bytes of images that are written together.
_CHUNK = 2**25


def prepare_source(
    source: Source,
    out: str | os.PathLike[str],
    *,
    image_size: int | None = None,
    mirror: bool | None = None,
    workers: int = 1,
    progress: bool = True,
) -> Path:
    """Read a data set once and write it to a folder of arrays.

    The folder appears when it is whole: {train,test}_{images,labels}.npy and dataset.json. A process that is killed
    leaves OUT.partial, with which the next one of the same source goes on. No more than some tens of megabytes of
    images are in memory at once.

    Args:
        source: The images.
        out: The folder; it must not exist, unless as the result of the same preparation.
        image_size: Height and width to which the central squares are resized; None where all images have one size.
        mirror: Whether images may be mirrored; None is what the source says.
        workers: The number of threads that read and resize.
        progress: Whether to show a progress bar.

    Returns:
        The folder.

    Raises:
        OSError: The disk has no room; how much is needed and how much is free is said before anything is read.
        ValueError: An image cannot be read or has another shape than the others, or the folder holds something else.
    """
    target = Path(out).expanduser()
    shape, how = source.in_one_shape(image_size, workers, progress)
    plan = _plan(source, shape, how, source.mirror if mirror is None else mirror)
    if target.is_dir() and not any(target.iterdir()):
        target.rmdir()
    with only_maker(target) as partial:
        if partial is not None:
            with PartialFolder(partial, plan, _arrays(source, shape)) as growing:
                _fill(growing, source, shape, workers, progress)
                growing.save()
                _write_about(partial, plan, progress)
                growing.finish(target)
            return target
    there = {name: value for name, value in _about(target).items() if name in plan}
    changed = sorted(name for name in plan if there.get(name) != plan[name])
    if changed:
        raise ValueError(
            f"{target} must hold the same prepared set, or nothing; got one that differs in {', '.join(changed)}. Give "
            "another folder."
        )
    return target


def load_prepared(folder: str | os.PathLike[str], *, image_size: int | None = None) -> Dataset:
    """Load a data set from a folder that `prepare_source` wrote; its images are mapped, and read as they are used.

    Args:
        folder: The folder.
        image_size: The height and width expected; None takes what is there.

    Raises:
        FileNotFoundError: There is no such folder, or its preparation is not finished.
        ValueError: The folder is no prepared set, is damaged, or holds images of another size.
    """
    root = Path(folder).expanduser()
    about = _about(root)
    height, width, _ = about["image_shape"]
    if image_size is not None and (height, width) != (image_size, image_size):
        raise ValueError(
            f"image_size must be that of the prepared images of {root}, {height}×{width}, or None; got {image_size}. "
            "Prepare them anew for another one."
        )
    return Dataset(
        name=about["name"],
        source=f"{about['origin']}, {about['how']}, prepared in {root.resolve()}",
        class_names=tuple(about["class_names"]),
        train=_split(root, about, "train"),
        test=_split(root, about, "test"),
        mirror=about["mirror"],
    )


def is_prepared(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is a prepared set."""
    return (Path(folder).expanduser() / ABOUT).is_file()


def _plan(source: Source, shape: Shape, how: str, mirror: bool) -> dict[str, Any]:
    plan = {
        "format": FORMAT,
        "name": source.name,
        "origin": source.origin,
        "how": how,
        "identity": source.identity(),
        "class_names": source.class_names,
        "mirror": mirror,
        "image_shape": shape,
        "dtype": source.dtype.name,
        "counts": {"train": source.train.count, "test": source.test.count},
    }
    return json.loads(json.dumps(plan))


def _arrays(source: Source, shape: Shape) -> dict[str, ArraySpec]:
    arrays = {}
    for name in PARTS:
        count = getattr(source, name).count
        arrays[f"{name}_images"] = ArraySpec((count, *shape), source.dtype)
        arrays[f"{name}_labels"] = ArraySpec((count,), np.dtype(np.int32))
    return arrays


def _fill(growing: PartialFolder, source: Source, shape: Shape, workers: int, progress: bool) -> None:
    """Write what is missing, the training images first."""
    numbers = int(np.prod(shape))
    rows = max(1, _CHUNK // (numbers * source.dtype.itemsize))
    total = source.train.count + source.test.count
    bar = progress_bar(total=total, initial=growing.done, desc=f"preparing {source.name}", unit="image", shown=progress)
    with bar, ThreadPoolExecutor(workers) as pool:
        for name, offset in (("train", 0), ("test", source.train.count)):
            part: Part = getattr(source, name)
            for start in range(max(0, growing.done - offset), part.count, rows):
                stop = min(start + rows, part.count)
                images, labels = _read(part, range(start, stop), source, shape, pool, bar)
                growing.write(f"{name}_images", start * numbers, images)
                growing.write(f"{name}_labels", start, labels)
                growing.advance(offset + stop)


def _read(
    part: Part, indices: range, source: Source, shape: Shape, pool: ThreadPoolExecutor, bar: Any
) -> tuple[np.ndarray, np.ndarray]:
    def one(index: int) -> tuple[np.ndarray, int]:
        image, label = part.read(index)
        if image.dtype != source.dtype or image.shape[-1] not in (1, shape[-1]):
            raise ValueError(
                f"image {index} of {source.origin} must be {source.dtype} with 1 or {shape[-1]} channels; got "
                f"{image.dtype} {image.shape}."
            )
        return fitted(image, shape), label

    images = np.empty((len(indices), *shape), source.dtype)
    labels = np.empty(len(indices), np.int32)
    for row, (image, label) in enumerate(_in_order(pool, one, indices)):
        images[row], labels[row] = image, label
        bar.update(1)
    return images, labels


def _in_order(pool: ThreadPoolExecutor, read: Any, indices: range) -> Iterator[Any]:
    """`pool.map`, whose waiting calls are given up when one fails."""
    futures = [pool.submit(read, index) for index in indices]
    try:
        for future in futures:
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def _write_about(partial: Path, plan: dict[str, Any], progress: bool) -> None:
    hashes = {name: digest(_mapped(partial, plan, name), progress=progress) for name in PARTS}
    write_json(partial / ABOUT, {**plan, "images_sha256": hashes})


def _about(root: Path) -> dict[str, Any]:
    """What dataset.json says."""
    hint = "`python -m isvs_jax.data prepare SPEC --out FOLDER` makes one."
    partial = root.with_name(root.name + ".partial")
    if not root.is_dir():
        if partial.is_dir():
            raise FileNotFoundError(f"{root} is not finished ({partial} is its beginning): do its preparation again.")
        raise FileNotFoundError(f"There is no folder {root} with a prepared data set. {hint}")
    if not is_prepared(root):
        raise ValueError(f"{root} must be a prepared data set; got a folder without {ABOUT}. {hint}")
    about = read_json(root / ABOUT, "Delete the folder, and prepare it anew.")
    found = about.get("format") if isinstance(about, dict) else None
    if found != FORMAT:
        raise ValueError(f"{root} must be of format {FORMAT}; got format {found}. Prepare it anew.")
    missing = [name for name in (*_ABOUT, "images_sha256") if name not in about]
    if missing:
        raise ValueError(f"{root / ABOUT} must say {', '.join(missing)}; got nothing of it. Prepare it anew.")
    kinds = {"image_shape": list, "class_names": list, "counts": dict, "images_sha256": dict}
    wrong = [name for name, kind in kinds.items() if not isinstance(about[name], kind)]
    if wrong or len(about["image_shape"]) != 3 or not all(name in about["counts"] for name in PARTS):
        raise ValueError(f"{root / ABOUT} must be as it was written; got other values. Prepare it anew.")
    return about


def _split(root: Path, about: dict[str, Any], name: str) -> Split:
    split = _mapped(root, about, name)
    return Split(split.images, split.labels, sha256=about["images_sha256"][name])


def _mapped(root: Path, about: dict[str, Any], name: str) -> Split:
    count = about["counts"][name]
    try:
        images = np.load(root / f"{name}_images.npy", mmap_mode="r")
        labels = np.load(root / f"{name}_labels.npy")
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(
            f"{root} must hold the arrays that were prepared; got an error: {error}. Delete it, and prepare it anew."
        ) from error
    if images.shape != (count, *about["image_shape"]) or labels.shape != (count,):
        raise ValueError(
            f"{root} must hold {count} images {tuple(about['image_shape'])} in {name}, as its {ABOUT} says; got images "
            f"{images.shape} and labels {labels.shape}. Delete it, and prepare it anew."
        )
    return Split(images, labels)
