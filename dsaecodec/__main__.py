"""`python -m dsaecodec`."""

from __future__ import annotations

from dsaecodec.cli import program

if __name__ == "__main__":
    program()
