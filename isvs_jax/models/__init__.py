"""Classifiers in Flax Linen, as functions of (parameters, batch statistics)."""

from isvs_jax.models.classifier import LogitsFn, Variables, count_parameters, init, logits_fn
from isvs_jax.models.cnn import CNN

__all__ = ["CNN", "LogitsFn", "Variables", "count_parameters", "init", "logits_fn"]
