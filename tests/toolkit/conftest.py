"""What several rooms of the toolkit are tested with."""

from collections.abc import Iterator

import pytest

from tests.toolkit.serving import Server, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as served:
        yield served
