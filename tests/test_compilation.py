"""The tests compile in haste: what is said of the path holds of programs compiled as users have them, too."""

import os
import subprocess
import sys
from pathlib import Path

from tests.compilation import OPTIONS, VARIABLES, known_flags


def test_flags_that_xla_does_not_know_are_left_out():
    found = known_flags({**OPTIONS, "xla_cpu_no_such_flag": True})
    assert set(found) <= {f"--{name}={value}".lower() for name, value in OPTIONS.items()}


def test_compiled_as_usual_the_path_is_the_reference():
    command = [sys.executable, "-m", "pytest", "--optimised", "-q", "-p", "no:cacheprovider", "-p", "no:benchmark"]
    statement = "tests/solver/test_scale_space.py::test_path_in_float32_is_the_reference_in_float64[isotropic-spectral]"
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    # What xdist tells its workers is not for this run, and would make other plugins warn.
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, statement],
        cwd=Path(__file__).parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
