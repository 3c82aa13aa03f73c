"""The errors that wrong bytes raise, and the root of the project's one error tree."""

from __future__ import annotations


class CodecError(Exception):
    """Any failure the project reports on purpose.

    Attributes:
        exit_code: status with which a command line that meets this error exits.
        hint: what the user can do about it, or None.
    """

    exit_code: int = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class BitstreamError(CodecError):
    """The bytes are not a .dsz stream that can be decoded in full."""

    exit_code = 4


class NotDszError(BitstreamError):
    """The bytes do not begin with the signature."""


class UnsupportedVersionError(BitstreamError):
    """A .dsz stream of a version this reader does not know."""


class MalformedError(BitstreamError):
    """The bytes break a rule of the specification."""


class ChecksumError(BitstreamError):
    """A CRC does not match the bytes it covers."""


class TruncatedError(BitstreamError):
    """The stream ends before its end."""
