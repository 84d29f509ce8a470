"""The denoising benchmark: its PSNR, its search for the best parameter, what it takes from a path, its going on."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isvs_jax import piecewise_constant, scale_space

pytest.importorskip("skimage", reason="total variation denoising is that of scikit-image")

from benchmarks.denoising import methods
from benchmarks.denoising.images import Case, cases, psnr
from benchmarks.denoising.methods import Setting, climb, total_variation
from benchmarks.denoising.record import run
from benchmarks.denoising.report import tables

SIGMA = 0.15
SETTINGS = {"flow": Setting("isotropic", 1.0, 0.02, True, methods.READINGS)}
TODO = [Case("set", Path(f"{name}.png"), True, False, 25) for name in "abc"]


def _square_and_noise(channels=1):
    clean = np.zeros((14, 12, channels))
    clean[4:10, 3:9] = 0.8
    noise = np.random.default_rng(0).normal(size=clean.shape)
    return clean, (clean + SIGMA * noise).astype(np.float32)


def test_psnr_is_that_of_scikit_image():
    from skimage.metrics import peak_signal_noise_ratio

    clean, noisy = _square_and_noise()
    expected = peak_signal_noise_ratio(clean, noisy.astype(np.float64), data_range=1.0)
    assert psnr(noisy, clean) == pytest.approx(expected, rel=1e-12)


@given(st.integers(-30, 30), st.integers(-30, 30), st.floats(0.5, 3.0))
def test_climb_finds_the_top_and_asks_once(top, start, power):
    asked = []

    def value(k):
        asked.append(k)
        return -(abs(k - top) ** power)

    assert climb(value, start) == (0.0, top)
    assert len(asked) == len(set(asked)) <= abs(start - top) + 3


def test_total_variation_is_at_its_best_weight():
    from skimage.restoration import denoise_tv_chambolle

    clean, noisy = _square_and_noise(channels=2)
    best, weight = total_variation(noisy, clean, SIGMA)["ROF, converged"]
    weights = SIGMA * methods.RATIO ** np.arange(-16, 17)
    values = [psnr(denoise_tv_chambolle(noisy.astype(float), w, 1e-6, 2000, channel_axis=-1), clean) for w in weights]
    assert best == pytest.approx(max(values), abs=1e-9)
    assert weight == pytest.approx(weights[np.argmax(values)], rel=1e-9)


def test_the_best_of_a_path_is_that_of_the_recorded_path():
    clean, noisy = _square_and_noise(channels=3)
    found = methods.along_the_path(noisy, clean, SIGMA, SETTINGS["flow"], records=20)
    times = methods.LAST / SIGMA / 20 * np.arange(1, 21)
    # Three Euler steps from one time to the next.
    solver = dataclasses.replace(SETTINGS["flow"].solver(SIGMA), step_size=times[0] / 3)
    path = scale_space(noisy, times.astype(np.float32), solver)
    dense = np.asarray(path.dense, np.float64)
    halves = [dense[:1].mean(0)] + [dense[k // 2 + 1 : k + 1].mean(0) for k in range(1, len(times))]
    sparse = np.asarray(piecewise_constant(noisy, path.support))
    values = {
        "u(t)": [psnr(image, clean) for image in dense],
        "mean of u": [psnr(image, clean) for image in halves],
        "sparse": [psnr(image, clean) if k % 4 == 3 else -np.inf for k, image in enumerate(sparse)],
    }
    for reading, along in values.items():
        # The scan and the recorded path round times differently.
        assert found[reading][0] == pytest.approx(max(along), abs=2e-3), reading
        assert found[reading][1] == pytest.approx(times[np.argmax(along)], rel=1e-5), reading
    assert found["u(t)"][0] > psnr(noisy, clean) + 3


def test_a_stopped_run_goes_on_where_it_was(tmp_path, monkeypatch):
    """Total variation and paths take no time here; what was measured is counted."""
    measured = []

    def path(noisy, clean, sigma, setting):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(setting)
        return {reading: [float(len(measured)), 1.0] for reading in setting.readings}

    monkeypatch.setattr(methods, "read", lambda case: _square_and_noise())
    monkeypatch.setattr(methods, "total_variation", lambda *_: {name: [0.0, 1.0] for name in methods.TOTAL_VARIATION})
    monkeypatch.setattr(methods, "along_the_path", path)
    file = tmp_path / "denoising.json"
    with pytest.raises(KeyboardInterrupt):
        run(file, TODO, SETTINGS)
    assert list(json.loads(file.read_text())["cases"]) == ["set/a/25", "set/b/25"]
    monkeypatch.setattr(methods, "along_the_path", lambda *_: {reading: [9.0, 1.0] for reading in methods.READINGS})
    another = {"another": SETTINGS["flow"]._replace(kappa=2.0)}
    record = run(file, TODO, SETTINGS | another)
    assert [case["u(t), flow"][0] for case in record["cases"].values()] == [1.0, 2.0, 9.0]
    assert [case["sparse, another"][0] for case in record["cases"].values()] == [9.0, 9.0, 9.0]
    assert json.loads(file.read_text()) == record
    with pytest.raises(ValueError, match="--out must be a folder without a record, or with one of these settings"):
        run(file, TODO, {"flow": another["another"]})


def test_the_tables_have_means_intervals_wins_losses_and_parameters():
    from scipy import stats

    rof, ours = np.array([30.0, 31.0, 29.0]), np.array([30.5, 30.9, 29.2])
    found = {
        case.key: {"ROF": [a, 0.05], "u(t), flow": [b, b - 20]} for case, a, b in zip(TODO, rof, ours, strict=True)
    }
    interval = stats.ttest_1samp(ours - rof, 0).confidence_interval(0.95)
    half = (interval.high - interval.low) / 2
    table = tables(found, TODO)
    assert "| set | 3 | 25 | 30.00 | 30.20 |" in table
    assert "| set | 3 | 25 | 0.51 (0.51 to 0.51) | 1.03 (0.90 to 1.07) |" in table
    assert f"| set | 3 | 25 | +0.20 ± {half:.2f} (2:1) |" in table


def test_a_folder_without_the_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--data must be a folder with images of Set12"):
        cases(tmp_path, [25], 1, choose=False)
