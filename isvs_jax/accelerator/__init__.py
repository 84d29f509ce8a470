"""What the library does on the accelerator at hand: whether it is right there, and how fast.

`python -m isvs_jax.accelerator` measures all of it in minutes and writes a page.
"""
