"""Certification of a half-space, whose radius is its distance in closed form, against ART, and across stops."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from isvs_jax.robustness import Defence, certify, from_host, predict, read_certificate
from isvs_jax.robustness.certification import leading_classes, sampler

SIGMA = 0.25
# Distances of the four images from the plane on which their mean is ½.
MEANS = np.array([0.72, 0.6, 0.45, 0.505])
DISTANCES = np.abs(MEANS - 0.5) * 2
IMAGES = np.tile(MEANS.astype(np.float32)[:, None, None, None], (1, 2, 2, 1))
KEY = jax.random.key(0)


def _half_space(images):
    mean = images.mean((1, 2, 3))
    return jnp.stack([1 - mean, mean], axis=1)


def _run(n=400, images=IMAGES, model=_half_space, **more):
    return certify(model, images, KEY, **{"sigma": SIGMA, "n": n, "n0": 50, "progress": False, "batch_size": 64} | more)


@pytest.fixture(scope="module")
def found():
    return _run()


def test_radii_of_a_half_space_come_near_its_distance_and_never_pass_it():
    far = _run(100_000, IMAGES[:3], batch_size=4096)
    assert far.prediction.tolist() == [1, 1, 0]
    assert (far.radius <= DISTANCES[:3]).all()
    assert (far.radius >= 0.95 * DISTANCES[:3]).all()
    assert far.radius.dtype == np.float64


def test_it_abstains_where_the_draws_decide_nothing(found):
    assert found.prediction.tolist() == [1, 1, 0, -1]
    assert found.radius[3] == 0
    assert (found.radius[:3] > 0).all()


def test_art_finds_the_same_from_the_same_counts(found):
    pytest.importorskip("statsmodels", reason="statsmodels, which ART computes with, is not installed")
    art = pytest.importorskip("art.estimators.certification.randomized_smoothing.randomized_smoothing")

    class Counted(art.RandomizedSmoothingMixin):
        """Theirs draws with a generator of its own: it is given the counts that were found here."""

        def _prediction_counts(self, x, n=None, batch_size=128):
            return x

    theirs = Counted(sample_size=50, scale=SIGMA, alpha=0.001)
    candidates = np.maximum(found.prediction, 0)
    votes = np.where(np.arange(2) == candidates[:, None], found.counts[:, None], found.n - found.counts[:, None])
    prediction, radius = theirs.certify(votes, n=found.n)
    assert prediction.tolist() == found.prediction.tolist()
    np.testing.assert_allclose(radius, found.radius, rtol=1e-12)
    answers = np.where((answer := theirs.predict(votes)).any(axis=1), answer.argmax(axis=1), -1)
    assert answers.tolist() == leading_classes(votes, 0.001).tolist()


def test_the_noise_follows_from_key_image_and_draw_alone(found):
    assert len(jax.devices()) > 1
    np.testing.assert_array_equal(_run(batch_size=27, devices=jax.devices()[:1]).counts, found.counts)
    # Of fewer images the first ones see the same noise.
    np.testing.assert_array_equal(_run(images=IMAGES[:2]).counts, found.counts[:2])
    assert not np.array_equal(_run(sigma=0.5).counts, found.counts)


def test_the_draws_that_choose_and_those_that_bound_are_independent():
    """With the same noise for both, the one draw that chooses would be among those that bound."""
    seen = {}

    def spy(images):
        jax.debug.callback(lambda x: seen.setdefault("all", []).append(np.asarray(x)), images)
        return _half_space(images)

    _run(12, IMAGES[:1], model=spy, n0=12, alpha=0.01, batch_size=12, devices=jax.devices()[:1])
    jax.effects_barrier()
    first, second = (batch.reshape(12, -1) for batch in seen["all"][-2:])
    assert len(np.unique(np.concatenate([first, second]), axis=0)) == 24
    # And it is Gaussian noise that is not clipped.
    assert min(first.min(), second.min()) < 0 or max(first.max(), second.max()) > 1


def test_noise_comes_before_the_defence_and_is_not_clipped():
    def sees_noise(images):
        return jnp.where((images > 1.0).any((1, 2, 3), keepdims=True), images, 0.0)

    bright = np.full((1, 2, 2, 1), 0.95, np.float32)
    defence = Defence(sees_noise, lambda images: images, "lets through what is beyond 1")
    certificate = _run(images=bright, defence=defence)
    # Each of four pixels is above 1 with a chance of Φ(−0.2) = 0.42: one of them is with 0.887.
    assert certificate.defence == "lets through what is beyond 1"
    assert certificate.counts[0] / certificate.n == pytest.approx(0.887, abs=4 * np.sqrt(0.887 * 0.113 / 400))


def test_a_numpy_model_is_certified_like_one_of_jax(found):
    def on_host(images):
        mean = images.mean((1, 2, 3))
        return np.stack([1 - mean, mean], axis=1)

    certificate = _run(model=from_host(on_host), devices=jax.devices()[:1])
    # Of a mean of one half up to rounding either class is right.
    np.testing.assert_allclose(certificate.counts, found.counts, atol=1)
    assert certificate.prediction.tolist() == found.prediction.tolist()


def test_with_labels_only_what_can_be_right_is_drawn(found):
    labelled = _run(labels=np.array([1, 0, 0, 1]))
    assert labelled.drawn[:3].tolist() == [400, 0, 400]
    np.testing.assert_array_equal(labelled.counts[[0, 2]], found.counts[[0, 2]])
    assert (labelled.prediction[1], labelled.radius[1], labelled.counts[1]) == (-1, 0, 0)


def test_logits_that_are_not_finite_are_of_no_class_and_spoil_no_other():
    def broken(images):
        # Of the first image every fourth draw or so, of the last one all.
        mean = images.mean((1, 2, 3))
        bad = (mean > 0.78) | (mean < 0.2)
        return jnp.where(bad[:, None], jnp.nan, _half_space(images))

    images = np.concatenate([IMAGES[:1], IMAGES[1:2], np.zeros((1, 2, 2, 1), np.float32)])
    certificate, whole = _run(images=images, model=broken), _run(images=images)
    assert certificate.prediction.tolist() == [1, 1, -1]
    assert certificate.no_class[0] == whole.counts[0] - certificate.counts[0] > 0
    assert 0 < certificate.radius[0] < whole.radius[0]
    assert (certificate.drawn[2], certificate.counts[2]) in [(0, 0), (400, certificate.counts[2])]


class _StopError(Exception):
    pass


@pytest.mark.parametrize("after", [2, 9])
def test_a_stopped_certification_goes_on_to_the_same_end(found, tmp_path, monkeypatch, after):
    draws = sampler.Sampler.draws

    def stopped(self, *args):
        for number, batch in enumerate(draws(self, *args)):
            if number == after and len(args) > 3:
                raise _StopError
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(sampler.Sampler, "draws", stopped)
        with pytest.raises(_StopError):
            _run(folder=tmp_path)
    kept = json.loads((tmp_path / "certificate.json").read_text())
    assert kept["certificate"] is None
    assert kept["tally"]["voted"] + kept["tally"]["counted"] > 0
    with pytest.raises(ValueError, match="must hold a finished certificate; got one under way"):
        read_certificate(tmp_path)
    # A batch of another size changes nothing.
    finished = _run(folder=tmp_path, batch_size=40)
    for name in ("prediction", "radius", "counts", "drawn", "no_class"):
        np.testing.assert_array_equal(getattr(finished, name), getattr(found, name))
    assert [session["draws"] for session in finished.made["sessions"]][-1] > 0
    assert len(finished.made["sessions"]) == 2
    again = read_certificate(tmp_path)
    assert again.as_dict() == _run(folder=tmp_path).as_dict() == finished.as_dict()


def test_a_folder_belongs_to_one_certification(tmp_path):
    def network(weight, images):
        return weight * _half_space(images)

    def run(**more):
        more = {"model": Partial(network, jnp.float32(1.0))} | more
        return _run(20, folder=tmp_path, alpha=0.01, **more)

    run()
    with pytest.raises(ValueError, match=r"which differs: sigma is 0.25 there and 0.5 here\."):
        run(sigma=0.5)
    with pytest.raises(ValueError, match="which differs: parameters is"):
        run(model=Partial(network, jnp.float32(2.0)))
    with pytest.raises(ValueError, match="differs: parameters is"):
        run(model=_half_space)
    with pytest.raises(ValueError, match=r"defence\.description must be a text"):
        run(defence=Defence(lambda x: x, lambda x: x))


def test_predict_answers_what_the_draws_tell_apart():
    answers = predict(_half_space, IMAGES, KEY, sigma=SIGMA, n=400, batch_size=64, progress=False)
    assert answers.tolist() == [1, 1, 0, -1]


def test_the_cost_is_said_before_the_start(capsys):
    _run(40, progress=True, n0=10, alpha=0.01)
    said = capsys.readouterr().err
    assert "standard deviation 0.25 on the scale of [0, 1]. 4 images × (n0 = 10 + n = 40): at most 200 forwards" in said
    assert "images a second" in said


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"n": 9}, "n must be at least 10 for alpha = 0.001, or every example abstains; got 9."),
        ({"n0": 0}, "n0 must be an integer of at least 1; got 0."),
        ({"sigma": 0.0}, r"sigma must be a finite standard deviation on the scale of \[0, 1\] > 0; got 0.0."),
        ({"images": IMAGES * 255}, r"images must have values in \[0, 1\]"),
        ({"labels": np.array([0, 1, 2, 0])}, "labels must be from 0 to 1"),
        ({"model": lambda x: x.mean((1, 2, 3))}, r"logits_fn must return one array of floats \[64, K\]"),
    ],
)
def test_bad_arguments_are_met_before_any_work(more, sentence):
    with pytest.raises(ValueError, match=sentence):
        _run(**more)
