"""Every failure dsaecodec reports on purpose, and the exit code each one owns.

    CodecError              1   base class; itself never raised for a user's mistake
    ├── UsageError          2   the request makes no sense (bad option, stdin that is a terminal)
    ├── ConfigError         2   a configuration file or value is wrong
    ├── OutputError         2   the output cannot be written: exists, no such folder, disk full
    ├── InputVideoError     3   the input video is missing, unreadable or damaged
    ├── BitstreamError      4   the .dsz bytes are wrong (subclasses: see `bitstream.errors`)
    │   └── LimitError      4   they are not, but ask for more than is allowed
    ├── ModelError          5   weights are missing, damaged or not the stream's
    └── VerificationError   6   a stream decodes, but not to what was expected

An output that cannot be written counts as usage: the command line named it, and another one helps.
So does memory that runs out.
"""

from __future__ import annotations

from bitstream.errors import BitstreamError, CodecError

__all__ = [
    "BitstreamError",
    "CodecError",
    "ConfigError",
    "InputVideoError",
    "LimitError",
    "ModelError",
    "OutputError",
    "UsageError",
    "VerificationError",
]


class UsageError(CodecError):
    """The command or call makes no sense as given."""

    exit_code = 2


class ConfigError(CodecError):
    """A configuration file or value is wrong."""

    exit_code = 2


class OutputError(CodecError):
    """The output cannot be written."""

    exit_code = 2


class InputVideoError(CodecError):
    """The input video is missing, unreadable or damaged."""

    exit_code = 3


class LimitError(BitstreamError):
    """A stream asks for more pixels, frames or memory than is allowed, see `limits`."""


class ModelError(CodecError):
    """Weights are missing, damaged or not those the stream names."""

    exit_code = 5


class VerificationError(CodecError):
    """A stream decodes, but not to what was expected."""

    exit_code = 6
