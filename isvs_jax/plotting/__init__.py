"""Pictures of paths and results: every function draws on given axes and returns the matplotlib Figure.

matplotlib is imported when the first picture is drawn; it comes with the extra "plot". Without axes a new figure is
made, outside of pyplot, so that nothing stays open. `path_slider` writes HTML instead, for pages and notebooks.
"""

from isvs_jax.plotting.axes import COLOURS
from isvs_jax.plotting.certified import certified_accuracy
from isvs_jax.plotting.curves import accuracy_by_severity, denoising_curves
from isvs_jax.plotting.paths import entry_times, scale_space_strip, support_size
from isvs_jax.plotting.slider import path_slider

__all__ = [
    "COLOURS",
    "accuracy_by_severity",
    "certified_accuracy",
    "denoising_curves",
    "entry_times",
    "path_slider",
    "scale_space_strip",
    "support_size",
]
