"""A certificate for all tests of this room."""

from __future__ import annotations

import pytest

from tests.notify.serving import Tls


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Return a certificate for this host."""
    return Tls(tmp_path_factory.mktemp("tls"))
