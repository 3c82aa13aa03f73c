"""What is compared: each module is one family of codecs behind the interface of `rd.codec`."""
