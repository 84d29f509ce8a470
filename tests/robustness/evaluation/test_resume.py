"""A stopped evaluation goes on where it was, and never with the cells of another."""

import contextlib
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isvs_jax.robustness import Attacks, CorruptedImages, Corruptions, Resolution, load_cifar_c
from isvs_jax.robustness._resuming import differences
from isvs_jax.robustness.evaluation import Cell, Report, read_report, schedule
from isvs_jax.robustness.evaluation.effort import Effort
from isvs_jax.robustness.evaluation.loaders import told_apart
from isvs_jax.robustness.evaluation.schedule import Task, make_missing
from isvs_jax.robustness.evaluation.store import Store

QUICK: dict[str, Any] = {"attacks": None, "checks": None, "resolutions": ()}
NONE = QUICK | {"corruptions": None}


def read(reader: Any) -> Corruptions:
    return Corruptions(("gaussian_noise", "contrast"), (1, 5), read=reader)


class Reader:
    """Reads corrupted images until it is told to fail; remembers what it read."""

    def __init__(self, fail_at: int | None) -> None:
        self.asked: list[tuple[str, int]] = []
        self.fail_at = fail_at

    def __repr__(self) -> str:
        """Nothing of which its images depend on differs."""
        return "Reader()"

    def __call__(self, name: str, severity: int) -> CorruptedImages:
        if len(self.asked) == self.fail_at:
            raise KeyboardInterrupt
        self.asked.append((name, severity))
        rng = np.random.default_rng([len(name), severity])
        return CorruptedImages(rng.integers(0, 256, (9, 8, 8, 3), np.uint8), rng.integers(0, 5, 9))


def masks(report: Report) -> list[str]:
    return [cell.correct for row in report.corruptions.values() for cell in row.values()]


def test_a_stopped_evaluation_goes_on(problem: Any, tmp_path: Path) -> None:
    whole = problem.evaluate(corruptions=read(Reader(None)), **QUICK)
    stopped = Reader(3)
    with pytest.raises(KeyboardInterrupt):
        problem.evaluate(corruptions=read(stopped), folder=tmp_path, **QUICK)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["partial.json"]
    assert len(json.loads((tmp_path / "partial.json").read_text())["cells"]) == 1 + 3
    resumed = Reader(None)
    report = problem.evaluate(corruptions=read(resumed), folder=tmp_path, **QUICK)
    assert resumed.asked == [("contrast", 5)]
    assert masks(report) == masks(whole)
    assert masks(read_report(tmp_path)) == masks(whole)
    # A third time nothing is left to do.
    again = Reader(0)
    assert masks(problem.evaluate(corruptions=read(again), folder=tmp_path, **QUICK)) == masks(whole)


def test_another_evaluation_is_refused_and_the_folder_kept(problem: Any, tmp_path: Path) -> None:
    problem.evaluate(folder=tmp_path, **NONE)
    before = (tmp_path / "partial.json").read_bytes()
    for changes, said in (
        ({"resolutions": (Resolution(2),)}, r"settings\.resolutions is \[\] there and \[\[2, "),
        ({"attacks": Attacks(("apgd-ce",))}, r"settings\.attacks\.names is \[\] there and \['apgd-ce'\] here"),
        ({"name": "other"}, "name is 'linear' there and 'other' here"),
        ({"parameters": np.zeros(3)}, "parameters is '[0-9a-f]{64}' there"),
    ):
        with pytest.raises(ValueError, match=said):
            problem.evaluate(**NONE | {"folder": tmp_path} | changes)
    assert (tmp_path / "partial.json").read_bytes() == before


def test_other_data_and_another_network_are_told_apart(problem: Any, other_problem: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = NONE | {"folder": tmp_path, "parameters": None}
    problem.evaluate(**options)
    other = other_problem(1)
    with pytest.raises(ValueError, match="data is"):
        other.evaluate(**options)
    other.images, other.labels = problem.images, problem.labels
    with pytest.raises(ValueError, match="the network: its logits"):
        other.evaluate(**options)


def test_a_report_without_its_cells_is_not_overwritten(problem: Any, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("precious")
    with pytest.raises(FileExistsError, match="would be overwritten"):
        problem.evaluate(folder=tmp_path, **NONE)
    assert (tmp_path / "report.json").read_text() == "precious"


@pytest.mark.parametrize("text", ["", '{"cells": {', "[]", '{"fingerprint": {}, "probe": [[0, 0]], "cells": {"a": 1}}'])
def test_a_spoilt_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "partial.json").write_text(text)
    with pytest.raises(ValueError, match=r"partial\.json must be"):
        Store(tmp_path, {}, np.zeros((1, 2)))


def test_a_write_that_fails_leaves_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, {"a": 1}, np.zeros((1, 2)))
    store.put("first", Cell("80", 1))

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        store.put("second", Cell("80", 1))
    assert [file.name for file in tmp_path.iterdir()] == ["partial.json"]
    again = Store(tmp_path, {"a": 1}, np.zeros((1, 2)))
    assert "first" in again
    assert "second" not in again


def test_the_sessions_of_all_cells_are_kept(tmp_path: Path) -> None:
    def store(command: str) -> Store:
        return Store(tmp_path, {}, np.zeros((1, 2)), {"command": command})

    def kept(store: Store) -> list[tuple]:
        assert all(0 <= session["processor_seconds"] < 60 for session in store.sessions)
        return [(session["command"], session["cells"], session["seconds"]) for session in store.sessions]

    store("first").put("one", Cell("80", 1, seconds=2.0))
    second = store("second")
    assert kept(second) == [("first", 1, 2.0)]
    second.put("two", Cell("80", 1, seconds=1.0))
    second.put("three", Cell("80", 1, seconds=0.5))
    # Who makes no cell is not listed.
    assert kept(store("third")) == [("first", 1, 2.0), ("second", 2, 1.5)]


def test_a_report_lists_each_session(problem: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command, reader in (("first", Reader(2)), ("second", Reader(None))):
        monkeypatch.setattr("sys.argv", ["program", command])
        with contextlib.suppress(KeyboardInterrupt):
            problem.evaluate(corruptions=read(reader), folder=tmp_path, **QUICK)
    sessions = read_report(tmp_path).made["sessions"]
    assert [session["command"].split()[-1] for session in sessions] == ["first", "second"]
    assert [session["cells"] for session in sessions] == [3, 2]
    text = (tmp_path / "report.md").read_text()
    assert "3 cells in" in text
    assert "2 cells in" in text


def test_rounding_of_the_probe_is_let_pass(tmp_path: Path) -> None:
    Store(tmp_path, {}, np.array([[5.0, -3.0]])).put("cell", Cell("80", 1))
    assert "cell" in Store(tmp_path, {}, np.array([[5.0001, -3.0]]))
    with pytest.raises(ValueError, match="the network"):
        Store(tmp_path, {}, np.array([[5.1, -3.0]]))


def test_differences_name_their_place() -> None:
    assert differences({"a": [1], "b": {"c": None}}, {"a": [1], "b": {"c": 0, "d": 1}}) == [
        "b.c is None there and 0 here",
        "b.d is None there and 1 here",
    ]


def test_loaders_that_cannot_be_told_apart_are_refused_with_a_folder(problem: Any, tmp_path: Path) -> None:
    class Silent(Reader):
        __repr__ = object.__repr__

    def local(name: str, severity: int) -> CorruptedImages:
        raise AssertionError

    for reader in (
        lambda name, severity: local(name, severity),
        local,
        Silent(None),
        functools.partial(local),
        Silent(0).__call__,
    ):
        with pytest.raises(ValueError, match="read must be a function that can be told from others"):
            problem.evaluate(corruptions=read(reader), folder=tmp_path, **QUICK)
    assert not list(tmp_path.iterdir())
    # One of a module with what is bound to it is known again; the files are not there.
    with pytest.raises(FileNotFoundError):
        problem.evaluate(corruptions=read(functools.partial(load_cifar_c, "none")), folder=tmp_path, **QUICK)


def test_without_a_terminal_progress_is_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(told: Callable[[str], None]) -> Cell:
        told("half")
        return Cell("80", 1)

    tasks = {name: Task(make, Effort(100, gradients)) for name, gradients in (("a", 0), ("b", 0), ("c", 100))}
    make_missing(tasks, Store(None, {}, np.zeros((1, 2))), True, 0.1)
    first, *lines = capsys.readouterr().err.splitlines()
    # Work is counted, not cells: the last of three is two thirds of it.
    assert first.startswith("3 cells: 300 forward passes and at most 100 gradients of single images are to be made.")
    assert "about 60 s, and compiling on top" in first
    assert lines == ["3/3 cells, c done"]
    monkeypatch.setattr(schedule, "_INTERVAL", 0.0)
    store = Store(None, {}, np.zeros((1, 2)))
    store.put("a", Cell("80", 1))
    make_missing(tasks, store, True, 0.1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("3 cells, 1 of them there: 200 forward passes")
    assert lines[1:3] == ["0/2 cells, about 50 s left, b", "0/2 cells, about 50 s left, b half"]
    # A cell without gradients says nothing of how long gradients take.
    assert "1/2 cells, about 40 s left, c half" in lines
    make_missing(tasks, Store(None, {}, np.zeros((1, 2))), False, 0.1)
    assert capsys.readouterr().err == ""


def _reads(name: str, severity: int, extra: Any = None) -> CorruptedImages:
    return CorruptedImages(np.full((4, 8, 8, 3), 100, np.uint8), np.zeros(4, int))


def _of_a_script(value: int) -> Any:
    """A function of a module that another module of the same name may have in another form."""
    names: dict[str, Any] = {"np": np, "CorruptedImages": CorruptedImages, "__name__": "script"}
    made = f"CorruptedImages(np.full((4, 8, 8, 3), {value}, 'uint8'), np.zeros(4, int))"
    exec(f"def read(name, severity):\n    return {made}", names)
    return names["read"]


@pytest.mark.parametrize(
    "pair",
    [
        [functools.partial(_reads, extra=np.append(np.zeros(5000), value)) for value in (0, 1)],
        [functools.partial(_reads, extra=np.array([0.1, 0.1 + value])) for value in (0, 1e-12)],
        [_of_a_script(100), _of_a_script(101)],
    ],
)
def test_loaders_that_differ_are_told_apart(pair: list[Any]) -> None:
    first, second = (told_apart(reader, "folder") for reader in pair)
    assert first != second
    assert told_apart(pair[0], "folder") == first
    assert told_apart(functools.partial(load_cifar_c, "x"), "y") == "isvs_jax.robustness.official.load_cifar_c('x')"


def test_a_folder_does_not_belong_to_what_found_no_files(problem: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        problem.evaluate(corruptions=read(functools.partial(load_cifar_c, "none")), folder=tmp_path, **QUICK)
    assert not (tmp_path / "partial.json").exists()
    with pytest.raises(TypeError, match="read must return CorruptedImages; got None for gaussian_noise 1"):
        problem.evaluate(corruptions=read(lambda name, severity: None), **QUICK)
    problem.evaluate(folder=tmp_path, **NONE)


def test_numbers_and_names_of_any_kind_are_written(problem: Any, tmp_path: Path) -> None:
    report = problem.evaluate(
        folder=tmp_path,
        resolutions=(Resolution(np.int64(2), jpeg_quality=np.int32(75)),),  # type: ignore[arg-type]
        class_names=np.array(["a", "b", "c", "d", "caf\udce9"]),
        **{key: value for key, value in NONE.items() if key != "resolutions"},
    )
    assert read_report(tmp_path).class_names == report.class_names
    assert "caf\\udce9" in (tmp_path / "report.html").read_text() + (tmp_path / "report.md").read_text()
