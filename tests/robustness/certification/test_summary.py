"""The figures of a certificate, their files, their picture, and their place in a report."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.augment import View
from isvs_jax.plotting import certified_accuracy
from isvs_jax.robustness import (
    Certificate,
    certified_summary,
    choose_smoothing,
    evaluate,
    markdown,
    matched_filters,
    read_report,
    smoothing_defence,
    view_defence,
)
from isvs_jax.robustness.certification import certified_markdown, joined, read_certificate, read_summary
from isvs_jax.robustness.evaluation import write_report
from isvs_jax.robustness.evaluation.command import main

LABELS = np.array([0, 0, 1, 1, 1, 2])
RADII = (0.0, 0.3, 0.6)


@pytest.fixture(scope="module")
def certificate():
    """Right with 0.7, wrong with 0.9, right with 0.3, abstains, not drawn, right with 0.1."""
    drawn = np.array([1000, 1000, 1000, 1000, 0, 1000])
    return Certificate(
        prediction=np.array([0, 2, 1, -1, -1, 2]),
        radius=np.array([0.7, 0.9, 0.3, 0.0, 0.0, 0.1]),
        counts=np.array([990, 999, 800, 500, 0, 600]),
        drawn=drawn,
        no_class=np.array([0, 0, 7, 0, 0, 0]),
        sigma=0.5,
        alpha=0.001,
        n0=100,
        n=1000,
        image_shape=(8, 8, 3),
        defence="smoothing",
    )


def test_figures_are_those_of_the_definition(certificate):
    found = certified_summary(certificate, LABELS, RADII, name="six")
    assert found.accuracy == pytest.approx((3 / 6, 2 / 6, 1 / 6))
    assert found.average_radius == pytest.approx((0.7 + 0.3 + 0.1) / 6)
    # Of the five that were drawn one abstains.
    assert found.abstained == pytest.approx(1 / 5)
    assert found.by_class == ((0.5, 0.5, 0.5), pytest.approx((1 / 3, 1 / 3, 0)), (1.0, 0.0, 0.0))
    assert found.worst_class == ((1, pytest.approx(1 / 3)), (2, 0.0), (1, 0.0))
    assert found.linf_radii == pytest.approx([radius / np.sqrt(192) for radius in RADII])
    assert found.largest_radius == pytest.approx(0.5 * 2.4648, abs=1e-3)
    # Wilson's interval of 3 of 6.
    assert found.intervals[0] == pytest.approx((0.1876, 0.8124), abs=1e-4)
    assert found.no_class == 7


def test_a_report_shows_them_in_a_table_of_their_own(certificate, tmp_path):
    summary = certified_summary(certificate, LABELS, RADII, name="six")
    (tmp_path / "certified.json").write_text(json.dumps(summary.as_dict() | {"made": {}}))
    assert read_summary(tmp_path) == summary
    images = np.full((2, 8, 8, 1), 0.7, np.float32)
    report = evaluate(
        lambda x: jnp.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], axis=1),
        images,
        np.array([0, 1]),
        jax.random.key(0),
        name="mean",
        corruptions=None,
        resolutions=(),
        attacks=None,
        checks=None,
        progress=False,
    )
    assert "Certified" not in markdown(report)
    write_report(dataclasses.replace(report, certified=(summary,)), tmp_path)
    assert read_report(tmp_path).certified == (summary,)
    text = (tmp_path / "report.md").read_text()
    assert certified_markdown(summary) in text
    assert "Certified accuracy" in (tmp_path / "report.html").read_text()
    table = certified_markdown(summary)
    assert "σ = 0.5" in table
    assert "between noise and network: smoothing" in table
    assert "no accuracies under attack" in table
    assert "The logits of 7 draws were not finite" in table


def test_certificates_of_parts_join(certificate):
    def part(rows):
        arrays = ("prediction", "radius", "counts", "drawn", "no_class")
        return dataclasses.replace(certificate, **{name: getattr(certificate, name)[rows] for name in arrays})

    again = joined([part(slice(0, 2)), part(slice(2, 6))])
    assert certified_summary(again, LABELS, RADII) == certified_summary(certificate, LABELS, RADII)
    with pytest.raises(ValueError, match=r"certificates must be of the same sigma; got 0\.25 and 0\.5\."):
        joined([certificate, dataclasses.replace(certificate, sigma=0.25)])


def test_the_picture_is_the_share_beyond_each_radius(certificate):
    radii = np.where(certificate.prediction == LABELS, certificate.radius, -1)
    line = certified_accuracy({"six": radii}).axes[0].lines[0]
    places, heights = line.get_data()
    assert line.get_drawstyle() == "steps-pre"
    for radius in (0.05, 0.2, 0.5, 0.69):
        # With steps before, the height at a place is that of the next point.
        shown = heights[np.searchsorted(places, radius)]
        assert shown == pytest.approx(100 * np.mean(radii >= radius))
    with pytest.raises(ValueError, match="radii must name one model or more; got none"):
        certified_accuracy({})


def test_the_command_certifies_and_goes_on(tmp_path, capsys):
    model = f"{Path(__file__).parent / 'model.py'}:half_plane"
    arguments = ["certify", "--model", model, "--sigma", "0.5", "--n", "20", "--n0", "10", "--alpha", "0.01"]
    arguments += ["--data.image-size", "8", "--count", "6", "--out", str(tmp_path), "--radii", "0", "0.1"]
    arguments += ["--batch-size", "40", "--defence", "blur:0.5", "--no-progress"]
    assert main(arguments) == 1
    # The digits have ten classes, the model two.
    assert "labels must be from 0 to 1" in capsys.readouterr().err
    assert main([*arguments, "--no-only-right"]) == 0
    assert "filter, blur:0.5" in capsys.readouterr().out
    certificate = read_certificate(tmp_path)
    assert len(certificate.prediction) == 6
    assert read_summary(tmp_path).radii == (0, 0.1)
    assert (tmp_path / "certified.png").stat().st_size > 1000
    assert "6 images" in (tmp_path / "certified.md").read_text()


def test_the_time_that_is_chosen_is_the_one_with_most_right_answers():
    """A contour of height 0.5 in noise: the class is which half is brighter, which a stopped path shows too."""

    def model(images):
        # Sure only of what is smooth: texture counts against class 1.
        rough = jnp.abs(images[:, :, 1:] - images[:, :, :-1]).mean((1, 2, 3))
        return jnp.stack([rough, jnp.full_like(rough, 0.1)], axis=1)

    images = np.full((3, 8, 8, 1), 0.5, np.float32)
    images[:, :, 4:] = 0.8
    labels = np.ones(3, int)
    chosen = choose_smoothing(
        model, images, labels, jax.random.key(0), sigma=0.2, times_sigma=(0.2, 20.0), draws=4, batch_size=8
    )
    assert (chosen.time, chosen.kappa) == (1.0, 1.0)
    assert chosen.tried[1.0, 1.0] > chosen.tried[100.0, 1.0]
    assert chosen.without == 0
    assert "t = 1.0, kappa = 1.0" in chosen.defence.description


def test_filters_take_as_much_energy_of_noisy_images():
    images = np.asarray(jax.random.uniform(jax.random.key(3), (4, 8, 8, 1)))
    defence = smoothing_defence(1.0)
    found = matched_filters(defence, images, jax.random.key(1), sigma=0.2)
    noisy = images + 0.2 * jax.random.normal(jax.random.key(1), images.shape)

    def energy(forward):
        return float(jnp.mean((noisy - forward(noisy)) ** 2))

    for kind in ("blur", "rof"):
        assert energy(found[kind].forward) == pytest.approx(energy(defence.forward), rel=1e-3)
        view = View.parse(found[kind].description.removeprefix("filter, "))
        np.testing.assert_array_equal(view_defence(view).forward(noisy), found[kind].forward(noisy))
    with pytest.raises(ValueError, match="kinds must be a sequence of at least 1 of"):
        matched_filters(defence, images, jax.random.key(1), sigma=0.2, kinds=("path",))
