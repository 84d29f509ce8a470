"""The HTML of a path holds the frames that it should, refers to nothing, and its slider works in a browser."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from isvs_jax import Edges, piecewise_constant, plotting, scale_space
from tests import browser

picture = pytest.importorskip("PIL.Image", reason="Pillow is not installed, which encodes the pictures")
ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")

TIMES = (1.0, 4.0, 8.0, 16.0)
KINDS = ("dense", "sparse", "blur")


@pytest.fixture(scope="module")
def image():
    """Noisy regions of colour, 12 × 10."""
    levels = np.zeros((12, 10, 3), np.float32)
    levels[3:9, 2:7] = (0.9, 0.6, 0.2)
    noise = 0.05 * np.random.default_rng(0).normal(size=levels.shape).astype(np.float32)
    return np.clip(levels + noise, 0, 1)


@pytest.fixture(scope="module")
def path(image):
    return scale_space(image, TIMES)


class Frames(HTMLParser):
    """The pictures of a slider by their alternative texts, what can be seen at first, and what is referred to."""

    def __init__(self, text):
        super().__init__()
        self.pictures, self.seen, self.references, self.open, self.said = {}, [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.references += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag == "img":
            file = io.BytesIO(base64.b64decode(given["src"].removeprefix("data:image/webp;base64,")))
            self.pictures[given["alt"]] = np.asarray(picture.open(file).convert("RGB")).astype(float)
            self.seen += [] if "hidden" in given else [given["alt"]]
        if tag not in ("img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said += [data] if self.open[-1:] == ["span"] else []


def test_exact_frames_are_those_of_the_path_and_of_a_blur_of_equal_energy(image, path):
    frames = Frames(plotting.path_slider(image, path, name="<regions>", quality=None))
    assert frames.open == []
    assert all(reference.startswith("data:image/webp;base64,") for reference in frames.references)
    assert frames.seen == ["<regions>", *(f"<regions>, {kind}, t = 8" for kind in KINDS)]
    np.testing.assert_array_equal(frames.pictures["<regions>"], np.rint(255 * image))
    for number, time in enumerate(TIMES):
        dense = np.asarray(path.dense[number], np.float64)
        sparse = piecewise_constant(image, Edges(*(edge[number] for edge in path.support)))
        entered = sum(np.asarray(edge[number]).sum() for edge in path.support) / (12 * 9 + 11 * 10)
        rms = np.sqrt(((dense - image) ** 2).mean())
        said = frames.said[number]
        assert said.startswith(f"t = {time:g}: {entered:.0%} of the edges have entered; dense is {rms:.3f} from the")
        sigma = float(re.search(r"σ = ([\d.]+)\.$", said)[1])
        blurred = ndimage.gaussian_filter(image.astype(np.float64), (sigma, sigma, 0), mode="reflect", truncate=4)
        # The σ is written with two digits.
        assert np.sqrt(((blurred - image) ** 2).mean()) == pytest.approx(rms, abs=0.004)
        for kind, expected, error in (("dense", dense, 0.51), ("sparse", sparse, 0.51), ("blur", blurred, 2.0)):
            shown = frames.pictures[f"<regions>, {kind}, t = {time:g}"]
            np.testing.assert_allclose(shown, 255 * np.clip(expected, 0, 1), atol=error)


def test_compressed_frames_are_near_and_of_fewer_bytes(image, path):
    large, noisy = np.kron(image, np.ones((6, 6, 1), np.float32)), np.random.default_rng(1).normal(size=(72, 60, 1))
    large = np.clip(large + 0.05 * noisy.astype(np.float32), 0, 1)
    kept, small = (plotting.path_slider(large, scale_space(large, [4.0]), quality=quality) for quality in (None, 80))
    assert len(small) < 0.6 * len(kept)
    exact, near = Frames(kept).pictures, Frames(small).pictures
    assert exact.keys() == near.keys()
    assert all(np.abs(exact[name] - near[name]).mean() < 10 for name in exact)


def test_grey_images_limits_and_a_part_of_the_columns(image):
    grey = 3 * image[..., :1] - 1
    frames = Frames(plotting.path_slider(grey, scale_space(grey, [4.0]), ("sparse",), blur=False, limits=(-1, 2)))
    assert list(frames.pictures) == ["image", "image, sparse, t = 4"]
    np.testing.assert_allclose(frames.pictures["image"], np.repeat(255 * image[..., :1], 3, -1), atol=0.51)
    assert frames.said[0].endswith("(root mean square).")


def test_an_image_that_its_path_leaves_as_it_is_has_no_blur():
    flat = np.full((6, 6, 1), 0.5, np.float32)
    frames = Frames(plotting.path_slider(flat, scale_space(flat, [1.0, 2.0])))
    assert frames.said[0].endswith("the blur of σ = 0.00.")
    assert all((pixels == 128).all() for pixels in frames.pictures.values())


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"quality": 0}, ValueError, "quality must be an integer from 1 to 100; got 0."),
        ({"quality": 0.5}, TypeError, "quality must be an integer"),
        ({"outputs": ("blur",)}, ValueError, "outputs must be one of 'dense', 'sparse'; got 'blur'."),
        ({"limits": (1.0, 0.0)}, ValueError, "limits must be two increasing numbers"),
    ],
)
def test_bad_options_get_a_sentence(image, path, options, error, sentence):
    with pytest.raises(error, match=sentence):
        plotting.path_slider(image, path, **options)


def test_several_images_get_a_sentence(image):
    images = np.stack([image, image])
    with pytest.raises(ValueError, match=r"image must be one image \[H, W, C\]; got 2\."):
        plotting.path_slider(images, scale_space(images, TIMES))


def test_the_gallery_is_small_and_refers_to_nothing():
    docs = Path(__file__).parents[2] / "docs"
    pieces, page = sorted((docs / "gallery").glob("*.html")), (docs / "gallery.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r'^--8<-- "docs/(.+)"$', page, re.MULTILINE)) == [f"gallery/{one.name}" for one in pieces]
    assert sum(piece.stat().st_size for piece in pieces) < 1e6
    used = re.findall(r"skimage\.data\.(\w+),", (docs / "gallery.py").read_text(encoding="utf-8"))
    assert len(used) == len(pieces)
    assert all(f"| `{name}` |" in page for name in used)
    for piece in pieces:
        frames = Frames(piece.read_text(encoding="utf-8"))
        assert frames.open == []
        assert len(frames.pictures) == 1 + len(KINDS) * len(frames.said)
        assert all(reference.startswith("data:image/webp;base64,") for reference in frames.references)


SEEN = """[...document.querySelectorAll('.isvs-path')].map(slider => [...slider.querySelectorAll('img, p > span')]
    .filter(one => one.offsetWidth).map(one => one.alt ?? one.textContent.split(':')[0]))"""


@pytest.mark.skipif(browser.BROWSER is None, reason="no Chromium is installed, which would show the page")
@pytest.mark.parametrize(("width", "columns"), [(1280, 4), (390, 2)])
def test_a_browser_shows_the_time_that_is_slid_to(image, path, tmp_path, width, columns):
    file = tmp_path / "page.html"
    sliders = "".join(plotting.path_slider(image, path, name=name) for name in "AB")
    head = "<!DOCTYPE html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    file.write_text(head + sliders, encoding="utf-8")

    def seen(name, time):
        return [name, *(f"{name}, {kind}, t = {time}" for kind in KINDS), f"t = {time}"]

    with browser.page(file, tmp_path / "profile", width=width, touch=width < 500) as send:
        assert browser.value(send, SEEN) == [seen("A", 8), seen("B", 8)]
        # The pictures stand in as many columns as fit, nothing is cut off, and the page does not scroll sideways.
        lefts = "new Set([...document.querySelectorAll('figure')].map(one => one.offsetLeft)).size"
        assert browser.value(send, lefts) == columns
        assert browser.value(send, "document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        browser.value(send, "document.querySelector('input').focus()")
        browser.press(send, "ArrowLeft", 37)
        assert browser.value(send, SEEN) == [seen("A", 4), seen("B", 8)]
        read_out = "document.querySelector('input').getAttribute('aria-valuetext')"
        assert browser.value(send, read_out).startswith("t = 4: ")
        browser.value(send, "document.querySelectorAll('input')[1].scrollIntoView()")
        box = browser.value(send, "document.querySelectorAll('input')[1].getBoundingClientRect().toJSON()")
        # A target for a finger is 44 pixels high.
        assert box["height"] == 44
        browser.tap(send, box["left"] + 2, box["top"] + 22, finger=width < 500)
        assert browser.value(send, SEEN) == [seen("A", 4), seen("B", 1)]
