"""How commands end, and what long work shows while it goes on."""

import io
import os
import signal
import sys

import jax
import pytest

from isvs_jax._command import INTERRUPTED, exit_status, keep_compiled
from isvs_jax._extras import optional, unavailable
from isvs_jax._progress import progress_bar


def raising(error: BaseException) -> object:
    def work() -> None:
        raise error

    return work


def test_a_command_ends_in_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    kept = signal.getsignal(signal.SIGTERM)
    try:
        assert exit_status(lambda: print("done"), "python -m x") == 0
        for error in (ValueError("a must be 1; got 2."), OSError("no room"), FloatingPointError("nan")):
            assert exit_status(raising(error), "python -m x") == 1
        flax = ModuleNotFoundError("No module named 'flax.linen'", name="flax.linen")
        assert exit_status(raising(flax), "python -m x") == 1
        assert exit_status(lambda: os.kill(os.getpid(), signal.SIGTERM), "python -m x", "Again.") == INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, kept)
    printed = capsys.readouterr()
    assert printed.out == "done\n"
    assert printed.err.splitlines() == [
        "python -m x: a must be 1; got 2.",
        "python -m x: no room",
        "python -m x: nan",
        'python -m x: flax is not installed: pip install "isvs_jax[train]"',
        "",
        "Interrupted. Again.",
    ]


def test_other_modules_that_are_missing_keep_their_words() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'isvs_jax\.nothing'$"):
        optional("isvs_jax.nothing")
    mine = ModuleNotFoundError("No module named 'isvs_jax.nothing'", name="isvs_jax.nothing")
    with pytest.raises(ModuleNotFoundError, match="nothing"):
        unavailable(mine)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        assert list(progress_bar(range(1000), shown=True, desc="reading", unit="image", leave=False)) == list(
            range(1000)
        )
        shown.append(stream.getvalue())
    assert "\r" in shown[0]
    lines = shown[1].splitlines()
    assert lines[0].startswith("reading: 0/1000 image")
    assert lines[-1].startswith("reading: 1000/1000 image")
    # A line every half minute, however many steps there are.
    assert len(lines) <= 3
    assert "\r" not in shown[1]


def test_progress_that_is_not_asked_for_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(total=2, shown=False) as bar:
        bar.update(2)
    assert capsys.readouterr().err == ""


def test_compiled_programs_are_kept_unless_jax_is_told_otherwise(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = {name: value for name, value in jax.config.values.items() if "_cache" in name}
    folder = tmp_path / "isvs_jax" / "compiled"
    try:
        jax.config.update("jax_enable_compilation_cache", False)
        keep_compiled()
        assert not folder.exists()
        jax.config.update("jax_enable_compilation_cache", True)
        jax.config.update("jax_compilation_cache_dir", "mine")
        keep_compiled()
        assert jax.config.values["jax_compilation_cache_dir"] == "mine"
        jax.config.update("jax_compilation_cache_dir", None)
        keep_compiled()
        assert jax.config.values["jax_compilation_cache_dir"] == str(folder)
        assert folder.is_dir()
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
