"""`python -m isvs_jax.data`: prepare data sets for training, or say what is in them."""

from isvs_jax._command import start

if __name__ == "__main__":
    raise SystemExit(start("python -m isvs_jax.data", "isvs_jax.data.command"))
