"""`python -m isvs_jax photo.jpg --times 1 2 4 8`: the scale space of a photograph."""

from isvs_jax._command import start

if __name__ == "__main__":
    raise SystemExit(start("python -m isvs_jax", "isvs_jax.photograph.command", extra="photo"))
