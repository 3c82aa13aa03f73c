"""The codecs that every table turns on."""

OURS = "dsaecodec"
ABLATION = "dsaecodec-first"
ANCHOR = "x264-medium"
