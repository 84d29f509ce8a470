import shutil
import threading
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from isvs_jax.data import growing
from isvs_jax.data.growing import ArraySpec, PartialFolder, only_maker

SPECS = {"a": ArraySpec((2, 5, 3), np.dtype(np.float16)), "b": ArraySpec((5,), np.dtype(np.int32))}
WHOLE = {"a": np.arange(30).reshape(2, 5, 3).astype(np.float16), "b": np.arange(5, dtype=np.int32)}
PLAN = {"what": "test", "parts": [1, 2]}


def fill(folder: PartialFolder, stop: int = 5) -> list[int]:
    """Write what is missing, one column of `a` and one number of `b` at a time."""
    written = []
    for part in range(folder.done, stop):
        for row in range(2):
            folder.write("a", (row * 5 + part) * 3, WHOLE["a"][row, part])
        folder.write("b", part, WHOLE["b"][part : part + 1])
        folder.advance(part + 1)
        written.append(part)
    return written


def fail_after(target: Path, parts: int, begun: threading.Event | None = None) -> None:
    with only_maker(target) as partial, PartialFolder(partial, PLAN, SPECS) as folder:
        fill(folder, parts)
        if begun is not None:
            begun.set()
            time.sleep(0.05)
        raise KeyboardInterrupt


def assert_whole(folder: Path) -> None:
    assert sorted(file.name for file in folder.iterdir()) == ["a.npy", "b.npy"]
    for name, expected in WHOLE.items():
        found = np.load(folder / f"{name}.npy", mmap_mode="r")
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "made"
    with only_maker(target) as partial:
        assert partial is not None
        with PartialFolder(partial, PLAN, SPECS) as folder:
            fill(folder)
            assert not target.exists()
            folder.finish(target)
    assert_whole(target)
    assert [path.name for path in target.parent.iterdir()] == ["made"]
    with only_maker(target) as partial:
        assert partial is None


@pytest.mark.parametrize("saved", [True, False])
def test_what_was_begun_is_gone_on_with(tmp_path: Path, saved: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not saved:  # as after a kill before anything was noted
        monkeypatch.setattr(PartialFolder, "save", lambda self: None)
    target = tmp_path / "made"
    with pytest.raises(KeyboardInterrupt):
        fail_after(target, 3)
    assert not target.exists()
    monkeypatch.undo()
    with only_maker(target) as partial, PartialFolder(partial, PLAN, SPECS) as folder:
        assert fill(folder) == list(range(3 if saved else 0, 5))
        folder.finish(target)
    assert_whole(target)


def test_notes_are_written_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = []
    for interval in (0.0, 60.0):
        monkeypatch.setattr(growing, "INTERVAL", interval)
        place = tmp_path / str(interval)
        place.mkdir()
        with PartialFolder(place, PLAN, SPECS) as folder:
            fill(folder, 3)
            noted.append((place / growing.PROGRESS).exists())
    assert noted == [True, False]


def test_another_plan_is_refused(tmp_path: Path) -> None:
    # Where nothing was made yet, what is asked for now begins.
    with PartialFolder(tmp_path, PLAN | {"parts": 7}, SPECS):
        pass
    with PartialFolder(tmp_path, PLAN, SPECS) as folder:
        folder.advance(1)
    with pytest.raises(ValueError, match=r"the same arrays; got one that differs in parts\. Delete it"):
        PartialFolder(tmp_path, {**PLAN, "parts": [1]}, SPECS)


def test_a_full_disk_is_told_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 30, 70))
    with pytest.raises(OSError, match=r"needs 80 bytes \(0.00 GiB\), but its disk has 70 bytes .* free: make room"):
        PartialFolder(tmp_path, PLAN, SPECS)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 20, 80))
    with PartialFolder(tmp_path, PLAN, SPECS) as folder:
        fill(folder)
    # What was written already needs no room again.
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 100, 0))
    with PartialFolder(tmp_path, PLAN, SPECS) as folder:
        assert folder.done == 5


def test_a_disk_that_fills_up_is_told_in_a_sentence(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full")
    with PartialFolder(tmp_path, PLAN, SPECS) as folder, open("/dev/full", "r+b", buffering=0) as full:
        folder._files["a"][0].close()
        folder._files["a"] = (full, 0)
        with pytest.raises(OSError, match=r"is full: make room and do the same again"):
            fill(folder)
        folder._finished = True  # /dev/full cannot be brought to a disk


def test_values_of_another_dtype_are_refused(tmp_path: Path) -> None:
    with (
        PartialFolder(tmp_path, PLAN, SPECS) as folder,
        pytest.raises(TypeError, match=r"values for a must be float16; got dtype float64\."),
    ):
        folder.write("a", 0, np.zeros(3))


def test_one_makes_and_the_others_wait(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "made"
    makers = []

    def make(number: int) -> None:
        with only_maker(target) as partial:
            if partial is None:
                assert_whole(target)
                return
            makers.append(number)
            with PartialFolder(partial, PLAN, SPECS) as folder:
                time.sleep(0.05)
                fill(folder)
                folder.finish(target)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(makers) == 1
    assert_whole(target)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert "is being made by another process; waiting for it" in capsys.readouterr().err


def test_the_next_one_takes_over_from_one_that_fails(tmp_path: Path) -> None:
    target = tmp_path / "made"
    begun = threading.Event()

    def fail() -> None:
        with pytest.raises(KeyboardInterrupt):
            fail_after(target, 2, begun)

    thread = threading.Thread(target=fail)
    thread.start()
    begun.wait()
    with only_maker(target) as partial, PartialFolder(partial, PLAN, SPECS) as folder:
        assert fill(folder) == [2, 3, 4]
        folder.finish(target)
    thread.join()
    assert_whole(target)


@pytest.mark.parametrize("name", ["PLAN", "PROGRESS"])
def test_a_note_that_was_cut_off_is_named(tmp_path: Path, name: str) -> None:
    with PartialFolder(tmp_path, PLAN, SPECS) as folder:
        fill(folder, 2)
    note = tmp_path / getattr(growing, name)
    note.write_text("")
    with pytest.raises(
        ValueError, match=rf"{note.name} must be a whole file of JSON; got 0 bytes .* it is made anew\."
    ):
        PartialFolder(tmp_path, PLAN, SPECS)
