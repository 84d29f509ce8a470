"""`python -m isvs_jax.robustness`: evaluate a model and report it."""

from isvs_jax._command import start

if __name__ == "__main__":
    raise SystemExit(start("python -m isvs_jax.robustness", "isvs_jax.robustness.evaluation.command"))
