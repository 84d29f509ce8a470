"""The HTML page: it holds every figure, refers to nothing outside of it, and a browser shows it."""

import base64
import dataclasses
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from isvs_jax.robustness import corrupt, pgd
from isvs_jax.robustness.evaluation import Report, html_page, markdown

BROWSER = next((found for name in ("chromium", "google-chrome", "chrome") if (found := shutil.which(name))), None)
_VOID = {"meta", "br", "img", "line", "polyline", "polygon"}


class Page(HTMLParser):
    """The texts, references and open elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.references: list[str] = []
        self.elements: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        if tag not in _VOID:
            self.open.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def made(problem: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    folder = tmp_path_factory.mktemp("report")
    return problem.evaluate(folder=folder), folder


def test_a_page_refers_to_nothing_and_holds_every_figure(made: tuple[Report, Path]) -> None:
    report, folder = made
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert not {"script", "link", "iframe", "object"} & set(page.elements)
    assert page.references
    assert all(reference.startswith("data:image/png;base64,") for reference in page.references)
    # Nothing of the style asks for a file either.
    assert "url(" not in text
    assert "@import" not in text
    said = "".join(page.texts)
    for name, row in report.corruptions.items():
        for severity, cell in row.items():
            place = f"{name.replace('_', ' ')}, severity {severity}\n{100 * cell.accuracy:.1f}%"
            assert place in said
    # Each number of the Markdown is there.
    for number in re.findall(r"\d+\.\d", markdown(report)):
        assert number in said
    assert sum(element == "svg" for element in page.elements) == len(report.curves)


def test_names_are_not_taken_for_marks(report: Report) -> None:
    odd = dataclasses.replace(report, name="<b>a & b</b>", class_names=("<i>", "&", "c", "d", "e"))
    page = Page(html_page(odd))
    assert page.open == []
    assert "i" not in page.elements
    assert "Robustness of <b>a & b</b>" in page.texts


def test_examples_are_the_images_of_the_cells(problem: Any, made: tuple[Report, Path]) -> None:
    report, _ = made
    picture = pytest.importorskip("PIL.Image", reason="the examples are PNG files")

    def levels(text: str) -> np.ndarray:
        return np.asarray(picture.open(io.BytesIO(base64.b64decode(text)))).astype(float)

    table = {(name, s): cell.mask for name, row in report.corruptions.items() for s, cell in row.items()}
    failed = np.sum([~mask for mask in table.values()], axis=0)
    assert [example.failed for example in report.examples] == [failed[example.index] for example in report.examples]
    # Those that are right when clean come first, and among them those that most cells break.
    right = report.clean.mask[:8]
    first = report.examples[0]
    assert right[first.index]
    assert first.failed == failed[:8][right].max()
    moved = pgd(
        problem.logits_fn,
        problem.images[:8],
        problem.labels[:8],
        jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 102), 0),
        epsilon=2 / 255,
        num_steps=3,
    )
    for example in report.examples:
        image = problem.images[example.index]
        np.testing.assert_array_equal(levels(example.images["clean"]), np.round(255 * image))
        assert example.predicted["clean"] == np.asarray(problem.logits_fn(image[None]))[0].argmax()
        attacked = np.asarray(moved)[example.index]
        np.testing.assert_allclose(levels(example.images["attacked"]), 255 * attacked, atol=0.51)
        difference = 0.5 + example.amplification * (attacked - image)
        np.testing.assert_allclose(levels(example.images["difference"]), 255 * difference, atol=0.6)
        if example.corruption:
            name, _, severity = example.corruption.rpartition(" ")
            place = (name.replace(" ", "_"), int(severity))
            assert not table[place][example.index]
            corrupted = corrupt(image[None], *place, jax.random.key(0), indices=np.array([example.index]))
            np.testing.assert_allclose(levels(example.images["corrupted"]), 255 * np.asarray(corrupted[0]), atol=0.51)
            assert example.predicted["corrupted"] != example.label


def test_a_report_without_corruptions_attacks_and_examples_is_a_page(report: Report) -> None:
    page = Page(html_page(dataclasses.replace(report, corruptions={}, attacks=(), curves=(), doublings=())))
    assert page.open == []
    assert "Corruptions were not evaluated." in page.texts
    assert page.references == []


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed, which would show the page")
def test_a_browser_shows_the_page(made: tuple[Report, Path], tmp_path: Path) -> None:
    picture = pytest.importorskip("PIL.Image", reason="the picture of the browser is a PNG file")
    report, folder = made
    options = [
        "--headless",
        "--disable-gpu",
        "--no-sandbox",
        f"--user-data-dir={tmp_path}",
        "--force-device-scale-factor=1",
    ]
    shot, page = tmp_path / "page.png", (folder / "report.html").as_uri()
    command = [str(BROWSER), *options, "--window-size=500,900", f"--screenshot={shot}", "--dump-dom", page]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    # What the browser made of it is the page, whole.
    assert f"Robustness of {report.name}" in done.stdout
    assert done.stdout.count('class="cell"') == sum(len(row) for row in report.corruptions.values())
    shown = np.asarray(picture.open(shot).convert("L"))
    assert shown.std() > 5
