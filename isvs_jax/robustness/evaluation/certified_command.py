"""`python -m isvs_jax.robustness certify`: certify a model and write what was found."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np

from isvs_jax import SplitLBI
from isvs_jax._checks import check_integer
from isvs_jax._files import write_atomically, write_json
from isvs_jax.augment import View
from isvs_jax.data import as_float, load_data
from isvs_jax.robustness.certification import certified_markdown, certified_summary, certify
from isvs_jax.robustness.certification.summary import SUMMARY
from isvs_jax.robustness.defences import view_defence
from isvs_jax.robustness.evaluation.model_source import find_model
from isvs_jax.robustness.evaluation.options import Certification

_DOTS = 110


def certify_model(chosen: Certification) -> str:
    """Certify the model of a command line; the section of Markdown that was written."""
    from isvs_jax.plotting import certified_accuracy

    count = check_integer("count", chosen.count)
    defence = None
    if chosen.defence is not None:
        defence = view_defence(View.parse(chosen.defence), SplitLBI(kappa=chosen.kappa))
    dataset = load_data(replace(chosen.data, limit_train=1), progress=chosen.progress)
    model = find_model(chosen, dataset.num_classes)
    test = dataset.test
    rows = np.linspace(0, len(test.labels) - 1, min(count, len(test.labels))).round().astype(int)
    labels = test.labels[rows]
    certificate = certify(
        model.logits_fn,
        as_float(test.images[rows]),
        jax.random.key(chosen.seed),
        sigma=chosen.sigma,
        n0=chosen.n0,
        n=chosen.n,
        alpha=chosen.alpha,
        defence=defence,
        labels=labels if chosen.only_right else None,
        batch_size=chosen.batch_size,
        folder=chosen.out,
        progress=chosen.progress,
    )
    name = chosen.name or f"{model.name}, {dataset.name}"
    summary = certified_summary(certificate, labels, chosen.radii, name=name)
    write_json(chosen.out / SUMMARY, summary.as_dict() | {"made": certificate.made})
    figure = certified_accuracy({name: np.where(certificate.prediction == labels, certificate.radius, -1)})
    figure.savefig(chosen.out / "certified.png", dpi=_DOTS)
    section = certified_markdown(summary)
    picture = "![certified accuracy against the radius](certified.png)"
    write_atomically(chosen.out / "certified.md", f"# Certified accuracy of {name}\n\n{section}\n\n{picture}\n")
    return f"{section}\n\n{chosen.out / 'certified.md'}"
