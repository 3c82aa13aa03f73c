"""Examples that the help of each command ends with."""

from __future__ import annotations

ENCODE = """\
examples:
  dsaecodec encode clip.mp4                      clip.dsz beside it, quality 50
  dsaecodec encode clip.mp4 -o small.dsz -q 20   a small file
  dsaecodec encode clip.mp4 --target-size 2M     the best that fits into 2,000,000 bytes
  dsaecodec encode *.mp4 -o coded/ --jobs 4      a folder full, four at a time
  ffmpeg -i in.webm -f yuv4mpegpipe - | dsaecodec encode - -o out.dsz

With several inputs -o names a folder; a name that ends in / is made. A failure is reported and
the others go on; the exit code is then that of the first input that failed."""

DECODE = """\
examples:
  dsaecodec decode clip.dsz                      clip.decoded.mp4 beside it
  dsaecodec decode clip.dsz -o clip.mkv          exactly the decoded planes
  dsaecodec decode clip.dsz --start 1:02.5 --frames 50 -o part.mp4
  dsaecodec decode clip.dsz -o - | ffplay -

The whole file is checked before a frame is written; a part, or a pipe, as it is read."""

INFO = """\
examples:
  dsaecodec info clip.dsz
  dsaecodec info clip.dsz --json | jq .kbps"""

VERIFY = """\
examples:
  dsaecodec verify clip.dsz

The digest of the symbols is the same on every machine; that of the pixels may differ where
floating point does, by at most one grey level a sample."""

EVAL = """\
examples:
  dsaecodec eval clip.mp4 clip.dsz               decodes clip.dsz and compares
  dsaecodec eval clip.mp4 other.mp4 --per-frame --json"""

TRAIN = """\
examples:
  dsaecodec train --preset tiny -o tiny              from nothing, drawn characters, five minutes
  dsaecodec train --preset natural --data cams/ --init natural -o mycams
                                                     a codec for one's own footage
  dsaecodec train -o mycams --resume                 go on after a stop, Ctrl-C or a crash
  torchrun --nproc-per-node 2 -m dsaecodec train --preset natural --data d.safetensors -o big

The model is mycams/mycams.safetensors: dsaecodec encode clip.mp4 --model mycams/mycams.safetensors.
What the settings mean: docs/training.md."""

PACK = """\
examples:
  dsaecodec pack footage/ photos/ -o data.safetensors
  dsaecodec train --preset natural --data data.safetensors -o model"""

SWAP = """examples:
  dsaecodec swap ann.dsz bob.dsz -o ann_moves_as_bob.dsz"""

SAMPLE = """examples:
  dsaecodec sample --model sprites --frames 32 --seed 7 -o somebody.dsz
  dsaecodec sample --content ann.dsz -o ann_moves.dsz     her looks, any motion
  dsaecodec sample --dynamics ann.dsz -o walks.dsz        her motion, any looks"""

PREDICT = """examples:
  dsaecodec predict clip.dsz --frames 16 -o longer.dsz
  dsaecodec predict clip.dsz --missing 4-9 -o whole.dsz"""

MODELS = """\
examples:
  dsaecodec models
  dsaecodec encode clip.mp4 --model natural      a model by its name"""
