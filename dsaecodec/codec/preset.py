"""How much work an encoder does; decoding costs the same after any of them."""

from __future__ import annotations

from dataclasses import dataclass

from dsaecodec.errors import ConfigError

HELD_PIXELS = 2**26  # of a GOP's frames, which an encoder holds all at once
SURELY_HELD = 32  # frames, however large


@dataclass(frozen=True)
class Preset:
    """How hard an encoder tries.

    Attributes:
        gop: most frames that share one content latent, see `longest_gop`.
        halves: whether a GOP that moves much is coded again as two.
        motion_steps: of descent on motion of frames, see `spatial.alignment`.
        rounds: of refinement of its latents, see `spatial.refine`.
    """

    gop: int
    halves: bool
    motion_steps: int
    rounds: int

    def longest_gop(self, height: int, width: int) -> int:
        """Most frames of such a size that share one content latent."""
        return min(self.gop, max(HELD_PIXELS // (height * width), SURELY_HELD))


PRESETS = {
    "fast": Preset(gop=16, halves=False, motion_steps=0, rounds=0),
    "medium": Preset(gop=64, halves=True, motion_steps=8, rounds=0),
    "slow": Preset(gop=64, halves=True, motion_steps=16, rounds=6),
}


def find_preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r}: expected {', '.join(PRESETS)}")
    return PRESETS[name]
