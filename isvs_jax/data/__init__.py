"""Labelled images with a training and a test split, by one specification: digits, TFDS, folders, prepared sets."""

from isvs_jax.data.dataset import Dataset, Split, as_float, digest, holdout, take
from isvs_jax.data.specification import DataChoice, load, load_data, prepare

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
