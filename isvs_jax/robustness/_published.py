"""What is known of the corrupted images that others published: how many, how large, and their checksums.

The MD5 of the archives are those of their Zenodo records. The MD5 of the files within are listed alike by
torch-uncertainty (torch_uncertainty/datasets) and by the Responsible AI Toolbox of MIT Lincoln Laboratory
(rai_toolbox/datasets). Of the single files of ImageNet-C no checksums are published.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import numpy as np

COUNTS = {"CIFAR-10-C": 10_000, "CIFAR-100-C": 10_000, "ImageNet-C": 50_000}
"""The images of one corruption and severity."""

ARCHIVES = {
    "CIFAR-10-C": "56bf5dcef84df0e2308c6dcbcbbd8499",
    "CIFAR-100-C": "11f0ed0f1191edbf9fa23466ae6021d3",
}
"""The MD5 of CIFAR-10-C.tar and CIFAR-100-C.tar."""

FILES = {
    "CIFAR-10-C": {
        "brightness": "0a81ef75e0b523c3383219c330a85d48",
        "contrast": "3c8262171c51307f916c30a3308235a8",
        "defocus_blur": "7d1322666342a0702b1957e92f6254bc",
        "elastic_transform": "9421657c6cd452429cf6ce96cc412b5f",
        "fog": "7b397314b5670f825465fbcd1f6e9ccd",
        "frost": "31f6ab3bce1d9934abfb0cc13656f141",
        "gaussian_blur": "c33370155bc9b055fb4a89113d3c559d",
        "gaussian_noise": "ecaf8b9a2399ffeda7680934c33405fd",
        "glass_blur": "7361fb4019269e02dbf6925f083e8629",
        "impulse_noise": "2090e01c83519ec51427e65116af6b1a",
        "jpeg_compression": "2b9cc4c864e0193bb64db8d7728f8187",
        "labels": "c439b113295ed5254878798ffe28fd54",
        "motion_blur": "fffa5f852ff7ad299cfe8a7643f090f4",
        "pixelate": "0f14f7e2db14288304e1de10df16832f",
        "saturate": "1cfae0964219c5102abbb883e538cc56",
        "shot_noise": "3a7239bb118894f013d9bf1984be7f11",
        "snow": "bb238de8555123da9c282dea23bd6e55",
        "spatter": "8a5a3903a7f8f65b59501a6093b4311e",
        "speckle_noise": "ef00b87611792b00df09c0b0237a1e30",
        "zoom_blur": "6ea8e63f1c5cdee1517533840641641b",
    },
    "CIFAR-100-C": {
        "brightness": "f22d7195aecd6abb541e27fca230c171",
        "contrast": "322bb385f1d05154ee197ca16535f71e",
        "defocus_blur": "d923e3d9c585a27f0956e2f2ad832564",
        "elastic_transform": "a0792bd6581f6810878be71acedfc65a",
        "fog": "4efc7ebd5e82b028bdbe13048e3ea564",
        "frost": "3a39c6823bdfaa0bf8b12fe7004b8117",
        "gaussian_blur": "5204ba0d557839772ef5a4196a052c3e",
        "gaussian_noise": "ecc4d366eac432bdf25c024086f5e97d",
        "glass_blur": "0bf384f38e5ccbf8dd479d9059b913e1",
        "impulse_noise": "3b3c210ddfa0b5cb918ff4537a429fef",
        "jpeg_compression": "c851b7f1324e1d2ffddeb76920576d11",
        "labels": "bb4026e9ce52996b95f439544568cdb2",
        "motion_blur": "732a7e2e54152ff97c742d4c388c5516",
        "pixelate": "96c00c60f144539e14cffb02ddbd0640",
        "saturate": "c0697e9fdd646916a61e9c312c77bf6b",
        "shot_noise": "b0a1fa6e1e465a747c1b204b1914048a",
        "snow": "0237be164583af146b7b144e73b43465",
        "spatter": "12ccf41d62564d36e1f6a6ada5022728",
        "speckle_noise": "e3f215b1a0f9fd9fd6f0d1cf94a7ce99",
        "zoom_blur": "0204613400c034a81c4830d5df81cb82",
    },
}
"""The MD5 of the .npy files of the two archives, by the set and the name without its ending."""


def md5(file: Path) -> str:
    """The MD5 of a file; one that has not changed is read once."""
    stat = file.stat()
    return _md5(file, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _md5(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def published_set(folder: Path, name: str) -> str | None:
    """The published set of which NAME.npy and labels.npy of a folder are, by their checksums; None for no such set."""
    for title, files in FILES.items():
        if md5(folder / "labels.npy") == files["labels"]:
            return title if name in files and md5(folder / f"{name}.npy") == files[name] else None
    return None


def check_balanced(what: str, labels: np.ndarray, num_classes: int, count: int) -> None:
    """Raise a ValueError unless labels are `count` in number, equally many of each class.

    Args:
        what: What the sentence calls them.
        labels: Integers [N].
        num_classes: The number of classes.
        count: The number of labels that there must be.
    """
    by_class = np.bincount(labels, minlength=num_classes)
    if len(labels) != count or len(by_class) != num_classes or len(set(by_class.tolist())) != 1:
        raise ValueError(
            f"{what} must hold {count:,} images, {count // num_classes} of each of {num_classes} classes; got "
            f"{len(labels):,} of {np.count_nonzero(by_class)} classes, {by_class.min()} to {by_class.max()} of a class."
        )
