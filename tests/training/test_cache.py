import json
import shutil
from collections import namedtuple
from pathlib import Path

import jax
import numpy as np
import pytest

from isvs_jax import SplitLBI, smooth
from isvs_jax.augment.views import View
from isvs_jax.data import Split, digest
from isvs_jax.filters.linear import gaussian_blur
from isvs_jax.training import Inputs, cache, cached_views, smoothed_views
from isvs_jax.training.cache import default_batch_size, padded, smoothed_batches

INPUTS = Inputs("random", (View(1.0), View(1.0, "sparse"), View(0.8, "blur")))
FOUR_VIEWS = (View(2.0), View(1.0, "sparse"), View(1.0), View(0.8, "blur"))


def test_each_view_is_the_smoothed_image() -> None:
    images = np.asarray(jax.random.uniform(jax.random.key(0), (5, 8, 6, 3)))
    solver = SplitLBI(kappa=4.0, nu=0.2)
    stack = smoothed_views(images, FOUR_VIEWS, solver, batch_size=2, progress=False)
    assert stack.shape == (4, 5, 8, 6, 3)
    assert stack.dtype == np.float16
    for view, found in zip(FOUR_VIEWS, stack, strict=True):
        if view.kind == "blur":
            expected = gaussian_blur(images, view.strength)
        else:
            expected = smooth(images, view.strength, solver, view.kind)
        # Half precision has 11 bits: half a unit in the last place of numbers below 2.
        np.testing.assert_allclose(found, expected, atol=2**-11)


def test_batches_begin_where_they_are_asked_to() -> None:
    images = np.asarray(jax.random.uniform(jax.random.key(0), (5, 8, 6, 3)))
    whole = smoothed_views(images, FOUR_VIEWS[:1], batch_size=2, progress=False)
    found = list(smoothed_batches(images, FOUR_VIEWS[:1], SplitLBI(), batch_size=2, start=2))
    assert [start for start, _ in found] == [2, 4]
    np.testing.assert_array_equal(np.concatenate([batch for _, batch in found], axis=1), whole[:, 2:])


def test_uint8_and_no_views() -> None:
    images = np.full((3, 8, 8, 1), 51, np.uint8)
    np.testing.assert_allclose(smoothed_views(images, FOUR_VIEWS[:1], progress=False), 0.2, atol=2**-12)
    assert smoothed_views(images, (), progress=False).shape == (0, 3, 8, 8, 1)


@pytest.mark.parametrize(("shape", "size"), [((32, 32, 3), 256), ((224, 224, 3), 27), ((4000, 3000, 3), 1)])
def test_large_images_go_in_small_batches(shape: tuple[int, ...], size: int) -> None:
    assert default_batch_size(shape) == size


def test_padding() -> None:
    np.testing.assert_array_equal(padded(np.ones((2, 1)), 3), [[1], [1], [0]])


def a_split(count: int = 9, seed: int = 0) -> Split:
    images = np.random.default_rng(seed).integers(0, 256, (count, 8, 6, 3), np.uint8)
    return Split(images, np.arange(count, dtype=np.int32))


def cached(split: Split, folder: Path, inputs: Inputs = INPUTS, **options: object) -> np.memmap:
    return cached_views(split, inputs, folder, **{"batch_size": 2, "progress": False, **options})  # type: ignore[arg-type]


def test_the_cache_holds_the_views_and_is_mapped(tmp_path: Path) -> None:
    split = a_split()
    views = cached(split, tmp_path)
    assert isinstance(views, np.memmap)
    assert not views.flags.writeable
    assert views.dtype == np.float16
    expected = smoothed_views(split.images, INPUTS.views, INPUTS.solver, batch_size=2, progress=False)
    np.testing.assert_array_equal(views, expected)
    (folder,) = tmp_path.iterdir()
    about = json.loads((folder / "about.json").read_text())
    assert about["views"] == ["dense:1", "sparse:1", "blur:0.8"]
    assert about["images_sha256"] == digest(split)
    assert about["images"] == 9


def test_it_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cached(a_split(), tmp_path)

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("smoothed again")

    monkeypatch.setattr(cache, "smoothed_batches", refuse)
    np.testing.assert_array_equal(cached(a_split(), tmp_path), first)
    # The way, the share of raw images and the size of the batches change no view.
    cached(a_split(), tmp_path, Inputs("several", INPUTS.views, draws=2), batch_size=3)
    others = [
        (a_split(seed=1), INPUTS),
        (a_split(8), INPUTS),
        (Split(a_split().images[:, :, ::-1], a_split().labels), INPUTS),
        (a_split(), Inputs("random", INPUTS.views[:2])),
        (a_split(), Inputs("random", INPUTS.views[::-1])),
        (a_split(), Inputs("random", INPUTS.views, solver_nu=0.2)),
        (a_split(), Inputs("random", INPUTS.views, solver_kappa=4.0)),
    ]
    for split, inputs in others:
        with pytest.raises(AssertionError, match="smoothed again"):
            cached(split, tmp_path, inputs)
    # Another way to compute them, or another version of the package.
    for name, value in (("FORMAT", -1), ("__version__", "0.0.0")):
        with monkeypatch.context() as patch:
            patch.setattr(cache, name, value)
            with pytest.raises(AssertionError, match="smoothed again"):
                cached(a_split(), tmp_path)


def test_it_goes_on_where_it_was_stopped_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = a_split()
    whole = cached(split, tmp_path / "whole")
    starts = []

    def stopping(*arguments: object, start: int, **options: object):  # type: ignore[no-untyped-def]
        starts.append(start)
        for number, found in enumerate(smoothed_batches(*arguments, start=start, **options)):  # type: ignore[arg-type]
            if number == 2:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(cache, "smoothed_batches", stopping)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            cached(split, tmp_path / "parts")
    assert [path.suffix for path in (tmp_path / "parts").iterdir()] == [".partial"]
    views = cached(split, tmp_path / "parts")
    assert starts == [0, 4, 8]
    np.testing.assert_array_equal(views, whole)
    files = [next((tmp_path / name).glob("*/views.npy")) for name in ("whole", "parts")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_no_room_is_told_before_anything_is_smoothed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10_000, 0, 10_000))
    # 3 views of 1000 images of 8 × 6 × 3 numbers of 2 bytes.
    with pytest.raises(OSError, match=r"needs 864,000 bytes .* but its disk has 10,000 bytes .* free: make room"):
        cached(a_split(1000), tmp_path)


def test_no_views_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inputs must have one view or more; got the way 'raw' without views"):
        cached(a_split(), tmp_path, Inputs())
    cached(a_split(), tmp_path)
    (file,) = tmp_path.glob("*/views.npy")
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(
        ValueError, match=r"views.npy must be an array .* cannot be read .* Delete .*, and it is made again"
    ):
        cached(a_split(), tmp_path)
    np.save(file, np.zeros((3, 9, 8, 6, 3), np.float32))
    with pytest.raises(ValueError, match=r"must hold float16 .*; got float32"):
        cached(a_split(), tmp_path)


def test_a_mapped_split_gives_the_same(tmp_path: Path) -> None:
    split = a_split()
    np.save(tmp_path / "images.npy", split.images)
    mapped = Split(np.load(tmp_path / "images.npy", mmap_mode="r"), split.labels)
    assert digest(mapped) == digest(split)
    first = cached(mapped, tmp_path / "cache")
    np.testing.assert_array_equal(first, cached(split, tmp_path / "cache"))
    assert len(list((tmp_path / "cache").iterdir())) == 1
