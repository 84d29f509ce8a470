import errno
import json
import os
import threading
from pathlib import Path

import pytest

from isvs_jax._files import only_one, read_json, write_atomically, write_json


def test_text_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "text.json"
    for value in ("1", "2 é"):
        write_atomically(file, value)
        assert file.read_text(encoding="utf-8") == value
    assert [path.name for path in tmp_path.iterdir()] == ["text.json"]


def test_a_failure_leaves_the_old_text_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "text.json"
    write_atomically(file, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(file, "new")
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["text.json"]


def test_json_keeps_names_of_any_bytes(tmp_path: Path) -> None:
    value = {"names": ["café", os.fsdecode(b"\xff.png"), '"\\'], "share": 0.1}
    write_json(tmp_path / "value.json", value)
    assert read_json(tmp_path / "value.json") == value
    text = (tmp_path / "value.json").read_bytes().decode("utf-8")
    assert "café" in text
    assert json.loads(text) == value


@pytest.mark.parametrize("text", [b"", b'{"a": 1', b"\xff\xfe", b"a = 1"])
def test_what_is_no_json_is_named(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(text)
    with pytest.raises(
        ValueError, match=rf"config.json must be a whole file of JSON; got {len(text)} bytes .* Do it\."
    ):
        read_json(file, "Do it.")


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    file, inside, waited, most = tmp_path / "lock", [], [], []

    def hold() -> None:
        for _ in range(20):
            with only_one(file, lambda: waited.append(1)):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=hold) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 120
    assert list(tmp_path.iterdir()) == []


def test_who_finds_a_lock_taken_may_go(tmp_path: Path) -> None:
    def refuse() -> None:
        raise FileExistsError("taken")

    with only_one(tmp_path / "lock", refuse), pytest.raises(FileExistsError), only_one(tmp_path / "lock", refuse):
        pass
    with only_one(tmp_path / "lock", refuse):
        pass


def test_a_file_system_without_locks_keeps_nobody_from_working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl", reason="there are no locks on this system")

    def without(descriptor: object, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", without)
    worked = []
    with only_one(tmp_path / "lock", lambda: worked.append("taken")):
        worked.append("done")
    assert worked == ["done"]
