"""The pictures of a photograph's path: grey levels at each time, and one sheet of all."""

import time as clock
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import ArrayLike
from isvs_jax._extras import optional
from isvs_jax._progress import progress_bar
from isvs_jax.data import as_float
from isvs_jax.solver._smooth import Output
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.large_image import bands, divide
from isvs_jax.solver.regions import piecewise_constant
from isvs_jax.solver.split_lbi import SplitLBI

if TYPE_CHECKING:
    from PIL import Image

# The side of one picture in the strip, and of the detail that is shown before the rest is computed, in pixels.
_STRIP_SIDE = 360
# Seconds from which on somebody wants to know how long it takes.
_LONG = 10


def middle(pixels: np.ndarray) -> np.ndarray:
    """A square detail from the middle."""
    top, left = ((side - min(side, _STRIP_SIDE)) // 2 for side in pixels.shape[:2])
    return pixels[top : top + _STRIP_SIDE, left : left + _STRIP_SIDE]


def pictures_of(
    pixels: np.ndarray,
    times: Sequence[float],
    solver: SplitLBI,
    outputs: Sequence[Output],
    *,
    name: str = "",
    say: Callable[[str], None] | None = None,
) -> dict[Output, list[np.ndarray]]:
    """The smoothed images as grey levels, uint8 [H, W, C] one a time, of each output."""
    rows = divide(pixels.shape[0], pixels.shape[1], solver)[0]
    dense = np.empty((len(times), *pixels.shape), np.uint8)
    support: list[list[Edges]] = [[] for _ in times]
    began = clock.monotonic()
    with progress_bar(total=rows.starts.size, unit="band", desc=name, shown=say is not None) as bar:
        for number, band in enumerate(bands(pixels, times, solver)):
            dense[:, band.start : band.start + band.dense.shape[1]] = _levels(band.dense)
            if "sparse" in outputs:
                for index, entered in enumerate(support):
                    entered.append(Edges(band.support.horizontal[index], band.support.vertical[index]))
            bar.update()
            # The first one is compiled too.
            if number == 1 and say is not None:
                _estimate(say, (clock.monotonic() - began) * (rows.starts.size - 2), pixels.shape)
            began = clock.monotonic()
    pictures: dict[Output, list[np.ndarray]] = {}
    for output in outputs:
        pictures[output] = list(dense) if output == "dense" else [_sparse(pixels, entered) for entered in support]
    return pictures


def _estimate(say: Callable[[str], None], seconds: float, shape: tuple[int, ...]) -> None:
    if seconds < _LONG:
        return
    half = max(shape[:2]) // 2
    say(f"About {seconds:.0f} s for {shape[1]}×{shape[0]} pixels; --max-side {half} would take a quarter of it.")


def _sparse(pixels: np.ndarray, entered: Sequence[Edges]) -> np.ndarray:
    """The piecewise constant image as grey levels: regions go over all bands. A channel at a time bounds the memory."""
    support = Edges(*(jnp.concatenate(edges) for edges in zip(*entered, strict=True)))
    shared = support.horizontal.shape[-1] == 1
    levels = np.empty(pixels.shape, np.uint8)
    for channel in range(pixels.shape[-1]):
        one = slice(channel, channel + 1)
        own = support if shared else Edges(*(edges[..., one] for edges in support))
        levels[..., one] = _levels(piecewise_constant(as_float(pixels[..., one]), own))
    return levels


def _levels(image: ArrayLike) -> np.ndarray:
    return np.round(np.clip(np.asarray(image), 0, 1) * 255).astype(np.uint8)


def to_pillow(levels: np.ndarray) -> "Image.Image":
    """Grey levels, uint8 [H, W, C] with C = 1 or 3, as an image of Pillow."""
    return optional("PIL.Image").fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)


def strip_of(original: np.ndarray, rows: dict[Output, list[np.ndarray]], times: Sequence[float]) -> "Image.Image":
    """One row an output: the original, then the times."""
    pillow = optional("PIL.Image")
    scale = _STRIP_SIDE / max(original.shape[:2])
    height, width = (max(1, round(side * scale)) for side in original.shape[:2])
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
        for j, (title, picture) in enumerate(zip(titles, [_levels(as_float(original)), *pictures], strict=True)):
            x, y = gap + j * (cell_width + gap), gap + i * (height + label + gap)
            draw.text((x, y), title, fill="black", font=font)
            sheet.paste(to_pillow(picture).convert("RGB").resize((width, height), how), (x, y + label))
    return sheet
