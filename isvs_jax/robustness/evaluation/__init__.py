"""Evaluate a model and report it: corruptions, attacks, low resolution, calibration, with intervals and warnings."""

from isvs_jax.environment import parameters_hash
from isvs_jax.robustness.evaluation._evaluate import evaluate
from isvs_jax.robustness.evaluation._hard_stop import SIX_WAYS, HardStop, doubling_check, epsilon_curve, hard_stop
from isvs_jax.robustness.evaluation._markdown import combined_markdown, markdown
from isvs_jax.robustness.evaluation._summary import Statistic, summary
from isvs_jax.robustness.evaluation.cells import (
    AttackResult,
    Cell,
    DoublingCheck,
    EpsilonCurve,
    ResolutionCell,
    StepReach,
    packed,
    unpacked,
)
from isvs_jax.robustness.evaluation.comparison import Combined, combine
from isvs_jax.robustness.evaluation.figures import bars, epsilon_curves, heat_map
from isvs_jax.robustness.evaluation.hard_stop_rule import curve_warnings, doubling_warnings, full_radius, step_reach
from isvs_jax.robustness.evaluation.html_report import html_page
from isvs_jax.robustness.evaluation.leaderboard import robustbench_entry, write_robustbench_entry
from isvs_jax.robustness.evaluation.normaliser import Normaliser, normaliser_of, read_normaliser
from isvs_jax.robustness.evaluation.protocol import quick, standard
from isvs_jax.robustness.evaluation.report import Report, read_report
from isvs_jax.robustness.evaluation.report_files import write_report
from isvs_jax.robustness.evaluation.settings import CURVE, EPSILONS, Attacks, Corruptions, HardStopChecks, Resources
from isvs_jax.robustness.evaluation.statistics import (
    expected_calibration_error,
    mean_corruption_error,
    mean_interval,
    relative_corruption_error,
    share_interval,
    student_interval,
    wilson,
)

__all__ = [
    "CURVE",
    "EPSILONS",
    "SIX_WAYS",
    "AttackResult",
    "Attacks",
    "Cell",
    "Combined",
    "Corruptions",
    "DoublingCheck",
    "EpsilonCurve",
    "HardStop",
    "HardStopChecks",
    "Normaliser",
    "Report",
    "ResolutionCell",
    "Resources",
    "Statistic",
    "StepReach",
    "bars",
    "combine",
    "combined_markdown",
    "curve_warnings",
    "doubling_check",
    "doubling_warnings",
    "epsilon_curve",
    "epsilon_curves",
    "evaluate",
    "expected_calibration_error",
    "full_radius",
    "hard_stop",
    "heat_map",
    "html_page",
    "markdown",
    "mean_corruption_error",
    "mean_interval",
    "normaliser_of",
    "packed",
    "parameters_hash",
    "quick",
    "read_normaliser",
    "read_report",
    "relative_corruption_error",
    "robustbench_entry",
    "share_interval",
    "standard",
    "step_reach",
    "student_interval",
    "summary",
    "unpacked",
    "wilson",
    "write_report",
    "write_robustbench_entry",
]
