"""The images, their noise, and PSNR."""

import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

CROP = 256


class Case(NamedTuple):
    """An image of a set, how to read it, and the noise on it."""

    group: str
    path: Path
    grey: bool
    crop: bool
    level: int

    @property
    def key(self) -> str:
        """The name of the case in the record."""
        return f"{self.group}/{self.path.stem}/{self.level}"


def cases(data: Path | None, levels: list[int], every: int, choose: bool) -> list[Case]:
    """What is measured: the images of every set at every noise level; of BSD68 and Kodak one in `every`."""
    if data is None:
        from skimage import data as samples

        files = {"scikit-image": [Path(samples.data_dir) / name for name in ("camera.png", "astronaut.png")]}
        modes = {"scikit-image": (False, True)}
    else:
        kodak = sorted((data / "kodak").glob("*.png"))
        odd, even = kodak[0::2], kodak[1::2]
        if choose:
            files, modes = {"Kodak, grey": odd}, {"Kodak, grey": (True, True)}
        else:
            names = {"Set12": "set12", "BSD68": "bsd68_gray"}
            files = {group: sorted((data / name).glob("*.png")) for group, name in names.items()} | {"Kodak": even}
            modes = {"Set12": (True, False), "BSD68": (True, False), "Kodak": (False, True)}
    for group, paths in files.items():
        if not paths:
            raise ValueError(f"--data must be a folder with images of {group}; got {str(data)!r}.")
    return [
        Case(group, path, *modes[group], level)
        for group, paths in files.items()
        for path in (paths[::every] if group.startswith(("BSD68", "Kodak")) else paths)
        for level in levels
    ]


def read(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The clean and the noisy image of a case, float64 and float32 [H, W, C]."""
    from PIL import Image

    with Image.open(case.path) as image:
        clean = np.asarray(image.convert("L") if case.grey else image, np.float64) / 255
    clean = clean.reshape(*clean.shape[:2], -1)
    if case.crop:
        top, left = ((extent - CROP) // 2 for extent in clean.shape[:2])
        clean = clean[top : top + CROP, left : left + CROP]
    noise = np.random.default_rng(zlib.crc32(case.key.encode())).normal(size=clean.shape)
    return clean, (clean + case.level / 255 * noise).astype(np.float32)


def psnr(image: np.ndarray, clean: np.ndarray) -> float:
    """PSNR in dB, the peak at 1; nothing is clipped."""
    return float(-10 * np.log10(np.mean((np.asarray(image, np.float64) - clean) ** 2)))
