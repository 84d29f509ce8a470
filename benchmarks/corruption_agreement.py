"""How close our corruptions are to the originals on CIFAR-10: PSNR, and the accuracy left to a ResNet-20.

    pip install imagecorruptions
    JAX_PLATFORMS=cpu python benchmarks/corruption_agreement.py --checkpoint resnet20-12fca82f.th --images 500

The originals are the functions of imagecorruptions with the parameters of CIFAR-10-C put into their code: the package
has those of ImageNet-C only. Where the package departs from the originals, the originals' way is put back: the zoomed
snow is trimmed to its middle; elastic_transform, another transform there, is written with OpenCV and SciPy; frost
cuts patches from the package's photographs as CIFAR-10-C does.

Where both sides take the same random numbers (normal, uniform, shifts of pixels) the original is given ours, and the
PSNR between the two images is shown. For PSNR to the clean image and for the accuracy the original draws numbers of
its own.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import itertools
import re
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from common import cifar_images
from corruptions import SEVERITIES, load_imagecorruptions, photographed_frost
from PIL import Image

from isvs_jax.models import ResNet, import_resnet, logits_fn, read_state_dict
from isvs_jax.robustness import CATEGORIES, corrupt
from isvs_jax.robustness.corruptions._tables import table_rows

Original = Callable[[np.ndarray, int], np.ndarray]
# Both sides take one random number here and another there: impulse and shot noise; frost has other pictures.
OWN_NUMBERS_ONLY = ("impulse_noise", "shot_noise", "frost")


def with_cifar_parameters(package: types.ModuleType, name: str) -> Original:
    """A function of the package with the rows for 32 pixels in place of its own: uint8 image, severity -> uint8."""
    if name == "elastic_transform":
        return original_elastic
    rows: list = [row[0] if len(row) == 1 else tuple(row) for row in table_rows(name, 32).tolist()]
    if name == "zoom_blur":
        rows = [np.arange(1, *row) for row in rows]
    if name in ("glass_blur", "motion_blur", "snow"):  # sizes and counts are integers
        rows = [tuple(int(v) if v == int(v) else v for v in row) for row in rows]
    if name == "jpeg_compression":
        rows = [int(row) for row in rows]
    table = re.compile(r"c = \[.*?\]\[\s*severity - 1\]", re.DOTALL)
    source, changed = table.subn("c = ROWS[severity - 1]", inspect.getsource(getattr(package, name)))
    if changed != 1:
        raise ValueError(f"imagecorruptions has {changed} tables of parameters for {name}; it must have one.")
    scope = {**vars(package), "ROWS": rows}
    if name == "snow":
        scope["clipped_zoom"] = lambda layer, factor: trimmed(package.clipped_zoom(layer, factor), len(layer))
    exec(compile(source, name, "exec"), scope)
    function = scope[name]
    return lambda image, severity: np.uint8(function(Image.fromarray(image), severity))


def trimmed(layer: np.ndarray, size: int) -> np.ndarray:
    """The middle of a square layer."""
    first = (len(layer) - size) // 2
    return layer[first : first + size, first : first + size]


def original_elastic(image: np.ndarray, severity: int) -> np.ndarray:
    """Hendrycks and Dietterich's: a random affine map by OpenCV, then a smooth displacement by SciPy."""
    import cv2
    import scipy.ndimage
    import skimage.filters

    amplitude, sigma, reach = table_rows("elastic_transform", 32)[severity - 1]
    size = len(image)
    middle, third = size // 2, size // 3
    before = np.float32([[middle + third] * 2, [middle + third, middle - third], [middle - third] * 2])
    after = before + np.random.uniform(-reach, reach, size=(3, 2)).astype(np.float32)  # noqa: NPY002
    affine = cv2.getAffineTransform(before, after)
    warped = cv2.warpAffine(np.float32(image) / 255, affine, (size, size), borderMode=cv2.BORDER_REFLECT_101)
    down, right = (
        amplitude * skimage.filters.gaussian(np.random.uniform(-1, 1, (size, size)), sigma, mode="reflect", truncate=3)  # noqa: NPY002
        for _ in range(2)
    )
    row, column = np.mgrid[:size, :size].astype(float)
    points = [row + down, column + right]
    moved = [scipy.ndimage.map_coordinates(warped[..., c], points, order=1, mode="reflect") for c in range(3)]
    return np.uint8(np.clip(np.stack(moved, -1), 0, 1) * 255)


def our_numbers(name: str, severity: int, key: jax.Array, index: int) -> Iterator[np.ndarray]:
    """What `corrupt` draws for one image, in the order in which the original asks; of unit scale."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, list(CATEGORIES).index(name)), severity), index)
    if name in ("gaussian_noise", "speckle_noise"):
        yield jax.random.normal(key, (32, 32, 3))
    elif name == "spatter":
        yield jax.random.normal(key, (32, 32, 1))
    elif name == "motion_blur":
        yield jax.random.uniform(key, (), minval=-1.0)
    elif name == "snow":
        layer_key, angle_key = jax.random.split(key)
        yield jax.random.normal(layer_key, (32, 32, 1))
        yield jax.random.uniform(angle_key, (), minval=-1.0)
    elif name == "fog":
        uniform, used = jax.random.uniform(key, (32 * 32 - 1,), minval=-1.0), 0
        while used < len(uniform):  # centres of squares, then the two kinds of diamonds, level by level
            side = round((used + 1) ** 0.5)
            for part in range(3):
                yield uniform[used + part * side**2 : used + (part + 1) * side**2]
            used += 3 * side**2
    elif name == "elastic_transform":
        uniform = jax.random.uniform(key, (6 + 2 * 32 * 32,), minval=-1.0)
        fields = uniform[6:].reshape(32, 32, 2)
        yield from (uniform[:6], fields[..., 0], fields[..., 1])
    elif name == "glass_blur":
        _, reach, rounds = table_rows(name, 32)[severity - 1].astype(int)
        for number in range(rounds):
            shifts = jax.random.randint(jax.random.fold_in(key, number), (2, 32 * 32), -reach, reach)
            shifts = np.asarray(shifts).reshape(2, 32, 32)
            for row, column in itertools.product(range(32 - reach, reach, -1), repeat=2):
                yield shifts[::-1, row, column]


@contextlib.contextmanager
def drawing(numbers: Iterator[np.ndarray]) -> Iterator[None]:
    """NumPy's global generator hands out these numbers, stretched to what is asked for."""

    def normal(loc: float = 0, scale: float = 1, size: tuple[int, ...] = ()) -> np.ndarray:
        return loc + scale * np.asarray(next(numbers), np.float64).reshape(size)

    def uniform(low: float, high: float, size: tuple[int, ...] = ()) -> np.ndarray:
        return (low + high) / 2 + (high - low) / 2 * np.asarray(next(numbers), np.float64).reshape(size)

    def randint(low: int, high: int, size: tuple[int, ...]) -> np.ndarray:
        del low, high, size
        return next(numbers)

    with mock.patch.multiple(np.random, normal=normal, uniform=uniform, randint=randint):
        yield


def psnr(images: np.ndarray, reference: np.ndarray) -> float:
    """Of all images together, in dB; infinite where they are equal."""
    error = np.mean((images.astype(np.float64) - reference) ** 2)
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="PyTorch state dict of a CIFAR ResNet-20")
    parser.add_argument("--images", type=int, default=500, help="test images of CIFAR-10")
    parser.add_argument("--paired", type=int, default=50, help="images given the same random numbers")
    parser.add_argument("--only", nargs="+", choices=tuple(CATEGORIES), default=tuple(CATEGORIES))
    arguments = parser.parse_args()
    package = load_imagecorruptions()
    images, labels = cifar_images(arguments.images)
    floats, key = jnp.asarray(images / np.float32(255)), jax.random.key(0)
    model = ResNet(depth=20, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    predict = jax.jit(logits_fn(model, import_resnet(read_state_dict(arguments.checkpoint), model)))

    def right(levels: np.ndarray) -> np.ndarray:
        batches = np.array_split(levels, max(1, len(levels) // 250))
        return np.concatenate([predict(batch / np.float32(255)).argmax(-1) for batch in batches]) == labels

    clean = 100 * right(images).mean()
    print(f"{len(images)} images, {arguments.paired} with the same random numbers; clean {clean:.1f}%")
    print("| corruption | same numbers, dB | to clean, dB: ours | original | accuracy: ours | original | difference |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.only:
        original = with_cifar_parameters(package, name) if name != "frost" else None
        paired, clean_psnr, correct = [], [], []
        np.random.seed(0)  # noqa: NPY002 - the original draws from the global generator
        for severity in SEVERITIES:
            ours = np.round(255 * np.asarray(corrupt(floats, name, severity, key, quantize=True))).astype(np.uint8)
            if original is None:
                theirs = photographed_frost(images, severity, np.random.default_rng(severity))
            else:
                theirs = np.stack([original(image, severity) for image in images])
            if original is not None and name not in OWN_NUMBERS_ONLY:
                same = []
                for index in range(arguments.paired):
                    with drawing(our_numbers(name, severity, key, index)):
                        same.append(original(images[index], severity))
                paired.append(psnr(ours[: arguments.paired], np.stack(same)))
            clean_psnr.append([psnr(ours, images), psnr(theirs, images)])
            correct.append([right(ours), right(theirs)])
        mine, yours = 100 * np.mean(correct, axis=(0, 2))
        gap = 100 * (np.mean(correct, 0)[0] - np.mean(correct, 0)[1])
        error = gap.std() / len(gap) ** 0.5
        ours_clean, theirs_clean = np.mean(clean_psnr, 0)
        row = [name, f"{min(paired):.1f}" if paired else "", f"{ours_clean:.1f}", f"{theirs_clean:.1f}"]
        row += [f"{mine:.1f}", f"{yours:.1f}", f"{mine - yours:+.1f} ± {error:.1f}"]
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
