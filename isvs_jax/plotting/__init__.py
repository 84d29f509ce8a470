"""Pictures of paths and results: every function draws on given axes and returns the matplotlib Figure.

matplotlib is imported when the first picture is drawn; it comes with the extra "plot". Without axes a figure of its own
is made, outside pyplot, so that nothing stays open.
"""

from isvs_jax.plotting._axes import COLOURS
from isvs_jax.plotting._entry_times import entry_times
from isvs_jax.plotting._support_size import support_size
from isvs_jax.plotting.denoising import denoising_curves
from isvs_jax.plotting.severity import accuracy_by_severity
from isvs_jax.plotting.strip import scale_space_strip

__all__ = [
    "COLOURS",
    "accuracy_by_severity",
    "denoising_curves",
    "entry_times",
    "scale_space_strip",
    "support_size",
]
