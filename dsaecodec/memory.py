"""How much memory this process may come to use."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


def memory_here() -> int | None:
    """Bytes: the machine's memory, or less where a container or `ulimit` says so; None: unknown."""
    found = [_physical(), *_of_cgroups(), *_of_ulimits()]
    return min((size for size in found if size is not None), default=None)


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None


def _of_ulimits() -> list[int]:
    soft = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    return [size for size in soft if size != resource.RLIM_INFINITY]


def _of_cgroups() -> list[int]:
    """Limits of the control groups that the process is in, and of those around them.

    A container sees its own group as the root of the mount, whatever path the kernel states.
    """
    found = []
    with suppress(OSError, UnicodeDecodeError):
        for line in _CGROUPS.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds and "memory" not in kinds.split(","):
                continue
            root = _MOUNT / "memory" if kinds else _MOUNT
            name = "memory.limit_in_bytes" if kinds else "memory.max"
            group = root / path.lstrip("/")
            for folder in (group, *group.parents):
                with suppress(OSError, ValueError):  # "max", or none here
                    found.append(int((folder / name).read_text()))
                if folder == root:
                    break
    return found
