"""The scale space of a photograph, from file to files: `python -m isvs_jax photo.jpg --times 1 2 4 8`.

It comes with the extra "photo" (`pip install "isvs_jax[photo]"`).
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import jax.numpy as jnp
import numpy as np
import tyro

from isvs_jax._checks import brief, check_choice, check_integer
from isvs_jax._command import exit_status
from isvs_jax._extras import optional
from isvs_jax._progress import progress_bar
from isvs_jax.data.image_files import read_image
from isvs_jax.solver._smooth import OUTPUTS, Output
from isvs_jax.solver.euler import Scheme
from isvs_jax.solver.flow import FlowState, to_planar
from isvs_jax.solver.integrator import choose_integrator
from isvs_jax.solver.regions import piecewise_constant
from isvs_jax.solver.shrinkage import Penalty
from isvs_jax.solver.split_lbi import SplitLBI

if TYPE_CHECKING:
    from PIL import Image

# The side of one picture in the strip, in pixels.
_STRIP_SIDE = 360


@dataclasses.dataclass(frozen=True)
class Photograph:
    """Write the inverse scale space of a photograph: smoothed images at the given times, and a strip of them.

    Attributes:
        photo: An image file of any size, in any format that Pillow reads.
        times: The times of the path, increasing; small times keep only the large-scale features.
        out: The folder to write to; by default NAME_scale_space in the current folder.
        output: Which images to write, dense and piecewise constant ones (sparse).
        nu: The coupling ν; the smaller it is, the more the size of a feature counts.
        kappa: The damping κ.
        penalty: Which edges enter together.
        scheme: How the flow is integrated.
        max_side: The longest side in pixels, to which a larger photograph is shrunk first.
        overwrite: Whether to replace files that exist.
    """

    photo: Annotated[Path, tyro.conf.Positional]
    times: tuple[float, ...] = (2.0, 4.0, 8.0, 16.0)
    out: Path | None = None
    output: tuple[Literal["dense", "sparse"], ...] = ("dense", "sparse")
    nu: float = 0.1
    kappa: float = 5.0
    penalty: Penalty = "color"
    scheme: Scheme = "spectral"
    max_side: int | None = None
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    prog = "python -m isvs_jax"
    asked = tyro.cli(Photograph, prog=prog, args=arguments)

    def work() -> None:
        solver = SplitLBI(kappa=asked.kappa, nu=asked.nu, penalty=asked.penalty, scheme=asked.scheme)
        files = smooth_photograph(
            asked.photo,
            asked.times,
            solver,
            folder=asked.out,
            outputs=asked.output,
            max_side=asked.max_side,
            overwrite=asked.overwrite,
        )
        print(*files, sep="\n")

    return exit_status(work, prog, "Images that are written are kept; --overwrite begins again.")


def smooth_photograph(
    photo: Path,
    times: Sequence[float],
    solver: SplitLBI = SplitLBI(),
    *,
    folder: Path | None = None,
    outputs: Sequence[Output] = ("dense", "sparse"),
    max_side: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write a photograph's smoothed images and one strip of them.

    Args:
        photo: A file that Pillow can read; its EXIF orientation is applied, transparency is laid on white.
        times: The times of the path, ≥ 0 and strictly increasing.
        solver: The flow and its scheme.
        folder: The folder to write to; None is `<name>_scale_space` in the current folder.
        outputs: "dense", "sparse" or both.
        max_side: The longest side in pixels, to which a larger photograph is shrunk first; None keeps its size.
        overwrite: Whether existing files may be replaced.

    Returns:
        The files written: one PNG a time and output, and strip.png.

    Raises:
        ModuleNotFoundError: Pillow or tqdm is missing.
        OSError: There is no such file, or a file to write exists.
        ValueError: The file is no whole image, or a time or size is out of its range.
    """
    _check(times, outputs, max_side)
    image = read_photograph(photo, max_side)
    folder = Path(f"{Path(photo).stem}_scale_space") if folder is None else Path(folder)
    files = {(t, output): folder / f"{output}_t{t:g}.png" for t in times for output in outputs}
    strip = folder / "strip.png"
    existing = [str(path) for path in (*files.values(), strip) if path.exists()]
    if existing and not overwrite:
        raise FileExistsError(
            f"{folder} must hold no file of these names; got {brief(existing)}. Choose another folder (--out) or add "
            "--overwrite."
        )
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[Image.Image]] = {output: [] for output in outputs}
    for time, state in zip(times, _path(image, times, solver), strict=True):
        for output in outputs:
            sparse = output == "sparse"
            smoothed = piecewise_constant(image, solver.support(state)) if sparse else solver.dense(state)
            picture = _to_pillow(np.asarray(smoothed))
            picture.save(files[time, output])
            rows[output].append(picture)
    _strip(_to_pillow(image), rows, times).save(strip)
    return [*files.values(), strip]


def read_photograph(photo: Path, max_side: int | None = None) -> np.ndarray:
    """A photograph as float32 [H, W, C] in [0, 1], C = 1 or 3; see `isvs_jax.data.image_files.read_image`."""
    pixels = read_image(Path(photo), max_side=max_side, any_size=True)
    return pixels / np.float32(255) if pixels.dtype == np.uint8 else pixels


def _path(image: np.ndarray, times: Sequence[float], solver: SplitLBI) -> Iterator[FlowState]:
    """The states at the times, those of `smooth`, with a progress bar."""
    on_device = jnp.asarray(image)
    integrator = choose_integrator(solver, on_device, np.asarray(times), None)
    total, size = integrator.solves(len(times)) + len(times), f"{image.shape[1]}×{image.shape[0]}"
    with progress_bar(total=total, unit="solve", desc=size, shown=True) as bar:
        yield from integrator.in_turn(solver.flow, to_planar(on_device), times, bar.update)
        # Fewer than at most: nothing enters at first.
        bar.total = bar.n
        bar.refresh()


def _to_pillow(image: np.ndarray) -> "Image.Image":
    pillow = optional("PIL.Image")
    levels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return pillow.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)


def _strip(original: "Image.Image", rows: dict[str, list["Image.Image"]], times: Sequence[float]) -> "Image.Image":
    """One row an output: the original, then the times."""
    pillow = optional("PIL.Image")
    scale = _STRIP_SIDE / max(original.size)
    width, height = (max(1, round(side * scale)) for side in original.size)
    gap, label = 8, 26
    columns = len(times) + 1
    cell_width = max(width, 110)
    size = (columns * (cell_width + gap) + gap, len(rows) * (height + label + gap) + gap)
    sheet = pillow.new("RGB", size, "white")
    draw, font = optional("PIL.ImageDraw").Draw(sheet), optional("PIL.ImageFont").load_default(size=16)
    # Small pictures are shown with their pixels as squares.
    how = pillow.Resampling.NEAREST if scale > 1 else pillow.Resampling.LANCZOS
    for i, (output, pictures) in enumerate(rows.items()):
        titles = ["original", *(f"{output}, t = {time:g}" for time in times)]
        for j, (title, picture) in enumerate(zip(titles, [original, *pictures], strict=True)):
            x, y = gap + j * (cell_width + gap), gap + i * (height + label + gap)
            draw.text((x, y), title, fill="black", font=font)
            sheet.paste(picture.convert("RGB").resize((width, height), how), (x, y + label))
    return sheet


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
