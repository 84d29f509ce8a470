"""Programs that compile fast."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _cheap(cheap_compilation: None) -> None:
    """Two classifiers and their tests on a handful of tiny images."""
