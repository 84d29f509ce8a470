"""Labelled images with a training and a test split, by one specification: digits, TFDS, folders, prepared sets."""

from isvs_jax.data._load import load
from isvs_jax.data._prepare import prepare
from isvs_jax.data.choice import DataChoice, load_data
from isvs_jax.data.dataset import Dataset, Split, as_float, digest, holdout, take

__all__ = [
    "DataChoice",
    "Dataset",
    "Split",
    "as_float",
    "digest",
    "holdout",
    "load",
    "load_data",
    "prepare",
    "take",
]
