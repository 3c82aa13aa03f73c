"""Mutated streams: nothing but a CodecError ever comes of them."""
