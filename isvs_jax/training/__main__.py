"""`python -m isvs_jax.training`."""

import sys

from isvs_jax.training.command import main

if __name__ == "__main__":
    sys.exit(main())
