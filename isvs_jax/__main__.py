"""`python -m isvs_jax photo.jpg --times 1 2 4 8`: the scale space of a photograph."""

from isvs_jax.photograph import main

if __name__ == "__main__":
    raise SystemExit(main())
