"""The scale space of a photograph, from file to files: `python -m isvs_jax photo.jpg --times 1 2 4 8`.

Needs Pillow and tqdm (`pip install "isvs_jax[photo]"`).
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from isvs_jax.solver._smooth import OUTPUTS
from isvs_jax.solver.euler import SCHEMES
from isvs_jax.solver.flow import FlowState, to_planar
from isvs_jax.solver.integrator import choose_integrator
from isvs_jax.solver.regions import piecewise_constant
from isvs_jax.solver.shrinkage import PENALTIES
from isvs_jax.solver.split_lbi import SplitLBI

if TYPE_CHECKING:
    from PIL import Image

# The side of one picture in the strip, in pixels.
_STRIP_SIDE = 360


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        for path in smooth_photograph(
            options.photo,
            options.times,
            SplitLBI(kappa=options.kappa, nu=options.nu, penalty=options.penalty, scheme=options.scheme),
            folder=options.out,
            outputs=options.output,
            max_side=options.max_side,
            overwrite=options.overwrite,
        ):
            print(path)
    except (ImportError, OSError, TypeError, ValueError) as error:
        print(f"isvs_jax: {error}", file=sys.stderr)
        return 1
    return 0


def smooth_photograph(
    photo: Path,
    times: Sequence[float],
    solver: SplitLBI = SplitLBI(),
    *,
    folder: Path | None = None,
    outputs: Sequence[str] = OUTPUTS,
    max_side: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write a photograph's smoothed images and one strip of them.

    Args:
        photo: A file that Pillow can read; its EXIF orientation is applied, transparency is laid on white.
        times: Times of the path, ≥ 0 and strictly increasing.
        solver: The flow and its scheme.
        folder: Where to write; None is `<name>_scale_space` in the current folder.
        outputs: "dense", "sparse" or both.
        max_side: Shrink the photograph first so that no side is longer than this, in pixels; None keeps its size.
        overwrite: Whether existing files may be replaced.

    Returns:
        The files written: one PNG a time and output, and strip.png.

    Raises:
        ImportError: Pillow or tqdm is missing.
        OSError: The file cannot be read, or a file to write exists.
        ValueError: A time or size cannot be.
    """
    _check(times, outputs, max_side)
    image = read_photograph(photo, max_side)
    folder = Path(f"{Path(photo).stem}_scale_space") if folder is None else Path(folder)
    files = {(t, output): folder / f"{output}_t{t:g}.png" for t in times for output in outputs}
    strip = folder / "strip.png"
    existing = [str(path) for path in (*files.values(), strip) if path.exists()]
    if existing and not overwrite:
        raise FileExistsError(
            f"{', '.join(existing)} exists already: choose another folder (--out) or add --overwrite."
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
    """A photograph as float32 [H, W, C] in [0, 1], C = 1 or 3.

    Raises:
        ImportError: Pillow is missing.
        OSError: There is no such file, or it is no image that Pillow reads, or a damaged one.
    """
    image_module = _pillow()
    from PIL import ImageOps, UnidentifiedImageError

    photo = Path(photo)
    if not photo.is_file():
        raise FileNotFoundError(f"{photo} is no file: give the path of a photograph.")
    limit, image_module.MAX_IMAGE_PIXELS = image_module.MAX_IMAGE_PIXELS, None
    try:
        with image_module.open(photo) as opened:
            picture = ImageOps.exif_transpose(opened)
            picture.load()
    except UnidentifiedImageError:
        raise OSError(f"{photo} is no image that Pillow can read: give a PNG, JPEG, TIFF, WebP or the like.") from None
    except (OSError, SyntaxError, EOFError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise OSError(f"{photo} is a damaged image ({error}): give one that opens in a viewer.") from None
    finally:
        image_module.MAX_IMAGE_PIXELS = limit
    return _to_floats(picture, max_side)


def _path(image: np.ndarray, times: Sequence[float], solver: SplitLBI) -> Iterator[FlowState]:
    """The states at the times, those of `smooth`, with a progress bar."""
    integrator = choose_integrator(solver, jnp.asarray(image), np.asarray(times), None)
    with _tqdm()(
        total=integrator.solves(len(times)) + len(times), unit="solve", desc=f"{image.shape[1]}×{image.shape[0]}"
    ) as bar:
        yield from integrator.in_turn(solver.flow, to_planar(jnp.asarray(image)), times, bar.update)
        # Fewer than at most: nothing enters at first.
        bar.total = bar.n
        bar.refresh()


def _to_floats(picture: "Image.Image", max_side: int | None) -> np.ndarray:
    image_module = _pillow()
    if max_side is not None and max(picture.size) > max_side:
        scale = max_side / max(picture.size)
        width, height = picture.size
        size = max(1, round(width * scale)), max(1, round(height * scale))
        if picture.mode in ("P", "1"):
            picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
        picture = picture.resize(size, image_module.Resampling.LANCZOS)
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture, np.float32)
        # Grey of more than eight bits: integers carry 0..65535, floats 0..1, or the range of 8 or 16 bits.
        highest = values.max(initial=0)
        top = 65535.0 if picture.mode != "F" or highest > 255 else 255.0 if highest > 1 else 1.0
        return np.clip(values / top, 0, 1)[..., None]
    if picture.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = image_module.new("RGBA", picture.size, "white")
        picture = image_module.alpha_composite(white, picture).convert("RGB")
    picture = picture.convert("L" if picture.mode in ("1", "L") else "RGB")
    values = np.asarray(picture, np.float32) / np.float32(255)
    return values[..., None] if values.ndim == 2 else values


def _to_pillow(image: np.ndarray) -> "Image.Image":
    image_module = _pillow()
    levels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return image_module.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)


def _strip(original: "Image.Image", rows: dict[str, list["Image.Image"]], times: Sequence[float]) -> "Image.Image":
    """One row an output: the original, then the times."""
    image_module = _pillow()
    from PIL import ImageDraw, ImageFont

    scale = _STRIP_SIDE / max(original.size)
    width, height = (max(1, round(side * scale)) for side in original.size)
    gap, label = 8, 26
    columns = len(times) + 1
    cell_width = max(width, 110)
    size = (columns * (cell_width + gap) + gap, len(rows) * (height + label + gap) + gap)
    sheet = image_module.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=16)
    # Small pictures are shown with their pixels as squares.
    how = image_module.Resampling.NEAREST if scale > 1 else image_module.Resampling.LANCZOS
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
        raise ValueError(f"times is {values.tolist()}; it may hold strictly increasing finite times ≥ 0.")
    if len({f"{time:g}" for time in values}) < values.size:
        raise ValueError(f"times is {values.tolist()}; they may differ within six digits, which name the files.")
    unknown = [output for output in outputs if output not in OUTPUTS]
    if unknown or not outputs:
        raise ValueError(f"outputs is {list(outputs)}; it may hold {', '.join(OUTPUTS)}.")
    if max_side is not None and max_side < 1:
        raise ValueError(f"max_side is {max_side}; it may be 1 pixel or more.")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError('photographs need Pillow: pip install "isvs_jax[photo]"') from None
    return Image


def _tqdm() -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        raise ImportError('the progress bar needs tqdm: pip install "isvs_jax[photo]"') from None
    return tqdm


class _Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Names the default of an option, unless it is that the option is absent."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m isvs_jax",
        description="Write the inverse scale space of a photograph: smoothed images at the given times and a strip.",
        formatter_class=_Defaults,
    )
    parser.add_argument("photo", type=Path, help="an image file of any size, in any format that Pillow reads")
    parser.add_argument(
        "--times",
        type=float,
        nargs="+",
        default=[2.0, 4.0, 8.0, 16.0],
        metavar="T",
        help="times of the path, increasing: small times keep only the large-scale features",
    )
    parser.add_argument("--out", type=Path, help="folder to write to; without it <name>_scale_space here")
    parser.add_argument("--output", nargs="+", choices=OUTPUTS, default=list(OUTPUTS), help="what to write")
    parser.add_argument("--nu", type=float, default=0.1, help="coupling ν: the smaller, the more size counts")
    parser.add_argument("--kappa", type=float, default=5.0, help="damping κ")
    parser.add_argument("--penalty", choices=PENALTIES, default="color", help="which edges enter together")
    parser.add_argument("--scheme", choices=SCHEMES, default="spectral", help="how the flow is integrated")
    parser.add_argument(
        "--max-side",
        type=int,
        metavar="PIXELS",
        help="shrink the photograph first so that no side is longer",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    return parser  # fmt: skip
