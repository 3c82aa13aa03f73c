"""How much work an encoder does; decoding costs the same after any of them."""

from __future__ import annotations

from dataclasses import dataclass

from dsaecodec.errors import ConfigError


@dataclass(frozen=True)
class Preset:
    """How hard an encoder tries.

    Attributes:
        gop: most frames that share one content latent.
        halves: whether a GOP that moves much is coded again as two.
        rounds: of refinement of its latents, see `codec.refine`.
    """

    gop: int
    halves: bool
    rounds: int


PRESETS = {
    "fast": Preset(gop=16, halves=False, rounds=0),
    "medium": Preset(gop=32, halves=True, rounds=0),
    "slow": Preset(gop=32, halves=True, rounds=6),
}


def find_preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r}: expected {', '.join(PRESETS)}")
    return PRESETS[name]
