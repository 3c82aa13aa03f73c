"""How a user says what shall become of a video's sound."""

from __future__ import annotations

import re

from dsaecodec.errors import UsageError

DEFAULT_KBPS = 32
_LOWEST_KBPS, _HIGHEST_KBPS = 6, 510  # Opus's own limits
_OPUS = re.compile(r"opus(?::([0-9]{1,4})k)?")


def opus_kbps(request: str) -> int | None:
    """Bitrate in kbit/s of a request "opus:32k" or "opus"; None for "copy" and "none".

    Raises:
        UsageError: it is none of these, or Opus has no such bitrate.
    """
    if request in ("copy", "none"):
        return None
    match = _OPUS.fullmatch(request)
    kbps = int(match[1] or DEFAULT_KBPS) if match else 0
    if not _LOWEST_KBPS <= kbps <= _HIGHEST_KBPS:
        raise UsageError(
            f"sound {request!r}, expected opus:{DEFAULT_KBPS}k ({_LOWEST_KBPS}k to "
            f"{_HIGHEST_KBPS}k), copy or none"
        )
    return kbps
