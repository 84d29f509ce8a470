"""`python -m tests.training.child METHOD ...`: the command of training with the smallest network, to be killed."""

import sys

from isvs_jax.training import run, trained
from isvs_jax.training.command import main
from tests.training.networks import build_minute

if __name__ == "__main__":
    run.build_model = trained.build_model = build_minute  # type: ignore[assignment]
    sys.exit(main())
