"""Shared fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

GOLDEN = Path(__file__).parent / "golden"
FOOTAGE = Path(__file__).parents[2] / "shared" / "data" / "natural"


@pytest.fixture(scope="session")
def golden() -> Path:
    """A stream of format version 1: three GOPs."""
    return GOLDEN / "v1-natural-three-gops.dsz"


@pytest.fixture(scope="session")
def golden_compact() -> Path:
    """A stream of one GOP in compact form, 64×64, of format version 1."""
    return GOLDEN / "v1-natural-compact.dsz"


@pytest.fixture(scope="session")
def golden_everything() -> Path:
    """A stream with uneven times, sound and pixels that are not square."""
    return GOLDEN / "v2-natural-everything.dsz"


@pytest.fixture(scope="session")
def golden_predicted() -> Path:
    """The same, whose contents but the first are predicted."""
    return GOLDEN / "v2-predicted-everything.dsz"


@pytest.fixture(scope="session")
def footage() -> Path:
    """Real clips beside the project; tests that need them skip without."""
    if not FOOTAGE.is_dir():
        pytest.skip("no footage here")
    return FOOTAGE


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small tensors gain nothing from threads, and much is lost where cores are shared."""
    torch.set_num_threads(1)
