"""Programs that compile fast."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _cheap(cheap_compilation: None) -> None:
    """Networks of many layers that see a handful of tiny images."""
