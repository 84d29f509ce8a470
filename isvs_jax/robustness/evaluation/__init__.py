"""Evaluate a model and report it: corruptions, attacks, low resolution, calibration, with intervals and warnings."""

from isvs_jax.environment import parameters_hash
from isvs_jax.robustness.evaluation._evaluate import CURVE, EPSILONS, evaluate
from isvs_jax.robustness.evaluation.document import combined_markdown, markdown, read_report, write_report
from isvs_jax.robustness.evaluation.figures import bars, epsilon_curves, heat_map
from isvs_jax.robustness.evaluation.metrics import (
    expected_calibration_error,
    mean_corruption_error,
    relative_corruption_error,
    student_interval,
    wilson,
)
from isvs_jax.robustness.evaluation.normaliser import Normaliser, normaliser_of, read_normaliser
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.evaluation.results import AttackResult, Cell, Curve, Doubling, ResolutionCell, StepReach
from isvs_jax.robustness.evaluation.summary import Statistic, summary
from isvs_jax.robustness.evaluation.trainings import Combined, combine

__all__ = [
    "CURVE",
    "EPSILONS",
    "AttackResult",
    "Cell",
    "Combined",
    "Curve",
    "Doubling",
    "Normaliser",
    "Report",
    "ResolutionCell",
    "Statistic",
    "StepReach",
    "bars",
    "combine",
    "combined_markdown",
    "epsilon_curves",
    "evaluate",
    "expected_calibration_error",
    "heat_map",
    "markdown",
    "mean_corruption_error",
    "normaliser_of",
    "parameters_hash",
    "read_normaliser",
    "read_report",
    "relative_corruption_error",
    "student_interval",
    "summary",
    "wilson",
    "write_report",
]
