"""The command line with the fake codec, as a program; its worker processes import it too."""

from __future__ import annotations

import sys

from dsaecodec import model_store
from dsaecodec.cli import program
from tests.cli.fake_codec import Engine, module_of

engine = Engine()
sys.modules["dsaecodec.codec"] = module_of(engine)
model_store.find_model = engine.find_model  # type: ignore[assignment]

if __name__ == "__main__":
    program()
