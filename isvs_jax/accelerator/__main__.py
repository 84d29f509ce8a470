"""`python -m isvs_jax.accelerator`: is the library right on the devices at hand, and how fast?"""

from isvs_jax._command import start

if __name__ == "__main__":
    raise SystemExit(start("python -m isvs_jax.accelerator", "isvs_jax.accelerator.command"))
