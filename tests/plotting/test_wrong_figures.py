"""Every input that cannot be drawn gets a sentence."""

import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax import plotting

Figure = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed").Figure


def strip(*arguments, **options):
    return lambda images, path: plotting.scale_space_strip(*(arguments or (images, path)), **options)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (strip(names=["one"]), ValueError, "names must hold 2 names, one for each image; got .'one'."),
        (strip(outputs="dense"), ValueError, "outputs must hold one or more .*; got 'dense'"),
        (strip(outputs=[]), ValueError, "outputs must hold one or more .*; got .."),
        (strip(outputs=["blur"]), ValueError, "outputs must be one of .*; got 'blur'"),
        (strip(limits=(1.0, 0.0)), ValueError, "limits must be two increasing numbers, .*; got .1.0, 0.0."),
        (strip(limits=(2.0, 3.0)), ValueError, "image must have its mean within limits .*; got mean"),
        (strip(limits="auto"), TypeError, "limits must hold real numbers; got 'auto'"),
        (
            lambda images, path: plotting.scale_space_strip(path, images),
            TypeError,
            "path must be a ScaleSpace, .*; got ndarray",
        ),
        (
            lambda images, path: plotting.scale_space_strip(images * np.float32("nan"), path),
            ValueError,
            "image must be finite; got values that are not",
        ),
        (
            lambda images, path: plotting.scale_space_strip(images[::-1], path),
            ValueError,
            r"path must be scale_space\(image, times\), which keeps the mean of its image; got mean .* in path.dense",
        ),
        (
            lambda images, path: plotting.denoising_curves(images[::-1], images, path),
            ValueError,
            r"path must be scale_space\(noisy, times\), which .* got mean .* in noisy",
        ),
        (
            lambda images, path: plotting.denoising_curves(images, path, images),
            TypeError,
            "clean must be an array .*; got a ScaleSpace",
        ),
        (strip(axes=[1] * 16), TypeError, "axes must be a matplotlib Axes, .*; got int"),
        (strip(axes=[1] * 3), ValueError, "axes must be 4 rows of 4 axes, or 16 axes in a row; got"),
        (
            lambda images, path: plotting.scale_space_strip(images[:1], path),
            ValueError,
            r"path must be scale_space\(image, times\); got path.dense",
        ),
        (lambda images, path: plotting.scale_space_strip(images, path.dense), TypeError, "path must be a ScaleSpace"),
        (
            lambda images, path: plotting.scale_space_strip(
                images.repeat(2, -1), path._replace(dense=jnp.repeat(path.dense, 2, -1))
            ),
            ValueError,
            "image must have 1 channel .grey. or 3 .*; got 2",
        ),
        (
            lambda images, path: plotting.support_size(path._replace(stable=np.array([True, False, True]))),
            ValueError,
            r"path must be stable, .*; got unstable times \[3.0\]",
        ),
        (
            lambda images, path: plotting.support_size(path._replace(times=path.times[None])),
            ValueError,
            r"path must have times \[T\] .*; got shapes \(1, 3\)",
        ),
        (
            lambda images, path: plotting.support_size(path, ax="first"),
            TypeError,
            "ax must be a matplotlib .*; got str",
        ),
        (
            lambda images, path: plotting.entry_times(path, axes=[Figure().add_subplot(), Figure().add_subplot()]),
            ValueError,
            "axes must belong to one figure, .*; got axes of several",
        ),
        (
            lambda images, path: plotting.denoising_curves(images, images[0], path),
            ValueError,
            "clean must have the shape of noisy, .*; got shape",
        ),
        (
            lambda images, path: plotting.denoising_curves(images, images, path),
            ValueError,
            "PSNR is infinite; .* measure='rmse' draws them",
        ),
        (
            lambda images, path: plotting.denoising_curves(images, images, path, measure="ssim"),
            ValueError,
            "measure must be one of 'psnr', 'rmse'; got 'ssim'",
        ),
        (lambda *_: plotting.accuracy_by_severity([0.5] * 5), TypeError, "accuracies must be a mapping .*; got list"),
        (lambda *_: plotting.accuracy_by_severity({}), ValueError, "accuracies must name one model or more; got none"),
        (
            lambda *_: plotting.accuracy_by_severity({"a": [0.5] * 4}),
            ValueError,
            r"accuracies\['a'\] must be \[5\], .*; got shape \(4,\)",
        ),
        (
            lambda *_: plotting.accuracy_by_severity({"a": {1: 0.5}}, [1]),
            TypeError,
            r"accuracies\['a'\] must hold real numbers; got \{1: 0.5\}",
        ),
        (
            lambda *_: plotting.accuracy_by_severity({"a": [[0.5, 0.4], [0.3]]}, [1, 2]),
            TypeError,
            r"accuracies\['a'\] must hold real numbers; got ",
        ),
        (
            lambda *_: plotting.accuracy_by_severity({"a": [0.5]}, ["low"]),
            TypeError,
            r"severities must hold real numbers; got \['low'\]",
        ),
        (
            lambda *_: plotting.accuracy_by_severity({"a": [0.5]}, [1], intervals=[[0.4, 0.6]]),
            TypeError,
            "intervals must be a mapping .*; got list",
        ),
        (
            lambda *_: plotting.accuracy_by_severity({"a": [0.5]}, [1], chance="tenth"),
            TypeError,
            "chance must hold real numbers; got 'tenth'",
        ),
        (
            lambda *_: plotting.accuracy_by_severity({"a": [0.5]}, [1], chance=[0.1, 0.2]),
            ValueError,
            r"chance must be one number; got shape \(2,\)",
        ),
        (lambda *_: plotting.accuracy_by_severity({"a": [50.0]}, [1]), ValueError, "shares in .0, 1., not per cent"),
        (
            lambda *_: plotting.accuracy_by_severity({"a": [0.5]}, [1], chance=10),
            ValueError,
            "chance must hold .*; got 10.0",
        ),
        (lambda *_: plotting.accuracy_by_severity({"a": [0.5] * 2}, [2, 1]), ValueError, "strictly increasing numbers"),
        (
            lambda *_: plotting.accuracy_by_severity({"a": [0.5]}, [1], intervals={"b": [[0, 1]]}),
            ValueError,
            r"intervals must name models of accuracies, .*; got \['b'\]",
        ),
        (
            lambda *_: plotting.accuracy_by_severity({"a": [0.5]}, [1], intervals={"a": [[0.6, 0.7]]}),
            ValueError,
            "must hold the accuracy between its two ends; got",
        ),
        (
            lambda *_: plotting.accuracy_by_severity({"a": [0.5]}, [1], intervals={"a": [0.4, 0.7]}),
            ValueError,
            r"must be \[1, 2\] for accuracies \[1\]; got shapes",
        ),
    ],
)
def test_bad_input_gets_a_sentence(images, path, call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(images, path)
