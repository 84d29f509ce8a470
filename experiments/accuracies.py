"""The table that most experiments have: accuracies of entrants."""

from collections.abc import Mapping, Sequence

from experiments.entrants import Entrant
from experiments.estimates import figures
from experiments.section import Table
from isvs_jax.robustness import Report
from isvs_jax.robustness.evaluation.summary import robust_label


def accuracy_columns(report: Report, wanted: Sequence[str], *, robust: bool = False) -> tuple[str, ...]:
    """Those that a report has of some labels of `isvs_jax.robustness.evaluation.summary`, then all robust ones."""
    known = figures([report])
    of_attacks = [robust_label(attack) for attack in report.attacks] if robust else []
    return (*(column for column in wanted if column in known), *of_attacks)


def accuracy_table(reports: Mapping[Entrant, Sequence[Report]], columns: Sequence[str]) -> Table:
    """A row for each entrant, the best of each column bold."""
    found = {str(entrant): figures(several) for entrant, several in reports.items()}
    rows = {name: tuple(values[column] for column in columns) for name, values in found.items()}
    return Table("accuracy in %", tuple(columns), rows, best=(1,) * len(columns))
