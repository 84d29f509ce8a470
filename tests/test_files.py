import os
from pathlib import Path

import pytest

from isvs_jax._files import write_atomically


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
