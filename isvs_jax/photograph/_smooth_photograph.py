"""The scale space of a photograph, from a file to files."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax import __version__
from isvs_jax._checks import brief, check_choice, check_integer
from isvs_jax._files import read_json, write_json
from isvs_jax.data.image_files import read_image
from isvs_jax.photograph.pictures import middle, pictures_of, strip_of, to_pillow
from isvs_jax.solver._smooth import OUTPUTS, Output
from isvs_jax.solver.split_lbi import SplitLBI

# What a folder holds the path of, and whether all of it is there.
ABOUT_FILE = "about.json"
_FINISHED = "finished"
# Of photographs with a longer side a detail is written first.
_LARGE = 720


def smooth_photograph(
    photo: Path,
    times: Sequence[float],
    solver: SplitLBI = SplitLBI(),
    *,
    folder: Path | None = None,
    outputs: Sequence[Output] = ("dense", "sparse"),
    max_side: int | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Write a photograph's smoothed images and one strip of them.

    The photograph is followed in tiles, so that memory is bounded by a few times its pixels (see `SplitLBI.tiles` for
    what that changes). Of a large one the strip of a detail from its middle, detail.png, is written first.

    Args:
        photo: A file that Pillow can read; its EXIF orientation is applied, transparency is laid on white.
        times: The times of the path, ≥ 0 and strictly increasing.
        solver: The flow and its scheme.
        folder: The folder to write to; None is `<name>_scale_space` in the current folder. A folder that holds the
            result of the same call is left as it is.
        outputs: "dense", "sparse" or both.
        max_side: The longest side in pixels, to which a larger photograph is shrunk first; None keeps its size.
        overwrite: Whether existing files may be replaced.
        say: A function that takes lines of text.

    Returns:
        The files written: one PNG a time and output, and strip.png.

    Raises:
        ModuleNotFoundError: Pillow or tqdm is missing.
        OSError: There is no such file, or a file to write exists.
        ValueError: The file is no whole image, or a time or size is out of its range.
    """
    _check(times, outputs, max_side)
    pixels = read_image(Path(photo), max_side=max_side, any_size=True)
    folder = Path(f"{Path(photo).stem}_scale_space") if folder is None else Path(folder)
    files = {(t, output): folder / f"{output}_t{t:g}.png" for t in times for output in outputs}
    strip, detail = folder / "strip.png", folder / "detail.png"
    written, about = [*files.values(), strip], _about(pixels, times, solver, outputs)
    begun, finished = ({**about, _FINISHED: end} for end in (False, True))
    noted = None if overwrite else _noted(folder)
    if noted == finished and all(path.exists() for path in written):
        return written
    existing = [str(path) for path in (*written, detail) if path.exists()]
    if existing and not overwrite and noted not in (begun, finished):
        raise FileExistsError(
            f"{folder} must hold no file of these names; got {brief(existing)}. Choose another folder (--out) or add "
            "--overwrite."
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ABOUT_FILE, begun)
    if max(pixels.shape[:2]) > _LARGE:
        part = middle(pixels)
        strip_of(part, pictures_of(part, times, solver, outputs), times).save(detail)
        say(f"{detail}: a detail from the middle; the whole photograph follows.")
    pictures = pictures_of(pixels, times, solver, outputs, name=Path(photo).name, say=say)
    for output, row in pictures.items():
        for time, picture in zip(times, row, strict=True):
            to_pillow(picture).save(files[time, output])
    strip_of(pixels, pictures, times).save(strip)
    write_json(folder / ABOUT_FILE, finished)
    return written


def _about(pixels: np.ndarray, times: Sequence[float], solver: SplitLBI, outputs: Sequence[Output]) -> dict[str, Any]:
    """All that the files of a folder depend on."""
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
    return {
        "version": __version__,
        "pixels_sha256": digest,
        "shape": list(pixels.shape),
        "times": [float(time) for time in times],
        "outputs": list(outputs),
        # Numbers of NumPy and JAX are none of JSON.
        "solver": {
            name: value if value is None or isinstance(value, (str, bool)) else float(value)
            for name, value in dataclasses.asdict(solver).items()
        },
    }


def _noted(folder: Path) -> Any:
    """What a folder says that it holds, and whether all of it is there."""
    file = folder / ABOUT_FILE
    return read_json(file, "Delete it, or choose another folder (--out).") if file.exists() else None


def _check(times: Sequence[float], outputs: Sequence[str], max_side: int | None) -> None:
    values = np.asarray(times, np.float64)
    if values.size == 0 or not np.isfinite(values).all() or (values < 0).any() or (np.diff(values) <= 0).any():
        raise ValueError(f"times must be strictly increasing finite times ≥ 0; got {values.tolist()}.")
    if len({f"{time:g}" for time in values}) < values.size:
        raise ValueError(f"times must differ within six digits, which name the files; got {values.tolist()}.")
    for output in outputs:
        check_choice("outputs", output, OUTPUTS)
    if not outputs:
        raise ValueError("outputs must hold 'dense', 'sparse' or both; got none.")
    if max_side is not None:
        check_integer("max_side", max_side)
