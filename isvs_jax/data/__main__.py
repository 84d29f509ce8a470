"""`python -m isvs_jax.data`: prepare data sets for training, or say what is in them."""

from isvs_jax.data.command import main

if __name__ == "__main__":
    raise SystemExit(main())
