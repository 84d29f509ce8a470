"""Claim 7: the path adds to other defences."""

from dataclasses import dataclass, field

from experiments.claims.ablation import dot_plot
from experiments.claims.comparison import (
    PAIRED,
    accuracy_columns,
    accuracy_table,
    common_remarks,
    difference_table,
    first_report,
    warning_remarks,
)
from experiments.estimates import differences
from experiments.judging import Entrant, judged
from experiments.section import Section
from experiments.study import Study, study_of_size
from isvs_jax.robustness.evaluation._summary import robust_label

_COLUMNS = ("clean", "all corruptions", "fog", "contrast", "low resolution, mean")
# In the tables only.
_BESIDE = ("fog", "contrast")
_USUAL = (
    ("raw", "path"),
    ("augmix", "path_augmix"),
    ("adversarial", "path_adversarial"),
    ("noise", "path_noise"),
    ("noise", "mixed_noise"),
    ("noise_contrast", "mixed_noise_contrast"),
)
_SMOKE = (("raw", "path"), ("noise", "mixed_noise"), ("augmix", "path_augmix"), ("adversarial", "path_adversarial"))


@dataclass(frozen=True)
class Additions:
    """In addition to other defences: each without the path and with it.

    Attributes:
        study: Size, data, seeds, folder.
        pairs: The pairs that are compared, a defence without the path and with it; () for the usual ones.
    """

    study: Study = field(default_factory=study_of_size)
    pairs: tuple[tuple[str, str], ...] = ()


def run(claim: Additions) -> Section:
    """Train and judge what is missing; tables and a picture."""
    named = claim.pairs or (_SMOKE if claim.study.size == "smoke" else _USUAL)
    pairs = tuple((Entrant.parse(one), Entrant.parse(other)) for one, other in named)
    wanted = tuple(dict.fromkeys(entrant for pair in pairs for entrant in pair))
    found = judged(wanted, claim.study)
    reports = {entrant: tuple(of.values()) for entrant, of in found.items()}
    first = first_report(reports)
    columns = accuracy_columns(first, _COLUMNS, robust=True)
    drawn = tuple(column for column in columns if column not in (*_BESIDE, *map(robust_label, first.attacks[:-1])))
    changes = {
        f"{base} → {other}": differences(found.get(other, {}), found.get(base, {}), columns) for base, other in pairs
    }
    changes = {pair: row for pair, row in changes.items() if row}
    return Section(
        "additions",
        "In addition to other defences",
        "Images along the path add to what other defences give: the same training, without them and with them.",
        (accuracy_table(reports, columns), difference_table(changes, columns)),
        {"differences": (dot_plot(changes, drawn), "With the path less without, in points, with 95% intervals.")}
        if changes
        else {},
        (
            *common_remarks(reports, claim.study, wanted),
            f"{PAIRED} n: trainings.",
            *warning_remarks(reports),
        ),
    )
