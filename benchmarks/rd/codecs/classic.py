"""Which classic codecs are compared, at which settings.

Key frames come as each encoder's default has it (x264, x265 and MPEG-2 every 250 frames, libvpx
128, SVT-AV1 161 at 25 fps). What differs from the defaults of the ffmpeg command is there to give
the codec its due on one thread, see `classic_x265`. The number of threads changes the
bytes of all but SVT-AV1: those of x265 by its wavefronts, the others' at most slightly.

x264's bytes depend on the processor, too, by some tenths of a per cent: it takes whatever
algorithms are fast there.
"""

from __future__ import annotations

from fractions import Fraction

from benchmarks.rd.codec import Codec
from benchmarks.rd.codecs.classic_codec import Classic, Family

X264 = Family("libx264", ("h264",), "h264")
X265 = Family("libx265", ("hevc",), "h265", smallest=16)
VP9 = Family("libvpx-vp9", ("vp9",), "vp9", whole=True)
AV1 = Family("libsvtav1", ("libdav1d", "av1"), "av1", knows_444=False, smallest=8)
MPEG2 = Family(
    "mpeg2video",
    ("mpeg2video",),
    "mpeg2",
    quality=("qmin", "qmax"),
    whole=True,
    knows_444=False,
    fixed_fps=Fraction(25),  # it refuses most others, and at a fixed quantizer none matters
)


def classic_codecs() -> list[Codec]:
    """Classic codecs, oldest format first.

    "x265-lowdelay" is the "no B frames" anchor of papers on learned codecs: `-tune zerolatency`,
    which also takes away x265's look-ahead, at preset slow. On three development clips slow needs
    12 to 20 % less than medium; veryslow, at a seventh of the speed, from 9 % less than slow to 3 %
    more.
    """
    crf, fine = (45.0, 40.0, 35.0, 30.0, 25.0), 20.0
    steps_of_6 = (46.0, 40.0, 34.0, 28.0, 22.0)
    av1 = (63.0, 56.0, 44.0, 32.0, 20.0)
    vp9 = (63.0, 54.0, 45.0, 36.0, 27.0)
    mpeg2 = (31.0, 16.0, 8.0, 4.0, 2.0)
    good = (("deadline", "good"), ("cpu-used", "1"), ("row-mt", "1"), ("b", "0"))
    fixed = (("g", "250"), ("bf", "2"), ("flags", "+qscale"))

    def x264(preset: str, *all_qualities: float) -> Classic:
        options = (("preset", preset),)
        qualities = all_qualities[:5]
        return Classic(f"x264-{preset}", f"x264 {preset}", X264, options, qualities, all_qualities)

    def x265(
        name: str, qualities: tuple[float, ...], all_qualities: tuple[float, ...], **options: str
    ) -> Classic:
        return Classic(
            f"x265-{name}", f"x265 {name}", X265, (*options.items(),), qualities, all_qualities
        )

    return [
        Classic("mpeg2", "MPEG-2", MPEG2, fixed, mpeg2, mpeg2),
        x264("veryfast", 41.0, 35.0, 29.0, 23.0),
        x264("medium", *crf, fine),
        x264("veryslow", *crf, fine),
        x265("lowdelay", crf, (*crf, fine), preset="slow", tune="zerolatency"),
        x265("medium", crf, (*crf, fine), preset="medium"),
        x265("veryslow", steps_of_6, steps_of_6, preset="veryslow"),
        Classic("vp9", "VP9", VP9, good, vp9, (*vp9, 18.0)),
        Classic("av1-p6", "SVT-AV1 preset 6", AV1, (("preset", "6"),), av1, av1),
        Classic("av1-p2", "SVT-AV1 preset 2", AV1, (("preset", "2"),), av1, av1),
    ]
