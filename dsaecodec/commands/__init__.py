"""The commands of the command line, one module each.

A command's module has `Request`, a frozen dataclass whose fields are the command's arguments, and
`run(request)`, which opens files, calls the codec and reports; it returns the exit code.

PyTorch, PyAV and rich are imported inside the functions that need them, after everything that can
be refused without them has been.
"""

from __future__ import annotations
