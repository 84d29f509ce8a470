"""The formula corruptions against the imagecorruptions package itself, to one grey level."""

import importlib
import importlib.util
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from isvs_jax.robustness import corrupt

FORMULAS = [
    "defocus_blur",
    "zoom_blur",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg_compression",
    "gaussian_blur",
    "saturate",
]


@pytest.fixture(scope="module")
def original() -> Iterator[types.ModuleType]:
    """The package's functions, with what its dependencies have since removed put back."""
    spec = importlib.util.find_spec("imagecorruptions")
    if spec is None or spec.origin is None:
        pytest.skip("imagecorruptions is not in the test extra: it needs OpenCV, and shims to run")
    folder = Path(spec.origin).parent
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        resources = types.ModuleType("pkg_resources")
        resources.resource_filename = lambda _, name: str(folder / name)  # type: ignore[attr-defined]
        patch.setitem(sys.modules, "pkg_resources", resources)
        module = importlib.import_module("imagecorruptions.corruptions")
        blur = module.gaussian
        patch.setattr(
            module,
            "gaussian",
            lambda image, sigma, multichannel=False: blur(
                image, sigma=sigma, channel_axis=-1 if multichannel else None
            ),
        )
        yield module


@pytest.mark.parametrize("name", FORMULAS)
def test_formula_corruptions_agree_to_one_grey_level(name, original, grey_levels, images, key):
    picture = pytest.importorskip("PIL.Image", reason="imagecorruptions takes Pillow images")
    if name == "pixelate":
        # The package enlarges by Pillow's nearest filter, the original by its box, which differ where
        # a pixel's centre lies on a border, as at a width of 40.
        grey_levels, images = grey_levels[:, :, :32], images[:, :, :32]
    for severity in range(1, 6):
        expected = [getattr(original, name)(picture.fromarray(level), severity) for level in grey_levels]
        expected = np.stack([np.asarray(image, np.float64) for image in expected])
        output = 255 * np.asarray(corrupt(images, name, severity, key, table=224), np.float64)
        # Pillow rounds the pixels of pixelate twice, half a level each; the others are not rounded.
        np.testing.assert_allclose(output, expected, atol=1.001 if name == "pixelate" else 3e-3)
        stored = 255 * np.asarray(corrupt(images, name, severity, key, table=224, quantize=True), np.float64)
        # Both truncate: a value that is a whole level but for rounding may go either way.
        assert np.abs(np.round(stored) - np.uint8(expected)).max() <= 1
