"""`dsaecodec models`: the weights that are here."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from dsaecodec.commands.console import print_json
from dsaecodec.model_store import DEFAULT_MODEL, ModelEntry, list_models


@dataclass(frozen=True)
class Request:
    """Arguments of `dsaecodec models`, as its --help explains them."""

    as_json: bool


def run(request: Request) -> int:
    """Print a line for each model."""
    models = list_models()
    if request.as_json:
        print_json([{**asdict(model), "path": str(model.path)} for model in models])
        return 0
    head = ("NAME", "IDENTITY", "SIZE", "PICTURES", "LICENCE", "STATUS", "WHERE")
    rows = [
        (
            m.name,
            m.identity or "-",
            f"{m.num_bytes / 1e6:.1f} MB",
            f"{m.side}x{m.side} RGB" if m.side else "any",
            m.licence,
            _status(m),
            str(m.path),
        )
        for m in models
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())
    for model in models:
        if model.problem is not None:
            print(f"{model.path} cannot be used: {model.problem}")
    return 0


def _status(model: ModelEntry) -> str:
    if model.superseded_by:
        return f"decodes; superseded by {model.superseded_by}"
    return "default" if model.shipped and model.name == DEFAULT_MODEL else "-"
