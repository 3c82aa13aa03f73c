"""The limits of the format's versions, each stated in docs/bitstream.md."""

from __future__ import annotations

VERSION = 2
"""The version that is written for YUV 4:2:0."""

RGB_VERSION = 3
"""The version that is written for RGB."""

VERSIONS = (1, 2, 3)
"""The versions that are read."""

MAX_SIDE = 1 << 14
"""Largest width and largest height, pixels."""

MAX_PIXELS = 1 << 27
"""Largest width times height."""

MAX_RATE = 1 << 31
"""Largest numerator and largest denominator of the frame rate."""

MAX_ASPECT = 1 << 16
"""Largest numerator and largest denominator of the sample aspect ratio."""

MAX_QUALITY = 100

MAX_GOP_FRAMES = 128

MAX_PREDICTED = 260
"""Most GOPs in a row whose contents are predicted, each from the one before."""

MAX_FRAMES = 1 << 31
"""Most frames, and so most GOPs, of a stream."""

MAX_RECORD_BYTES = 1 << 26
"""Longest payload of a record."""

MAX_CODER_BYTES = MAX_RECORD_BYTES - 2
"""Longest output of one symbol coder: a record's payload less its two leading bytes."""

MATRICES = frozenset({0, 1, 2, 5, 6, 9})
"""Legal matrix coefficients, codes of ITU-T H.273; 0: the planes are green, blue and red."""

MIN_INDEXED_GOPS = 9
"""Fewest GOPs of a stream that has an index; with as many it must have one."""

TICKS_PER_SECOND = 90_000
"""Unit of a stream's times."""

MAX_TIME = (1 << 53) - 1
"""Latest start of a GOP in ticks, and of a sound packet in samples."""

MAX_FRAME_TICKS = 1 << 40
"""Longest duration of a frame that has a time."""

MAX_CODEC_NAME = 32
"""Longest name of a sound codec, characters."""

MAX_SAMPLE_RATE = 1 << 20
"""Most sound samples a second."""

MAX_CHANNELS = 255

MAX_EXTRADATA_BYTES = 1 << 16
"""Longest setup data of a sound codec."""

MAX_PACKET_SAMPLES = 1 << 31
"""Longest duration of a sound packet."""

MAX_PACKET_BYTES = MAX_RECORD_BYTES - 17
"""Largest sound packet: it fits into a record whatever its start and duration."""

MAX_GOP_PACKETS = 1 << 20
"""Most sound packets of a GOP: what a reader builds stays in proportion to what it reads."""
