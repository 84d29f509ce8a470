"""Programs that compile fast."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _cheap(cheap_compilation: None) -> None:
    """Many steps of training, each compiled for a handful of tiny images."""
