import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from isvs_jax.augment.views import View
from isvs_jax.data import Split, digest
from isvs_jax.training import cache
from isvs_jax.training.cache import cached_views
from isvs_jax.training.inputs import Inputs
from isvs_jax.training.smoothing import smoothed_batches, smoothed_views

INPUTS = Inputs("random", (View(1.0), View(1.0, "sparse"), View(0.8, "blur")))


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
    monkeypatch.setattr(cache, "FORMAT", -1)
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


KILLED = """
import os, signal, sys
import numpy as np
from isvs_jax.data import Split, growing
from isvs_jax.training import cache, inputs, views

growing.INTERVAL = 0.0
smoothed = cache.smoothed_batches

def killing(*arguments, **options):
    for number, found in enumerate(smoothed(*arguments, **options)):
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield found

cache.smoothed_batches = killing
split = Split(np.load(sys.argv[1]), np.arange(9, dtype=np.int32))
shown = inputs.Inputs("fixed", (views.View(0.8, "blur"),))
cache.cached_views(split, shown, sys.argv[2], batch_size=2, progress=False)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_process_leaves_what_the_next_goes_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split, inputs = a_split(), Inputs("fixed", (View(0.8, "blur"),))
    np.save(tmp_path / "images.npy", split.images)
    whole = cached(split, tmp_path / "whole", inputs)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "images.npy"), str(tmp_path / "parts")]
    root = str(Path(cache.__file__).parents[2])
    done = subprocess.run(command, cwd=root, env={**os.environ, "JAX_PLATFORMS": "cpu"}, check=False)
    assert done.returncode == -signal.SIGKILL
    starts = []

    def noting(*arguments: object, start: int, **options: object):  # type: ignore[no-untyped-def]
        starts.append(start)
        return smoothed_batches(*arguments, start=start, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(cache, "smoothed_batches", noting)
    np.testing.assert_array_equal(cached(split, tmp_path / "parts", inputs), whole)
    assert starts == [4]


def test_no_room_is_told_before_anything_is_smoothed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10_000, 0, 10_000))
    # 3 views of 1000 images of 8 × 6 × 3 numbers of 2 bytes.
    with pytest.raises(OSError, match=r"needs 864,000 bytes .* but its disk has 10,000 bytes .* free: make room"):
        cached(a_split(1000), tmp_path)


def test_no_views_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="way 'raw' has no views"):
        cached(a_split(), tmp_path, Inputs())
    cached(a_split(), tmp_path)
    (file,) = tmp_path.glob("*/views.npy")
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"views.npy cannot be read .*: delete .*, and it is made again"):
        cached(a_split(), tmp_path)
    np.save(file, np.zeros((3, 9, 8, 6, 3), np.float32))
    with pytest.raises(ValueError, match=r"holds float32 .* are float16"):
        cached(a_split(), tmp_path)


def test_a_mapped_split_gives_the_same(tmp_path: Path) -> None:
    split = a_split()
    np.save(tmp_path / "images.npy", split.images)
    mapped = Split(np.load(tmp_path / "images.npy", mmap_mode="r"), split.labels)
    assert digest(mapped) == digest(split)
    first = cached(mapped, tmp_path / "cache")
    np.testing.assert_array_equal(first, cached(split, tmp_path / "cache"))
    assert len(list((tmp_path / "cache").iterdir())) == 1
