import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.restoration import denoise_tv_chambolle

from isvs_jax.filters import gaussian_blur, gaussian_matrix, low_pass, matched_strength, rof
from isvs_jax.filters.matching import FilterKind

RNG = np.random.default_rng(0)


def picture(height: int = 12, width: int = 9, channels: int = 2) -> np.ndarray:
    """A ramp, a block and noise, so that every filter has something to do at the borders too."""
    image = np.add.outer(np.linspace(0, 0.5, height), np.linspace(0, 0.3, width))[..., None].repeat(channels, -1)
    image[2:7, 3:8] += 0.3
    return np.clip(image + 0.1 * RNG.normal(size=image.shape), 0, 1).astype(np.float32)


IMAGES = np.stack([picture() for _ in range(3)])


@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.3, 1.0, 2.7, 9.0])
def test_blur_is_that_of_scipy(sigma: float) -> None:
    expected = gaussian_filter(IMAGES.astype(np.float64), (0, sigma, sigma, 0), mode="reflect", truncate=4.0)
    np.testing.assert_allclose(gaussian_blur(IMAGES, sigma), expected, atol=1e-6)


@pytest.mark.parametrize("border", ["nearest", "reflect", "mirror"])
@pytest.mark.parametrize(("size", "sigma"), [(1, 0.7), (5, 0.0), (5, 0.8), (5, 6.0)])
def test_the_matrix_of_a_blur_is_that_of_scipy(size: int, sigma: float, border: str) -> None:
    expected = gaussian_filter(np.eye(size), (sigma, 0), truncate=3.0, mode=border)
    np.testing.assert_allclose(gaussian_matrix(size, sigma, truncate=3.0, border=border), expected, atol=1e-12)


def fft_low_pass(image: np.ndarray, cutoff: float) -> np.ndarray:
    """The ideal radial low-pass of NumPy's FFT, on the image and its three mirror images."""
    height, width = image.shape
    mirrored = np.block([[image, image[:, ::-1]], [image[::-1], image[::-1, ::-1]]]).astype(np.float64)
    frequency = np.hypot(np.fft.fftfreq(2 * height)[:, None], np.fft.fftfreq(2 * width)[None, :])
    # The Nyquist frequency is half a period a pixel.
    kept = np.fft.fft2(mirrored) * (frequency <= 0.5 * cutoff * (1 + 1e-9))
    return np.fft.ifft2(kept).real[:height, :width]


@pytest.mark.parametrize("cutoff", [0.05, 0.25, 0.5, 0.77, 1.0])
def test_low_pass_is_that_of_the_mirrored_fft(cutoff: float) -> None:
    expected = np.stack([[fft_low_pass(image[..., c], cutoff) for c in range(2)] for image in IMAGES])
    np.testing.assert_allclose(low_pass(IMAGES, cutoff), np.moveaxis(expected, 1, -1), atol=1e-6)


def test_low_pass_is_a_projection() -> None:
    once = low_pass(IMAGES, 0.4)
    assert float(jnp.abs(once - IMAGES).max()) > 0.01
    np.testing.assert_allclose(low_pass(once, 0.4), once, atol=1e-6)


# What is left after 100 steps grows with the weight; scikit-image itself is within 6e-4 of the minimiser here.
@pytest.mark.parametrize(("weight", "distance"), [(0.02, 2e-5), (0.1, 1e-3), (0.25, 3e-3)])
def test_rof_is_the_minimiser_of_scikit_image(weight: float, distance: float) -> None:
    expected = np.stack(
        [
            denoise_tv_chambolle(image.astype(np.float64), weight, eps=1e-10, max_num_iter=5_000, channel_axis=-1)
            for image in IMAGES
        ]
    )
    assert np.abs(expected - IMAGES).max() > 10 * distance
    np.testing.assert_allclose(rof(IMAGES, weight), expected, atol=distance)
    np.testing.assert_allclose(rof(IMAGES, weight, num_steps=2000), expected, atol=min(distance, 1e-3))


def test_rof_of_a_step_is_known() -> None:
    # Each half moves towards the other by weight / (its width).
    step = np.zeros((5, 9, 1), np.float32)
    step[:, 5:] = 1
    expected = np.where(np.arange(9) < 5, 0.2 / 5, 1 - 0.2 / 4)
    np.testing.assert_allclose(rof(step, 0.2)[2, :, 0], expected, atol=2e-3)
    np.testing.assert_allclose(rof(step, 0.2, num_steps=1000)[2, :, 0], expected, atol=1e-5)


FILTERS = {
    "blur": lambda images: gaussian_blur(images, 1.0),
    "lowpass": lambda images: low_pass(images, 0.5),
    "rof": lambda images: rof(images, 0.1),
}


@pytest.mark.parametrize("name", FILTERS)
def test_dtype_light_and_batches_are_kept(name: str) -> None:
    filter_ = FILTERS[name]
    full = filter_(IMAGES)
    assert full.dtype == jnp.float32
    # A mirror image, or no difference across the border: no light is lost.
    np.testing.assert_allclose(full.mean((1, 2)), IMAGES.mean((1, 2)), atol=1e-6)
    half = jnp.asarray(IMAGES, jnp.bfloat16)
    assert filter_(half).dtype == jnp.bfloat16
    np.testing.assert_allclose(filter_(half).astype(jnp.float32), filter_(half.astype(jnp.float32)), atol=2**-8)
    np.testing.assert_allclose(jax.jit(filter_)(IMAGES), full, atol=1e-6)
    np.testing.assert_allclose(filter_(IMAGES[1]), full[1], atol=1e-6)
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        assert jax.eval_shape(filter_, IMAGES).shape == full.shape


def test_matched_strength_finds_the_strength_of_an_energy() -> None:
    def energy(shown: jax.Array) -> float:
        return float(np.mean((np.float64(IMAGES) - np.float64(shown)) ** 2))

    assert matched_strength("blur", IMAGES, energy(gaussian_blur(IMAGES, 1.3))) == pytest.approx(1.3, rel=1e-3)
    assert matched_strength("rof", IMAGES, energy(rof(IMAGES, 0.07))) == pytest.approx(0.07, rel=1e-3)
    cutoff = matched_strength("lowpass", IMAGES, energy(low_pass(IMAGES, 0.43)))
    np.testing.assert_array_equal(low_pass(IMAGES, cutoff), low_pass(IMAGES, 0.43))
    # Between two frequencies the nearer energy is taken.
    between = 0.9 * energy(low_pass(IMAGES, 0.43)) + 0.1 * energy(low_pass(IMAGES, 0.40))
    assert matched_strength("lowpass", IMAGES, between) == cutoff


@pytest.mark.parametrize("kind", ["blur", "lowpass", "rof"])
def test_a_matched_strength_is_the_same_where_energies_differ_by_rounding(kind: FilterKind) -> None:
    energy = float(np.mean((IMAGES - gaussian_blur(IMAGES, 0.9)) ** 2))
    strengths = {matched_strength(kind, IMAGES, energy * (1 + part)) for part in (-3e-6, 0.0, 3e-6)}
    assert len(strengths) == 1


@pytest.mark.parametrize("kind", ["blur", "lowpass", "rof"])
def test_an_energy_out_of_reach_is_refused(kind: str) -> None:
    sentence = rf"energy must be between .*, which '{kind}' removes from these images; got 0\.5\."
    with pytest.raises(ValueError, match=sentence):
        matched_strength(kind, IMAGES, 0.5)
    with pytest.raises(ValueError, match=r"energy must be a finite number > 0; got 0\."):
        matched_strength(kind, IMAGES, 0)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sigma must be a finite number of pixels ≥ 0; got -1\."):
        gaussian_blur(IMAGES, -1)
    with pytest.raises(ValueError, match=r"cutoff must be a share of the Nyquist frequency in \(0, 1\]; got 0\."):
        low_pass(IMAGES, 0)
    with pytest.raises(ValueError, match=r"cutoff must be .* got 1\.1\."):
        low_pass(IMAGES, 1.1)
    with pytest.raises(ValueError, match=r"weight must be a finite number > 0; got 0\."):
        rof(IMAGES, 0)
    with pytest.raises(ValueError, match=r"weight must be a finite number > 0; got nan\."):
        rof(IMAGES, float("nan"))
    with pytest.raises(ValueError, match=r"num_steps must be an integer of at least 1; got 0\."):
        rof(IMAGES, 0.1, num_steps=0)
    with pytest.raises(TypeError, match=r"images must be float16, .* got dtype uint8"):
        gaussian_blur(np.zeros((4, 4, 1), np.uint8), 1.0)
    with pytest.raises(ValueError, match="kind must be one of 'blur', 'lowpass', 'rof'; got 'dense'"):
        matched_strength("dense", IMAGES, 0.01)
