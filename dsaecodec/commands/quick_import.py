"""Importing the codec as fast as it goes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_import() -> Iterator[None]:
    """Import inside without garbage collection: half a million objects come, and all stay.

    Collecting takes a fifth of the time that PyTorch's import does.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # nor are they looked at later
        gc.enable()
