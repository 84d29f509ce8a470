"""`python -m isvs_jax.robustness`: evaluate a model and report it."""

from isvs_jax.robustness.evaluation.command import main

if __name__ == "__main__":
    raise SystemExit(main())
