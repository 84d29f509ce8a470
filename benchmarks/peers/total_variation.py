"""Solvers of another problem, total variation (Rudin, Osher, Fatemi): one denoised image each, and no path.

    argmin_u ½‖u − x‖² + λ·TV(u)

scikit-image and SCICO take images one by one, deepinv and kornia whole batches.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

SCICO_ITERATIONS = 100
WEIGHT = 0.1


def chambolle(images: np.ndarray, **options: float) -> np.ndarray:
    """scikit-image's `denoise_tv_chambolle`, its defaults: weight 0.1, stop at 2e-4, at most 200 iterations."""
    from skimage.restoration import denoise_tv_chambolle

    return np.stack([denoise_tv_chambolle(image, channel_axis=-1, **options) for image in images])


def bregman(images: np.ndarray, **options: float) -> np.ndarray:
    """scikit-image's `denoise_tv_bregman`, its defaults: weight 5, stop at 1e-3, at most 100 iterations."""
    from skimage.restoration import denoise_tv_bregman

    return np.stack([denoise_tv_bregman(image, channel_axis=-1, **options) for image in images])


def deepinv(images: np.ndarray, **options: float) -> np.ndarray:
    """`TVDenoiser` of deepinv, for a batch [B, H, W, C], its defaults: stop at 1e-5, at most 1000 iterations."""
    import torch
    from deepinv.models import TVDenoiser

    with torch.no_grad():
        outcome = TVDenoiser(**options)(torch.from_numpy(images).permute(0, 3, 1, 2), WEIGHT)
    return outcome.permute(0, 2, 3, 1).numpy()


def kornia(images: np.ndarray, iterations: int) -> np.ndarray:
    """Gradient descent on kornia's loss `total_variation` and half the squared distance: kornia has no solver."""
    import torch
    from kornia.losses import total_variation

    noisy = torch.from_numpy(images).permute(0, 3, 1, 2)
    shown = noisy.clone().requires_grad_()
    optimizer = torch.optim.SGD([shown], lr=0.1, momentum=0.9)
    for _ in range(iterations):
        optimizer.zero_grad()
        (0.5 * ((shown - noisy) ** 2).sum() + WEIGHT * total_variation(shown).sum()).backward()
        optimizer.step()
    return shown.detach().permute(0, 2, 3, 1).numpy()


def iterations_taken(function: Callable, image: np.ndarray, most: int = 200) -> int:
    """After how many iterations a function of scikit-image stops at its defaults: the fewest with the same outcome.

    Channels stop each for itself; it is the last one that counts.
    """
    stopped = function(image[None])
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        same = np.array_equal(function(image[None], max_num_iter=middle), stopped)
        low, high = (low, middle) if same else (middle, high)
    return high


class Scico:
    """A process of SCICO that keeps its images and its compiled functions.

    Args:
        python: An interpreter that has SCICO.
    """

    def __init__(self, python: str) -> None:
        worker = Path(__file__).with_name("scico_worker.py")
        command = [python, "-W", "ignore", str(worker)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.versions: dict[str, str] = self._answer()

    def load(self, images: np.ndarray) -> None:
        """Hand over the images, [B, H, W, C]."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "images.npy")
            np.save(file, images)
            self._order({"load": str(file)})

    def solve(self, iterations: int = SCICO_ITERATIONS) -> dict[str, float]:
        """Denoise all images; the seconds that the process itself counted: of the "iterating", and of "all"."""
        return self._order({"iterations": iterations})

    def outcome(self) -> np.ndarray:
        """The images of the last solve."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "outcome.npy")
            self._order({"save": str(file)})
            return np.load(file)

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=30)

    def _order(self, order: dict) -> dict:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"SCICO's process ended with status {self._process.wait()}; its error is above.")
        return json.loads(line)
