"""What a training run is: model, data, stages. Read from TOML, changed by `--set key=value`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from dsaecodec.errors import ConfigError
from dsaecodec.model_io import LARGEST_SPATIAL, LARGEST_VECTOR
from dsaecodec.spatial.model import SpatialConfig
from dsaecodec.vector.model import DYNAMICS, PRODUCTS, VectorConfig

PRESETS = Path(__file__).parent / "presets"
FAMILIES = ("spatial", "vector")
DRAWN = ("", "characters", "balls", "layers")
PRECISIONS = ("auto", "float32", "bfloat16")
COMPILES = ("auto", "always", "never")
FINE_TUNE = "fine_tune"
ENCODED = ("planes", "hyper", "priors")  # stages that learn from shots that the encoder has coded
LIMIT = 1e12  # of any number
_Table = dict[str, Any]
_Config = TypeVar("_Config")


@dataclass(frozen=True)
class DataConfig:
    """What is learnt from, beside the paths that the user names.

    Attributes:
        drawn: a set that is drawn instead: characters, balls or layers; none if empty.
        num_drawn: how many clips of it.
        drawn_frames: their length.
        segment: long clips are cut into shots of at most so many frames.
        max_side: larger pictures are reduced by the smallest whole factor that fits, pixels.
        max_gigabytes: memory for pictures; of more footage, evenly spaced shots are kept.
        held_out: one shot in so many judges the training where no other clips are named.
    """

    drawn: str = ""
    num_drawn: int = 400
    drawn_frames: int = 24
    segment: int = 64
    max_side: int = 1280
    max_gigabytes: float = 4.0
    held_out: int = 10


@dataclass(frozen=True)
class ContentConfig:
    """First stage: f alone, on single pictures.

    Attributes:
        steps: how many.
        batch: crops a step, over all processes.
        size: height and width of a crop, pixels, a multiple of 16.
    """

    steps: int = 3000
    batch: int = 6
    size: int = 192


@dataclass(frozen=True)
class ClipsConfig:
    """Second stage: everything, on clips.

    Attributes:
        steps: how many.
        batch: clips a step, over all processes.
        size: height and width of a crop, pixels, a multiple of 16.
        num_frames: frames a clip, the previous GOP's content frame included.
        synthetic: share of clips that are made of moving photos, 0 to 1.
    """

    steps: int = 6000
    batch: int = 2
    size: int = 176
    num_frames: int = 12
    synthetic: float = 0.0


@dataclass(frozen=True)
class PlanesConfig:
    """Third stage: the filter of contents alone, on contents that the encoder chose.

    Attributes:
        steps: how many.
        batch: crops a step, over all processes.
        size: height and width of a crop, pixels, a multiple of 16.
        shots: as in `PriorsConfig`; each takes some 5 MB of memory.
        learning_rate: of the float networks.
    """

    steps: int = 0
    batch: int = 8
    size: int = 128
    shots: int = 100
    learning_rate: float = 5e-4


@dataclass(frozen=True)
class HyperConfig:
    """Fourth stage: the priors of contents alone, on contents that the encoder chose.

    Attributes:
        steps: how many.
        batch: contents a step, over all processes.
        shots: as in `PriorsConfig`; each takes some 5 MB of memory.
        learning_rate: as in `PriorsConfig`.
    """

    steps: int = 0
    batch: int = 2
    shots: int = 100
    learning_rate: float = 3e-4


@dataclass(frozen=True)
class PriorsConfig:
    """Last stage: the priors alone, on the symbols that the encoder really chooses.

    Attributes:
        steps: how many.
        batch: GOPs a step, over all processes.
        shots: how many shots are encoded for their symbols; where there are fewer, some again.
        learning_rate: of the float networks' scale, see `optimizer.parameter_groups`.
    """

    steps: int = 1200
    batch: int = 2
    shots: int = 100
    learning_rate: float = 2e-4


@dataclass(frozen=True)
class SketchConfig:
    """First stage of a vector model: latents and pictures, under static priors.

    Attributes:
        steps: how many.
        batch: clips a step, over all processes.
        num_frames: frames a clip.
        bit: squared error that a bit a frame is worth in the end.
    """

    steps: int = 6000
    batch: int = 24
    num_frames: int = 8
    bit: float = 1.0


@dataclass(frozen=True)
class SequencesConfig:
    """Second stage of a vector model: everything, on clips.

    Attributes:
        steps: how many.
        batch: clips a step, over all processes.
        num_frames: frames of the longest clips; the shortest have half as many.
        learning_rate: of the float networks in this stage.
        bit: squared error that a bit a frame is worth, at quality 50.
    """

    steps: int = 6000
    batch: int = 16
    num_frames: int = 16
    learning_rate: float = 1e-3
    bit: float = 1.0


@dataclass(frozen=True)
class CodingConfig:
    """Last stage of a vector model: its priors alone, on rounded latents.

    Attributes:
        steps: how many.
        batch: clips a step, over all processes.
        num_frames: frames of the longest clips; the shortest have half as many.
        learning_rate: the exact layers move at a fixed share of it.
    """

    steps: int = 3000
    batch: int = 48
    num_frames: int = 32
    learning_rate: float = 5e-3


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        description: one line about the model it makes.
        family: of the model, spatial or vector: which of the parts below count.
        seed: of everything random.
        learning_rate: of the float networks; the others follow by fixed ratios.
        precision: of the float networks: bfloat16, float32, or auto (bfloat16 on a GPU).
        compile: compile the float networks: always, never, or auto (on a GPU).
        judge_minutes: time between two looks at the held-out clips.
        data: what is learnt from.
        model, content, clips, planes, hyper, priors: shape and stages of a spatial model.
        vector, sketch, sequences, coding: shape and stages of a vector model.
    """

    description: str = ""
    family: str = "spatial"
    seed: int = 1
    learning_rate: float = 5e-4
    precision: str = "auto"
    compile: str = "auto"
    judge_minutes: float = 5.0
    model: SpatialConfig = field(default_factory=SpatialConfig)
    data: DataConfig = field(default_factory=DataConfig)
    content: ContentConfig = field(default_factory=ContentConfig)
    clips: ClipsConfig = field(default_factory=ClipsConfig)
    planes: PlanesConfig = field(default_factory=PlanesConfig)
    hyper: HyperConfig = field(default_factory=HyperConfig)
    priors: PriorsConfig = field(default_factory=PriorsConfig)
    vector: VectorConfig = field(default_factory=VectorConfig)
    sketch: SketchConfig = field(default_factory=SketchConfig)
    sequences: SequencesConfig = field(default_factory=SequencesConfig)
    coding: CodingConfig = field(default_factory=CodingConfig)

    @property
    def is_vector(self) -> bool:
        """Whether a vector model is trained."""
        return self.family == "vector"

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages that have steps, in their order."""
        names: tuple[str, ...] = ("content", "clips", "planes", "hyper", "priors")
        if self.is_vector:
            names = ("sketch", "sequences", "coding")
        return tuple(name for name in names if getattr(self, name).steps)

    def __post_init__(self) -> None:
        _check(self)

    def to_table(self) -> _Table:
        """The same as nested tables of plain values."""
        return asdict(self)

    @classmethod
    def from_table(cls, table: _Table) -> TrainConfig:
        """Inverse of `to_table`; what a table leaves out has its default.

        Raises:
            ConfigError: an unknown key, a wrong type, a value that makes no sense.
        """
        return _build(cls, table, "")


def preset_names() -> list[str]:
    """The presets that are shipped."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_config(preset: str, *, fine_tune: bool, overrides: Iterable[str] = ()) -> TrainConfig:
    """Read a preset.

    Args:
        preset: a name of `preset_names`, or the path of a TOML file of one's own.
        fine_tune: training starts from a model, so the table [fine_tune] overrides the others.
        overrides: "key=value" each, the key dotted as in "clips.steps=100".

    Raises:
        ConfigError: no such preset, or it is wrong.
    """
    path = PRESETS / f"{preset}.toml" if preset in preset_names() else Path(preset)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"preset {preset}: {error.strerror}", hint=f"presets: {', '.join(preset_names())}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error
    tuned = table.pop(FINE_TUNE, {})
    if not isinstance(tuned, dict):
        raise ConfigError(f"{path}: {FINE_TUNE} is no table")
    if fine_tune:
        _merge(table, tuned)
    for override in overrides:
        _merge(table, _parse_override(override))
    return TrainConfig.from_table(table)


def differences(a: TrainConfig, b: TrainConfig) -> list[str]:
    """The keys whose values differ: "clips.steps: 100, 200"."""
    one, other = (dict(_flatten(config.to_table())) for config in (a, b))
    return [f"{key}: {one[key]}, {other[key]}" for key in one if one[key] != other[key]]


def _flatten(table: _Table, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _parse_override(text: str) -> _Table:
    key, equals, value = text.partition("=")
    if not equals or not all(key.strip().split(".")):
        raise ConfigError(f"--set {text}: expected key=value, as clips.steps=100")
    try:
        (parsed,) = tomllib.loads(f"value = {value}").values()
    except (ValueError, RecursionError):
        parsed = value.strip()  # a word without quotes
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    table: _Table = parsed
    return table


def _merge(table: _Table, other: _Table) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(table.get(key), dict):
            _merge(table[key], value)
        else:
            table[key] = value


def _build(cls: type[_Config], table: Any, where: str) -> _Config:
    if not isinstance(table, dict):
        raise ConfigError(f"{where[:-1] or 'configuration'}: expected a table")
    hints = get_type_hints(cls)
    unknown = sorted(set(table) - set(hints))
    if unknown:
        known = ", ".join(where + name for name in hints)
        raise ConfigError(f"{where}{unknown[0]}: no such key", hint=f"keys: {known}")
    values = {}
    for name, value in table.items():
        kind = hints[name]
        if isinstance(kind, type) and is_dataclass(kind):
            value = _build(kind, value, f"{where}{name}.")
        elif kind is float and type(value) is int:
            value = float(value)
        elif type(value) is not kind:
            raise ConfigError(f"{where}{name} = {value!r}: expected {kind.__name__}")
        values[name] = value
    return cls(**values)


_AT_LEAST = {
    "data.num_drawn": 2,
    "data.drawn_frames": 1,
    "data.segment": 2,
    "data.max_side": 16,
    "data.held_out": 2,
    "content.batch": 1,
    "content.size": 16,
    "clips.batch": 1,
    "clips.size": 32,
    "clips.num_frames": 3,
    "planes.batch": 1,
    "planes.size": 16,
    "planes.shots": 1,
    "hyper.batch": 1,
    "hyper.shots": 1,
    "priors.batch": 1,
    "priors.shots": 1,
    "model.hyper_channels": 1,
    "model.residual_luma": 1,
    "model.residual_chroma": 1,
    "vector.size": 8,
    "vector.z_channels": 1,
    "vector.rank": 1,
    "vector.f_width": 1,
    "vector.z_width": 1,
    "vector.hidden": 1,
    "sketch.batch": 1,
    "sketch.num_frames": 1,
    "sequences.batch": 1,
    "sequences.num_frames": 2,
    "coding.batch": 1,
    "coding.num_frames": 2,
}


def _check(config: TrainConfig) -> None:
    values = dict(_flatten(config.to_table()))
    for key, value in values.items():
        least = _AT_LEAST.get(key, 0)
        if isinstance(value, int | float) and not least <= value < LIMIT:  # catches NaN
            raise ConfigError(f"{key} = {value}: expected {least} or more, below {LIMIT:g}")
    for name in ("content.size", "clips.size", "planes.size"):
        if values[name] % 16:
            raise ConfigError(f"{name} = {values[name]}: expected a multiple of 16")
    choices = {
        "family": FAMILIES,
        "vector.dynamics": DYNAMICS,
        "vector.products": PRODUCTS,
        "data.drawn": DRAWN,
        "precision": PRECISIONS,
        "compile": COMPILES,
    }
    for name, allowed in choices.items():
        if values[name] not in allowed:
            raise ConfigError(f"{name} = {values[name]!r}: expected one of {', '.join(allowed)}")
    limits = {
        f"model.{key.name}": LARGEST_SPATIAL.get(key.name, 1) for key in fields(SpatialConfig)
    }
    limits |= {f"vector.{name}": most for name, most in LARGEST_VECTOR.items()}
    limits["vector.full_posterior"] = 1
    for name, most in limits.items():
        if values[name] > most:
            raise ConfigError(f"{name} = {values[name]}: expected at most {most}")
    if not config.vector.f_channels and not config.vector.coded_channels:
        raise ConfigError(
            f"vector.f_channels = 0, vector.dynamics = {config.vector.dynamics}: nothing is sent"
        )
    if config.vector.fault:
        raise ConfigError(f"vector.{config.vector.fault}")
    if config.clips.synthetic > 1:
        raise ConfigError(f"clips.synthetic = {config.clips.synthetic}: expected 0 to 1")
