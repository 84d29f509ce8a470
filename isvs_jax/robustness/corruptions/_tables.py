"""The parameter tables of the originals: one table for each image size, one row for each severity.

The numbers are those with which Hendrycks and Dietterich made CIFAR-10-C (32 pixels), TinyImageNet-C (64 pixels) and
ImageNet-C (224 pixels). Everything here is NumPy in float64.
"""

from __future__ import annotations

import math

import numpy as np

CATEGORIES: dict[str, str] = {
    "gaussian_noise": "noise",
    "shot_noise": "noise",
    "impulse_noise": "noise",
    "defocus_blur": "blur",
    "glass_blur": "blur",
    "motion_blur": "blur",
    "zoom_blur": "blur",
    "snow": "weather",
    "frost": "weather",
    "fog": "weather",
    "brightness": "weather",
    "contrast": "digital",
    "elastic_transform": "digital",
    "pixelate": "digital",
    "jpeg_compression": "digital",
    "speckle_noise": "noise",
    "gaussian_blur": "blur",
    "spatter": "weather",
    "saturate": "digital",
}
"""The category of each of the nineteen corruptions, the fifteen of the test first.

The position of a name in this mapping is folded into the random key, so the order is fixed.
"""

CORRUPTIONS: tuple[str, ...] = tuple(CATEGORIES)[:15]
"""The fifteen corruptions of the test, in the order of the ImageNet-C paper."""

VALIDATION_CORRUPTIONS: tuple[str, ...] = tuple(CATEGORIES)[15:]
"""The four corruptions held out for validation, such as choosing a method or augmenting."""

TABLE_SIZES: tuple[int, ...] = (32, 64, 224)
"""The image sizes in pixels for which the originals have tables."""

NUM_SEVERITIES = 5


def _elastic(scale: float, rows: list[tuple[float, float, float]]) -> list[list[float]]:
    return [[scale * value for value in row] for row in rows]


# What the columns are is said beside each name; the function of the same name uses them.
TABLES: dict[str, dict[int, list]] = {
    "gaussian_noise": {  # standard deviation
        32: [0.04, 0.06, 0.08, 0.09, 0.10],
        64: [0.04, 0.08, 0.12, 0.15, 0.18],
        224: [0.08, 0.12, 0.18, 0.26, 0.38],
    },
    "shot_noise": {  # photons at white
        32: [500, 250, 100, 75, 50],
        64: [250, 100, 50, 30, 15],
        224: [60, 25, 12, 5, 3],
    },
    "impulse_noise": {  # share of values replaced
        32: [0.01, 0.02, 0.03, 0.05, 0.07],
        64: [0.01, 0.02, 0.05, 0.08, 0.14],
        224: [0.03, 0.06, 0.09, 0.17, 0.27],
    },
    "speckle_noise": {  # standard deviation of the factor
        32: [0.06, 0.1, 0.12, 0.16, 0.2],
        64: [0.15, 0.2, 0.25, 0.3, 0.35],
        224: [0.15, 0.2, 0.35, 0.45, 0.6],
    },
    "gaussian_blur": {  # sigma in pixels
        32: [0.4, 0.6, 0.7, 0.8, 1],
        64: [0.5, 0.75, 1, 1.25, 1.5],
        224: [1, 2, 3, 4, 6],
    },
    "defocus_blur": {  # radius of the disk, sigma of its anti-aliasing
        32: [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)],
        64: [(0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)],
        224: [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)],
    },
    "glass_blur": {  # sigma of both blurs, largest shift, rounds of shuffling
        32: [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)],
        64: [(0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)],
        224: [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)],
    },
    "motion_blur": {  # radius, sigma
        32: [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)],
        64: [(10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)],
        224: [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)],
    },
    "zoom_blur": {  # end and step of numpy.arange(1, end, step)
        32: [(1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)],
        64: [(1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)],
        224: [(1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)],
    },
    "snow": {  # mean, deviation, zoom, threshold, motion radius, motion sigma, share of image
        32: [
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ],
        64: [
            (0.1, 0.2, 1, 0.6, 8, 3, 0.8),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.8),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.65),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
        ],
        224: [
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ],
    },
    "frost": {  # weight of the image, weight of the frost
        32: [(1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)],
        64: [(1, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)],
        224: [(1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)],
    },
    "fog": {  # weight of the fog, decay of its details
        32: [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)],
        64: [(0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)],
        224: [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)],
    },
    "spatter": {  # mean, deviation, sigma, threshold, strength (mud: sigma), mud
        32: [
            (0.62, 0.1, 0.7, 0.7, 0.5, 0),
            (0.65, 0.1, 0.8, 0.7, 0.5, 0),
            (0.65, 0.3, 1, 0.69, 0.5, 0),
            (0.65, 0.1, 0.7, 0.69, 0.6, 1),
            (0.65, 0.1, 0.5, 0.68, 0.6, 1),
        ],
        64: [
            (0.62, 0.1, 0.7, 0.7, 0.6, 0),
            (0.65, 0.1, 0.8, 0.7, 0.6, 0),
            (0.65, 0.3, 1, 0.69, 0.6, 0),
            (0.65, 0.1, 0.7, 0.68, 0.6, 1),
            (0.65, 0.1, 0.5, 0.67, 0.6, 1),
        ],
        224: [
            (0.65, 0.3, 4, 0.69, 0.6, 0),
            (0.65, 0.3, 3, 0.68, 0.6, 0),
            (0.65, 0.3, 2, 0.68, 0.5, 0),
            (0.65, 0.3, 1, 0.65, 1.5, 1),
            (0.67, 0.4, 1, 0.65, 1.5, 1),
        ],
    },
    "brightness": {  # added to the value of HSV
        32: [0.05, 0.1, 0.15, 0.2, 0.3],
        64: [0.1, 0.2, 0.3, 0.4, 0.5],
        224: [0.1, 0.2, 0.3, 0.4, 0.5],
    },
    "saturate": {  # factor and offset of the saturation of HSV
        32: [(0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)],
        64: [(0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (30, 0.2)],
        224: [(0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)],
    },
    "contrast": {  # factor around the mean of each channel
        32: [0.75, 0.5, 0.4, 0.3, 0.15],
        64: [0.4, 0.3, 0.2, 0.1, 0.05],
        224: [0.4, 0.3, 0.2, 0.1, 0.05],
    },
    "elastic_transform": {  # pixels: amplitude, sigma of the displacement; reach of the affine map
        32: _elastic(32, [(0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)]),
        64: _elastic(64, [(0, 0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02)]),
        # 244, not 224: a slip of the original that the published images have.
        224: _elastic(244, [(2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)]),
    },
    "pixelate": {  # side of the small image over that of the image
        32: [0.95, 0.9, 0.85, 0.75, 0.65],
        64: [0.9, 0.8, 0.7, 0.6, 0.5],
        224: [0.6, 0.5, 0.4, 0.3, 0.25],
    },
    "jpeg_compression": {  # quality
        32: [80, 65, 58, 50, 40],
        64: [65, 58, 50, 40, 25],
        224: [25, 18, 15, 10, 7],
    },
}


def table_rows(name: str, table_size: int) -> np.ndarray:
    """The parameters of a corruption, a row for each severity: float64 [5, number of parameters]."""
    return np.asarray(TABLES[name][table_size], np.float64).reshape(NUM_SEVERITIES, -1)


def nearest_table_size(height: int, width: int) -> int:
    """The table whose size is nearest, as a ratio, to the shorter side of the image."""
    side = min(height, width)
    return min(TABLE_SIZES, key=lambda size: abs(math.log(size / side)))
