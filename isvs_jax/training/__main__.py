"""`python -m isvs_jax.training`: train a classifier."""

from isvs_jax._command import start

if __name__ == "__main__":
    raise SystemExit(start("python -m isvs_jax.training", "isvs_jax.training.command"))
