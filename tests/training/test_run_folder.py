from pathlib import Path

import pytest

from isvs_jax.training import ConfigurationChangedError, claim


def test_a_folder_belongs_to_one_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "run"
    config = {"epochs": 3, "inputs": {"way": "raw", "views": (1.0, 2.0)}}
    assert claim(folder, config) is False
    assert claim(folder, config) is True
    changed = {"epochs": 4, "inputs": {"way": "random", "views": (1.0, 2.0)}, "noise": 0.1}
    with pytest.raises(ConfigurationChangedError) as caught:
        claim(folder, changed)
    message = str(caught.value)
    assert "epochs: 3 there, 4 asked for" in message
    assert "inputs.way: raw there, random asked for" in message
    assert "noise: nothing there, 0.1 asked for" in message
    assert "views" not in message
    assert claim(folder, config) is True


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigurationChangedError, match="is not the folder of a run"):
        claim(tmp_path, {"epochs": 3})
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_kill_while_the_configuration_is_written_locks_nobody_out(tmp_path: Path) -> None:
    (tmp_path / ".config.json.1234.partial").write_text('{"epo')
    assert claim(tmp_path, {"epochs": 3}) is False
    assert claim(tmp_path, {"epochs": 3}) is True
