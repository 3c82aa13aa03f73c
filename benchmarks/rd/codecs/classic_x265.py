"""What makes x265 give its best on one thread, and keeps it sound on small pictures.

Seen with x265 4.2 (libx265.so.216), by the MD5 of each picture that `hash=1` puts into the stream,
and by glibc's heap checks:

- A picture exactly one coding tree unit (CTU) wide decodes to other pixels than the encoder means,
  and its stream differs from run to run, by up to 9 % in bytes. 64×64, the size of most pixel art
  here, is such a picture. Two more columns, copies of the last, make a second CTU and cure it; on
  drawn clips that kept more of x265's efficiency than a smaller CTU did.
- Of a picture exactly one CTU high, the weights of weighted prediction differ from run to run, and
  streams with them. Without weights such clips decode to the same pixels, of 1 to 6 % fewer bytes.
- CU-tree writes beyond its buffers if a picture is 48 pixels wide or less; most runs crash.
- Wavefronts, on by default and of no use to one thread, cost up to 15 % of rate.
"""

from __future__ import annotations

_NARROW = 48


def sound_width(height: int, width: int) -> int:
    """Columns to code, the least that are enough and keep an even number even.

    Args:
        height, width: of the luma, 16 at least.
    """
    return width + 2 if width == _ctu(height, width) else width


def x265_parameters(height: int, width: int, threads: int) -> str:
    """Value of FFmpeg's option -x265-params.

    Args:
        height, width: of the luma that is coded.
        threads: of the encoder.
    """
    pools = "none" if threads == 1 else str(threads)
    parameters = ["log-level=none", f"pools={pools}", f"frame-threads={threads}"]
    if height == _ctu(height, width):
        parameters += ["weightp=0", "weightb=0"]
    if width <= _NARROW:
        parameters.append("cutree=0")
    return ":".join(parameters)


def _ctu(height: int, width: int) -> int:
    """FFmpeg's choice where none is asked for."""
    return max(ctu for ctu in (64, 32, 16) if ctu <= min(height, width))
