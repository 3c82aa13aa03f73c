"""A sound track's parameters as a stream of FFmpeg's, to decode or to mux its packets.

PyAV makes a stream of parameters only by copying one that it has read from a file. So the
parameters are written as the header of a Matroska file of one track (RFC 9559), and read back.
That says, beside the codec's own setup data, how many samples at the start are a delay.
"""

from __future__ import annotations

import io
import struct

import av

from bitstream.sound import SoundTrack
from dsaecodec.video.ebml import pack, pack_number

# FFmpeg's name of a codec → Matroska's. These are the codecs that sound is kept in as it is.
_NAMES = {
    "aac": "A_AAC",
    "ac3": "A_AC3",
    "alac": "A_ALAC",
    "dts": "A_DTS",
    "eac3": "A_EAC3",
    "flac": "A_FLAC",
    "mp2": "A_MPEG/L2",
    "mp3": "A_MPEG/L3",
    "opus": "A_OPUS",
    "vorbis": "A_VORBIS",
    "pcm_u8": "A_PCM/INT/LIT",
    "pcm_s16le": "A_PCM/INT/LIT",
    "pcm_s24le": "A_PCM/INT/LIT",
    "pcm_s32le": "A_PCM/INT/LIT",
    "pcm_s16be": "A_PCM/INT/BIG",
    "pcm_s24be": "A_PCM/INT/BIG",
    "pcm_s32be": "A_PCM/INT/BIG",
    "pcm_f32le": "A_PCM/FLOAT/IEEE",
    "pcm_f64le": "A_PCM/FLOAT/IEEE",
}
CODECS = tuple(_NAMES)

_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_FLAC_HEADER = b"fLaC\x80\x00\x00\x22"  # and 34 bytes of STREAMINFO, which alone FFmpeg keeps
_ALAC_ATOM_BYTES = 12  # length, "alac", version: FFmpeg keeps the atom of MP4 whole
_OPUS_HEADER_BYTES = 19
_SETUP_BYTES = {"flac": 34, "alac": 36}


def sample_bits(codec: str) -> int:
    """Bits of a sample of a PCM codec, 0 for any other."""
    return int("".join(c for c in codec if c.isdigit())) if codec.startswith("pcm_") else 0


def open_template(track: SoundTrack, padding: int = 0) -> av.AudioStream:
    """Make a stream that has a track's parameters and no packets.

    Args:
        track: the parameters.
        padding: samples at the start that are the encoder's delay.

    Raises:
        ValueError: the codec is none of `CODECS`, or its setup data make no sense.
    """
    if track.codec not in _NAMES:
        raise ValueError(f"sound codec {track.codec} is not known")
    if not _is_setup(track.codec, track.extradata):
        raise ValueError(f"sound codec {track.codec}: its setup data make no sense")
    try:
        container = av.open(io.BytesIO(_header(track, padding)), "r", format="matroska")
        stream = container.streams.audio[0]
        channels = stream.codec_context.layout.nb_channels
    except (av.FFmpegError, IndexError, AttributeError) as error:
        raise ValueError(f"sound codec {track.codec}: {error}") from error
    if not channels or stream.codec_context.codec.canonical_name != track.codec:
        raise ValueError(f"sound codec {track.codec}: its setup data make no sense")
    name_layout(stream)
    return stream


def name_layout(stream: av.AudioStream) -> None:
    """Say which loudspeakers the channels are for, where only their number is known."""
    context = stream.codec_context
    layout = context.layout
    if layout.name.endswith(" channels") and layout.nb_channels in _LAYOUTS:
        context.layout = _LAYOUTS[layout.nb_channels]


def _is_setup(codec: str, extradata: bytes) -> bool:
    """Whether setup data can be a codec's: what is built upon below; FFmpeg checks the rest."""
    if codec == "opus":
        return extradata.startswith(b"OpusHead") and len(extradata) >= _OPUS_HEADER_BYTES
    return len(extradata) == _SETUP_BYTES.get(codec, len(extradata))


def _header(track: SoundTrack, padding: int) -> bytes:
    setup = track.extradata
    if track.codec == "flac":
        setup = _FLAC_HEADER + setup
    elif track.codec == "alac":
        setup = setup[_ALAC_ATOM_BYTES:]
    audio = pack(0xB5, struct.pack(">d", track.sample_rate)) + pack_number(0x9F, track.channels)
    if sample_bits(track.codec):
        audio += pack_number(0x6264, sample_bits(track.codec))
    entry = [
        pack_number(0xD7, 1),  # track number
        pack_number(0x73C5, 1),  # its UID
        pack_number(0x83, 2),  # type: audio
        pack(0x86, _NAMES[track.codec].encode()),
        pack(0x63A2, setup) if setup else b"",  # CodecPrivate
        pack_number(0x56AA, round(padding * 10**9 / track.sample_rate)),  # CodecDelay
        pack(0xE1, audio),
    ]
    ebml = pack_number(0x4287, 4) + pack(0x4282, b"matroska") + pack_number(0x4285, 2)
    segment = (
        pack(0x1549A966, pack_number(0x2AD7B1, 10**6))  # Info: timestamps in ns
        + pack(0x1654AE6B, pack(0xAE, b"".join(entry)))  # Tracks
        + pack(0x1F43B675, pack_number(0xE7, 0))  # an empty Cluster, where reading may stop
    )
    return pack(0x1A45DFA3, ebml) + pack(0x18538067, segment)
