"""Our corruptions beside imagecorruptions on the same images and CPU: time, and equality where it is due.

    pip install imagecorruptions
    JAX_PLATFORMS=cpu python benchmarks/corruptions.py --images 1000 --reference-images 10

Both sides run the ImageNet parameters, the only ones imagecorruptions has, on 32×32 images, and return
uint8. imagecorruptions takes one image at a time, so its time for all images is that for `--reference-images` times
their ratio. It does not run on current NumPy, SciPy, scikit-image and setuptools; what they removed is put back here
and its own code is left as it is.
"""

import argparse
import importlib.util
import io
import os
import platform
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from common import cifar_images
from PIL import Image

from isvs_jax.robustness import CORRUPTIONS, VALIDATION_CORRUPTIONS, corrupt
from isvs_jax.robustness.corruptions._tables import TABLES

SEVERITIES = range(1, 6)
# Those whose result does not depend on random numbers.
FORMULAS = ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression")
FORMULAS += ("gaussian_blur", "saturate")


def load_imagecorruptions() -> types.ModuleType:
    """Import the package after putting back the four names that its dependencies have dropped."""
    spec = importlib.util.find_spec("imagecorruptions")
    if spec is None or spec.origin is None:
        sys.exit("imagecorruptions is missing: pip install imagecorruptions")
    folder = Path(spec.origin).parent
    if importlib.util.find_spec("pkg_resources") is None:
        resources = types.ModuleType("pkg_resources")
        resources.resource_filename = lambda _, name: str(folder / name)  # type: ignore[attr-defined]
        sys.modules["pkg_resources"] = resources
    if importlib.util.find_spec("scipy.ndimage.interpolation") is None:
        sys.modules["scipy.ndimage.interpolation"] = importlib.import_module("scipy.ndimage")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        original = importlib.import_module("imagecorruptions.corruptions")
    vars(np).setdefault("float_", np.float64)
    gaussian = original.gaussian

    def gaussian_with_channels(image: np.ndarray, sigma: float, multichannel: bool = False, **options) -> np.ndarray:
        return gaussian(image, sigma=sigma, channel_axis=-1 if multichannel else None, **options)

    original.gaussian = gaussian_with_channels
    return original


def seconds(run: Callable[[], object]) -> np.ndarray:
    """Seconds by the clock, and of processor time over all threads (which other programs do not lengthen)."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return np.array([time.perf_counter() - clock, time.process_time() - processor])


def ours(name: str, images: np.ndarray, key: jax.Array) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Seconds of the five severities, seconds of compiling on top, and the results as uint8."""
    results: list[np.ndarray] = []

    def all_severities() -> None:
        results.clear()
        for severity in SEVERITIES:
            floats = jnp.asarray(images / np.float32(255))
            output = corrupt(floats, name, severity, key, table=224, quantize=True)
            results.append(np.asarray(jnp.round(255 * output).astype(jnp.uint8)))

    first = seconds(all_severities)
    run = np.min([seconds(all_severities) for _ in range(3)], axis=0)
    return run, np.maximum(first - run, 0), results


def theirs(function: Callable, images: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Seconds of the five severities and the results as uint8."""
    pictures = [Image.fromarray(image) for image in images]
    function(pictures[0], 1)  # imports and caches
    results: list[np.ndarray] = []
    taken = seconds(
        lambda: results.extend(
            np.stack([np.uint8(function(picture, severity)) for picture in pictures]) for severity in SEVERITIES
        )
    )
    return taken, results


def show(values: np.ndarray, digits: int = 2) -> str:
    """Numbers between strokes."""
    return " / ".join(f"{value:.{digits}f}" for value in values)


def compare_jpeg(images: np.ndarray, key: jax.Array) -> None:
    """The codec on device against Pillow, as a host callback would call it, at the CIFAR qualities."""

    def pillow(quality: int) -> np.ndarray:
        decoded = []
        for image in images:
            stream = io.BytesIO()
            Image.fromarray(image).save(stream, "JPEG", quality=quality)
            decoded.append(np.asarray(Image.open(stream)))
        return np.stack(decoded)

    floats = jnp.asarray(images / np.float32(255))
    print("\n| JPEG | quality | device, s | Pillow, s | largest difference |\n|---|---|---|---|---|")
    corrupt(floats, "jpeg_compression", 1, key, table=32).block_until_ready()
    for severity, quality in zip(SEVERITIES, (80, 65, 58, 50, 40), strict=True):
        start = time.perf_counter()
        coded = np.asarray(corrupt(floats, "jpeg_compression", severity, key, table=32))
        device = time.perf_counter() - start
        start = time.perf_counter()
        expected = pillow(quality)
        host = time.perf_counter() - start
        difference = np.abs(np.round(255 * coded) - expected).max()
        print(f"| severity {severity} | {quality} | {device:.3f} | {host:.3f} | {difference:.0f} |")


def photographed_frost(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """CIFAR-10-C's frost with its five photographs, which imagecorruptions ships: uint8 [N, 32, 32, 3]."""
    import cv2

    weight, frost_weight = TABLES["frost"][32][severity - 1]
    folder = Path(importlib.util.find_spec("imagecorruptions").origin).parent / "frost"  # type: ignore
    files = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
    photographs = [cv2.resize(cv2.imread(str(folder / file)), (0, 0), fx=0.2, fy=0.2) for file in files]
    frosted = []
    for image in images:
        photograph = photographs[rng.integers(len(photographs))][..., ::-1]
        top, left = (rng.integers(size - 32) for size in photograph.shape[:2])
        layer = photograph[top : top + 32, left : left + 32]
        frosted.append(np.clip(weight * image + frost_weight * layer, 0, 255).astype(np.uint8))
    return np.stack(frosted)


def compare_frost(images: np.ndarray, labels: np.ndarray, checkpoint: Path, key: jax.Array) -> None:
    """Accuracy of a ResNet-20 under our frost and under the photographs'."""
    from isvs_jax.models import ResNet, import_resnet, read_state_dict

    model = ResNet(depth=20)
    variables = import_resnet(read_state_dict(checkpoint), model)

    @jax.jit
    def predict(levels: jax.Array) -> jax.Array:
        return model.apply(variables, levels / 255).argmax(-1)

    def accuracy(levels: np.ndarray) -> float:
        batches = np.split(np.asarray(levels, np.float32), range(500, len(levels), 500))
        return 100 * float((np.concatenate([predict(batch) for batch in batches]) == labels).mean())

    print(f"\nAccuracy on {len(images)} images, per cent: clean {accuracy(images):.1f}")
    print("| frost | textures | photographs |\n|---|---|---|")
    rng = np.random.default_rng(0)
    for severity in SEVERITIES:
        frosted = corrupt(jnp.asarray(images / np.float32(255)), "frost", severity, key, quantize=True)
        textures = accuracy(np.round(255 * np.asarray(frosted)))
        photographs = accuracy(photographed_frost(images, severity, rng))
        print(f"| severity {severity} | {textures:.1f} | {photographs:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--reference-images", type=int, default=10, help="images that imagecorruptions is timed on")
    parser.add_argument(
        "--frost", type=Path, help="only this: a PyTorch ResNet-20 whose accuracy under frost to compare"
    )
    arguments = parser.parse_args()
    original = load_imagecorruptions()
    images, labels = cifar_images(arguments.images)
    few = images[: arguments.reference_images]
    key = jax.random.key(0)
    if arguments.frost:
        compare_frost(images, labels, arguments.frost, key)
        return
    np.random.seed(0)  # noqa: NPY002 - the original draws from the global generator
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {jax.devices()}, jax {jax.__version__}"
    )
    print(f"{len(images)} images of 32×32×3, five severities each; imagecorruptions timed on {len(few)}\n")
    print("Seconds by the clock / of processor time.\n")
    print("| corruption | ours | compiling | imagecorruptions | ratio | largest difference |")
    print("|---|---|---|---|---|---|")
    totals = np.zeros((3, 2))
    for name in CORRUPTIONS + VALIDATION_CORRUPTIONS:
        run, compiling, results = ours(name, images, key)
        taken, expected = theirs(getattr(original, name), few)
        taken *= len(images) / len(few)
        difference = ""
        if name in FORMULAS:
            pairs = zip(results, expected, strict=True)
            difference = f"{max(np.abs(a[: len(few)].astype(int) - b).max() for a, b in pairs)}"
        if name in CORRUPTIONS:
            totals += run, compiling, taken
        row = [name, show(run), show(compiling), show(taken), show(taken / run, 1), difference]
        print(f"| {' | '.join(row)} |", flush=True)
    run, compiling, taken = totals
    print(f"| **the 15 of the test** | {show(run)} | {show(compiling)} | {show(taken)} | {show(taken / run, 1)} | |")
    with_compiling = show(taken / (run + compiling), 1)
    print(f"\nCompiling included: {show(run + compiling)} s against {show(taken)} s, {with_compiling} times.")
    compare_jpeg(images, key)


if __name__ == "__main__":
    main()
