"""What randomized smoothing says of each image, and the file that it is kept in."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax._checks import check_number
from isvs_jax._files import read_json
from isvs_jax.robustness.certification.bounds import ABSTAINS, certified_radius

CERTIFICATE = "certificate.json"
_ARRAYS = {"prediction": np.int64, "radius": np.float64, "counts": np.int64, "drawn": np.int64, "no_class": np.int64}


@dataclass(frozen=True, eq=False)
class Certificate:
    """What randomized smoothing says of N images.

    With confidence 1 − alpha, for each image by itself, the smoothed classifier gives every image within the radius the
    same class.

    Attributes:
        prediction: int [N], the class; −1 where it abstains.
        radius: float64 [N], in L2 on the scale of [0, 1]; 0 where it abstains.
        counts: int [N], how many of the n draws were of the class that the first n0 chose.
        drawn: int [N], how many draws were made for the bound: n, or 0 where labels were given and the n0 draws chose
            another class, so that nothing was left to certify.
        no_class: int [N], of how many of the n draws the logits were not finite; they count against the class.
        sigma: The standard deviation of the noise, on the scale of [0, 1].
        alpha: The chance that a radius is too large.
        n0: The number of draws that choose the class.
        n: The number of draws that bound its probability.
        image_shape: The shape [H, W, C] of an image.
        defence: What stands between noise and network; "" for nothing.
        mixture_weight: 1, or the share of the smoothed classifier in the `mixed` classifier that it is of.
        made: Hashes, versions and sessions, where they were recorded.
    """

    prediction: np.ndarray
    radius: np.ndarray
    counts: np.ndarray
    drawn: np.ndarray
    no_class: np.ndarray
    sigma: float
    alpha: float
    n0: int
    n: int
    image_shape: tuple[int, int, int]
    defence: str = ""
    mixture_weight: float = 1.0
    made: dict[str, Any] = field(default_factory=dict, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Lists, numbers and strings, as JSON gives them back."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        lists = {name: values[name].tolist() for name in _ARRAYS}
        return values | lists | {"image_shape": list(self.image_shape)}


def decided(
    candidates: np.ndarray, counts: np.ndarray, drawn: np.ndarray, *, sigma: float, alpha: float, weight: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """The predictions and radii [N] that follow from the counts of the candidates."""
    radius = certified_radius(counts, np.maximum(drawn, 1), sigma=sigma, alpha=alpha, weight=weight)
    return np.where(radius > 0, candidates, ABSTAINS), radius


def mixed(certificate: Certificate, weight: float) -> Certificate:
    """The certificate of the mixture (1 − weight) g + weight h of any classifier g with the smoothed h.

    h gives each class the share of noisy versions that are of it, and `certificate` is of h. The mixture gives every
    image within the radius σ Φ⁻¹(weight · p) the class that h has, whatever g says: no draw is made anew.

    Args:
        certificate: That of the smoothed classifier h.
        weight: The share of h, in (0, 1]; with ½ or less nothing can be certified.

    Returns:
        A certificate with the radii of the mixture, −1 where nothing is certified.

    Raises:
        TypeError: The weight is no number.
        ValueError: The weight is out of range.

    Example:
        >>> counts = np.array([999, 800])
        >>> whole = Certificate(np.array([3, 1]), np.array([0.6, 0.2]), counts, np.array([1000, 1000]), 0 * counts,
        ...     sigma=0.25, alpha=0.001, n0=100, n=1000, image_shape=(32, 32, 3))
        >>> mixed(whole, 0.6).prediction.tolist(), mixed(whole, 0.6).radius.round(4).tolist()
        ([3, -1], [0.0598, 0.0])
    """
    whole = certificate.mixture_weight * check_number("weight", weight, "(0, 1]")
    prediction, radius = decided(
        certificate.prediction,
        certificate.counts,
        certificate.drawn,
        sigma=certificate.sigma,
        alpha=certificate.alpha,
        weight=whole,
    )
    return dataclasses.replace(certificate, prediction=prediction, radius=radius, mixture_weight=whole)


def joined(certificates: Sequence[Certificate]) -> Certificate:
    """The certificate of all images of several ones that were asked the same, in order.

    Raises:
        ValueError: There is none, or they were asked different things.

    Example:
        >>> one = Certificate(np.array([3]), np.array([0.6]), np.array([999]), np.array([1000]), np.array([0]),
        ...     sigma=0.25, alpha=0.001, n0=100, n=1000, image_shape=(32, 32, 3))
        >>> joined([one, one]).prediction.tolist()
        [3, 3]
    """
    if not certificates:
        raise ValueError("certificates must be one or more; got none.")
    values = [{entry.name: getattr(each, entry.name) for entry in dataclasses.fields(each)} for each in certificates]
    for name in values[0].keys() - _ARRAYS.keys() - {"made"}:
        found = {each[name] for each in values}
        if len(found) > 1:
            raise ValueError(f"certificates must be of the same {name}; got {' and '.join(map(repr, sorted(found)))}.")
    arrays = {name: np.concatenate([each[name] for each in values]) for name in _ARRAYS}
    return Certificate(**values[0] | arrays | {"made": {"parts": [each["made"] for each in values]}})


def read_certificate(path: str | os.PathLike[str]) -> Certificate:
    """Read a finished certificate.

    Args:
        path: The file certificate.json, or its folder.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no certificate, or one that is not finished.
    """
    file = Path(path)
    file = file / CERTIFICATE if file.is_dir() else file
    content = read_json(file)
    if not isinstance(content, dict) or "certificate" not in content:
        raise ValueError(f"{file} must hold a certificate; got something else.")
    if content["certificate"] is None:
        raise ValueError(
            f"{file} must hold a finished certificate; got one under way. The same call goes on from there."
        )
    values = dict(content["certificate"])
    values |= {name: np.asarray(values[name], dtype) for name, dtype in _ARRAYS.items()}
    return Certificate(**values | {"image_shape": tuple(values["image_shape"])})
