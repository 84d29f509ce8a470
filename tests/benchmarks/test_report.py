"""From rounds to figures: ratios, shares of steps, exponents, the place in the page."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import growth, report


def rounds(peer: str, seconds: list[float], **info: object) -> dict:
    defaults = {"case": "cifar-128", "kind": "flow", "turn": 0, "images": 128, "steps": "7 steps", "share": 1.0}
    return {"extra_info": defaults | {"note": "", "peer": peer, "seconds": seconds} | info, "stats": {}}


def test_turns_are_pooled_and_times_are_milliseconds_an_image() -> None:
    table = report.table_of([rounds("isvs_jax", [0.256, 0.512]), rounds("isvs_jax", [0.128], turn=1)])
    measured = table["cifar-128"]["isvs_jax"]
    assert (measured.fastest, measured.median) == pytest.approx((1.0, 2.0))


def test_a_part_of_the_steps_counts_for_all() -> None:
    table = report.table_of([rounds("textbook, NumPy", [0.5], images=4, share=0.1)])
    assert table["cifar-128"]["textbook, NumPy"].fastest == pytest.approx(1250)
    assert "timed in part, 10.0%; timed on 4 images" in report.markdown_of("cifar-128", table["cifar-128"])


def test_the_faster_textbook_is_the_one_to_beat() -> None:
    jax, plain = report.TEXTBOOKS_IN_JAX
    benchmarks = [rounds("isvs_jax", [0.1]), rounds(jax, [1.3]), rounds(plain, [1.1])]
    aims = {aim.what: aim for aim in report.aims_of(report.table_of(benchmarks), {}, {})}
    aim = aims["textbook in JAX, fewest stable steps, over isvs_jax"]
    assert aim.figure == "11"
    assert aim.held is False
    assert aims["textbook in NumPy, fewest stable steps, over isvs_jax"].held is None


def test_memory_counts_input_output_and_all_between() -> None:
    info = {"memory": "dense", "shape": [2, 3], "t": 8.0, "argument": 1.0, "output": 1.0, "temp": 9.9}
    dense, sparse = report.aims_of({}, {}, {"dense": info, "sparse": info | {"temp": 10.0}})[-2:]
    assert (dense.figure, dense.held, sparse.held) == ("11.90", True, False)


def test_an_exponent_is_found_with_its_interval() -> None:
    amounts = np.array([1.0, 2, 4, 8, 16])
    exact = growth.exponent(amounts, 3 * amounts**1.25)
    assert exact[:3] == pytest.approx((1.25, 1.25, 1.25))
    assert exact.scale == pytest.approx(3)
    noisy = growth.exponent(amounts, 3 * amounts * np.array([1.0, 1.2, 1.0, 1.2, 1.0]))
    assert noisy.low < 1 < noisy.high


def test_pixels_times_their_logarithm_have_exponent_one() -> None:
    pixels = np.array([2.0**k for k in range(10, 18)])
    fits = growth.exponents({"pixels": list(zip(pixels, pixels * np.log2(pixels), strict=True))})
    assert fits["pixels × log pixels"].value == pytest.approx(1)
    assert 1 < fits["pixels"].value < 1.2


def test_the_section_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n\nText.\n")
    report.insert(page, "first")
    report.insert(page, "second")
    assert page.read_text() == f"# Title\n\nText.\n\n{report.BEGIN}\n\nsecond\n\n{report.END}\n"


def test_the_picture_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures are drawn by matplotlib")
    points = {axis: [(4.0, 1.0), (16.0, 4.0), (64.0, 17.0)] for axis in ("pixels", "batch", "t")}
    growth.plot(points, growth.exponents(points), tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1000


@pytest.mark.parametrize("room", ["conftest", "peers", "bench_growth", "bench_memory", "bench_path"])
def test_what_make_bench_runs_can_be_imported_from_the_root(room: str) -> None:
    importlib.import_module(f"benchmarks.peers.{room}")
