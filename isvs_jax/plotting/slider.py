"""A path as a piece of HTML with a slider over its times, for a page or a notebook."""

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np

from isvs_jax._checks import ArrayLike, check_integer
from isvs_jax._extras import optional
from isvs_jax.filters import gaussian_blur, matched_strength
from isvs_jax.plotting.axes import as_numpy, as_shown, check_limits, flat_path, outputs_along
from isvs_jax.solver._scale_space import ScaleSpace
from isvs_jax.solver._smooth import Output
from isvs_jax.solver.edges import Edges

# A root mean square difference, as a share of the limits, of which 8 bits show nothing.
_INVISIBLE = 1e-4
# How hard Pillow tries to make a file small, of 0 to 6.
_EFFORT = 6

# All of it holds within one element, so that it leaves a page around it as it is, and that keeps its own looks.
_STYLE = (
    ".isvs-path{max-width:72em;margin:1em 0}"
    ".isvs-path .isvs-pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:8px}"
    ".isvs-path figure{display:block;width:auto;max-width:none;margin:0;text-align:center}"
    ".isvs-path img{display:block;width:100%;height:auto;margin:0;image-rendering:pixelated}"
    ".isvs-path figcaption{max-width:none;margin:2px 0 0;font-style:normal;font-size:.85em}"
    ".isvs-path input{display:block;width:100%;height:44px;margin:0;cursor:pointer}"
    ".isvs-path p{min-height:3em;margin:0;font-size:.85em;text-align:center}"
    ".isvs-path [hidden]{display:none}"
    "@media(max-width:30em){.isvs-path p{min-height:5em}}"
)
# The frame of the slider's place is shown, and of the others none; what is said of it is read out too.
_SHOW = (
    "const root = this.closest('.isvs-path');"
    "for (const frame of root.querySelectorAll('[data-frame]')) frame.hidden = frame.dataset.frame !== this.value;"
    "this.setAttribute('aria-valuetext', root.querySelector('p > :not([hidden])').textContent);"
)


def path_slider(
    image: ArrayLike,
    path: ScaleSpace,
    outputs: Sequence[Output] = ("dense", "sparse"),
    *,
    blur: bool = True,
    name: str = "image",
    limits: tuple[float, float] = (0.0, 1.0),
    quality: int | None = 90,
) -> str:
    """Write an image along its path as HTML, with a slider over the recorded times.

    The image stands beside u(t) ("dense"), the projection onto the support ("sparse"), and the Gaussian blur of the
    image whose residual energy, the mean of |x − blurred x|², is that of u(t). The slider takes a mouse, a finger, and
    the arrow keys. The text holds its pictures and a line of JavaScript within it, refers to nothing outside, and may
    stand in a page as often as one likes; a notebook shows it by `IPython.display.HTML`.

    Args:
        image: The image x, float [H, W, C] with C = 1 or 3.
        path: The path `scale_space(image, times)`, recorded at T times.
        outputs: "dense", "sparse" or both, in the order of the columns.
        blur: Whether to show the blur.
        name: The name of the image, for those who cannot see it.
        limits: The values shown as black and white; values beyond them are shown as these.
        quality: From 1 to 100, the quality at which pictures are compressed (WebP), but for those that are no larger
            when they are kept exact; None keeps all exact, in several times the bytes.

    Returns:
        One HTML element.

    Raises:
        TypeError: `image` is not of a floating dtype, `path` no `ScaleSpace`, or `quality` no integer.
        ValueError: There are several images, the channels are neither 1 nor 3, the image lies outside of `limits`,
            `path` is that of another image (seen by its mean), or `quality` is out of range.
        ModuleNotFoundError: Pillow is not installed.

    Example:
        >>> import jax.numpy as jnp
        >>> from isvs_jax import scale_space
        >>> image = jnp.zeros((8, 8, 1)).at[2:6, 2:6].set(1.0)
        >>> html = path_slider(image, scale_space(image, [1.0, 4.0]))
        >>> html[:22], html.count("<img")  # the image, and dense, sparse and blur at two times
        ('<div class="isvs-path"', 7)
    """
    if quality is not None:
        check_integer("quality", quality, 1, 100)
    image, path = flat_path(image, path)
    if len(image) != 1:
        raise ValueError(f"image must be one image [H, W, C]; got {len(image)}.")
    along = {output: frames[:, 0] for output, frames in outputs_along(image, path, outputs).items()}
    original, dense = as_numpy(image[0]), as_numpy(path.dense[:, 0])
    limits = check_limits(limits, original, "image")
    residual = np.sqrt(np.mean((dense.astype(np.float64) - original) ** 2, axis=(1, 2, 3)))
    said = [
        f"t = {time:g}: {share:.0%} of the edges have entered; dense is {rms:.3f} from the original (root mean square)"
        for time, share, rms in zip(np.asarray(path.times).tolist(), _shares(path.support), residual, strict=True)
    ]
    if blur:
        sigmas = [_matching_sigma(original, rms, limits) for rms in residual]
        along["blur"] = np.stack([as_numpy(gaussian_blur(image[0], sigma)) for sigma in sigmas])
        said = [f"{text}, and so is the blur of σ = {sigma:.2f}" for text, sigma in zip(said, sigmas, strict=True)]
    first = len(said) // 2

    def picture(shown: np.ndarray, text: str, attributes: str = "") -> str:
        height, width = shown.shape[:2]
        source = _data_uri(np.rint(255 * as_shown(shown, limits, "image")["X"]).astype(np.uint8), quality)
        return f'<img src="{source}" alt="{escape(text)}" width="{width}" height="{height}"{attributes}>'

    figures = [_figure(picture(original, name), "original")]
    for kind, frames in along.items():
        times = zip(frames, said, strict=True)
        pictures = [
            picture(frame, f"{name}, {kind}, {text.partition(':')[0]}", _place(number, first))
            for number, (frame, text) in enumerate(times)
        ]
        figures.append(_figure("".join(pictures), kind))
    texts = "".join(f"<span{_place(number, first)}>{text}.</span>" for number, text in enumerate(said))
    return (
        f'<div class="isvs-path" role="group" aria-label="{escape(name)} along its path"><style>{_STYLE}</style>'
        f'<div class="isvs-pictures">{"".join(figures)}</div>'
        f'<input type="range" min="0" max="{len(said) - 1}" value="{first}" autocomplete="off" aria-label="time t" '
        f'aria-valuetext="{said[first]}." oninput="{escape(_SHOW)}"><p>{texts}</p></div>'
    )


def _figure(pictures: str, caption: str) -> str:
    return f"<figure>{pictures}<figcaption>{caption}</figcaption></figure>"


def _place(number: int, shown: int) -> str:
    """The attributes of what belongs to the time of this number; all but one are hidden."""
    return f' data-frame="{number}"{"" if number == shown else " hidden"}'


def _shares(support: Edges) -> np.ndarray:
    """The shares of the edges of one image that have entered at each time."""
    fields = [np.asarray(edge) for edge in support]
    entered = sum(np.count_nonzero(edge, axis=(1, 2, 3, 4)) for edge in fields)
    return np.asarray(entered / max(1, sum(edge[0].size for edge in fields)))


def _matching_sigma(image: np.ndarray, rms: float, limits: tuple[float, float]) -> float:
    """The σ of the blur that differs from an image by this root mean square; 0 where that is nothing to be seen."""
    if rms <= _INVISIBLE * (limits[1] - limits[0]):
        return 0.0
    return matched_strength("blur", image, float(rms) ** 2)


def _data_uri(levels: np.ndarray, quality: int | None) -> str:
    """Bytes [H, W] or [H, W, 3] as a WebP image within a text; exact where that is no larger, or without a quality."""
    picture = optional("PIL.Image").fromarray(levels)
    kinds = [{"lossless": True}] + ([] if quality is None else [{"quality": quality}])
    files = []
    for kind in kinds:
        file = io.BytesIO()
        picture.save(file, "WEBP", method=_EFFORT, **kind)
        files.append(file.getvalue())
    return f"data:image/webp;base64,{base64.b64encode(min(files, key=len)).decode()}"
