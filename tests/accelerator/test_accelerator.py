"""The command on a CPU: what it writes, and what it says where something differs or fails."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.accelerator import agreement, command
from isvs_jax.accelerator.agreement import Check
from isvs_jax.accelerator.speed import SMALL, Ceilings, Rate, ceilings, rates


@pytest.fixture
def parts(monkeypatch):
    """Stands for the checks and the measurements, one of which fails."""

    def broken():
        raise RuntimeError("no such operation here\nand more")

    found = [lambda: Check("values", 1e-7, 1e-4), lambda: Check("gradients", math.nan, 1e-4, "Not a number."), broken]
    speeds = [lambda: Rate("path", 1000.0, 2.0, 0.5, math.nan), lambda: Rate("path, on the chip", 1500.0, 3.0)]
    monkeypatch.setattr(command, "checks", lambda *_: iter(found))
    monkeypatch.setattr(command, "rates", lambda *_: iter(speeds))
    monkeypatch.setattr(command, "ceilings", lambda _: Ceilings(3e12, 6e13, 9e14))


@pytest.mark.usefixtures("parts")
def test_what_is_written_and_said(tmp_path, capsys):
    assert command.main(["--out", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "differ from the CPU by more than rounding: gradients." in said
    page = (tmp_path / "accelerator.md").read_text()
    assert "| values | 1.0e-07 | 1.0e-04 | the same |" in page
    assert "| gradients | nan | 1.0e-04 | **differs**. Not a number. |" in page
    assert "check 3: RuntimeError: no such operation here" in page
    assert "3,000 GB/s of memory, 60.00 TFLOP/s" in page
    assert "| path | 1,000 | 2.0 s | 50% |  |" in page
    assert "The on-chip program does not agree with XLA: it should stay off" in page
    kept = json.loads((tmp_path / "accelerator.json").read_text())
    assert kept["checks"][1]["difference"] is None
    assert [check["passed"] for check in kept["checks"]] == [True, False]
    assert kept["ceilings"]["bytes_a_second"] == 3e12


def test_values_sharding_and_the_kernel_agree():
    """The quickest of the checks, for real: a CPU agrees with itself, and eight devices with one."""
    found = {check.name: check for check in (part() for part in list(agreement.checks(jax.devices(), 8, 2))[-2:])}
    assert len(jax.devices()) == 8
    assert all(check.passed for check in found.values())
    assert 0 < found["smoothed images by the on-chip program"].difference < 1e-5
    assert "split over 8 devices" in " ".join(found)


def test_a_difference_is_found(monkeypatch):
    monkeypatch.setattr(agreement, "_on", lambda device, function, images: np.asarray(function(images), float))
    images = np.full((1, 8, 8, 3), 0.5, np.float32)
    shifted = agreement._same("x", lambda x: x, lambda f, x: f(x) + 1e-3, lambda f, x: f(x), images)
    assert not shifted.passed
    assert not Check("x", float("nan"), 1.0).passed


def test_a_path_is_measured_beside_the_ceilings():
    limits = ceilings(SMALL)
    assert all(limit > 1e6 for limit in limits)
    path = next(rates(SMALL._replace(paths=((8, 2),)), limits, is_gpu=False))()
    assert path.name == "path to t = 4, 8×8×3, batch 2"
    assert path.images_a_second > 0
    assert path.first_call > 0
    assert path.memory_share > 0
    assert path.arithmetic_share > 0
    assert jnp.isfinite(path.memory_share)
