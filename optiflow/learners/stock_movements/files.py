"""The model's files: JSON and plain arrays, never a pickle.

What belongs here: names and forms. What does not: what the arrays mean (`encodings`, `components`).
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optiflow.errors import UserError
from optiflow.learners.hyperparameters import Value
from optiflow.learners.stock_movements.components import Components
from optiflow.learners.stock_movements.encodings import Encodings
from optiflow.learners.stock_movements.usual import Usual

MODEL, WORDS, ARRAYS = "model.json", "encodings.json", "model.npz"
FORMAT = 1
_ENCODED = ("rarity", "times")
_USUAL = ("ranges", "middle", "inverse_spread")
_FITTED = ("mean", "scale", "axes", "centres")


@dataclass(frozen=True)
class Model:
    """A model as it was saved."""

    known: Encodings
    fitted: Components
    threshold: float


def save(folder: Path, known: Encodings, fitted: Components, threshold: float, parameters: Mapping[str, Value]) -> None:
    """Write the three files into `folder`."""
    import numpy as np

    arrays = {f"{group}.{name}": values for group in _ENCODED for name, values in getattr(known, group).items()}
    arrays |= {f"{group}.{name}": values for group in _USUAL for name, values in getattr(known.usual, group).items()}
    arrays |= {"typed": known.usual.typed} | {name: getattr(fitted, name) for name in _FITTED}
    facts = {
        "format": FORMAT,
        "threshold": threshold,
        "error_scale": fitted.error_scale,
        "distance_scale": fitted.distance_scale,
        "explained": fitted.explained,
        "rows": known.rows,
        "parameters": dict(parameters),
    }
    with (folder / ARRAYS).open("wb") as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
    (folder / WORDS).write_text(json.dumps(known.words, ensure_ascii=False), encoding="utf-8")
    (folder / MODEL).write_text(json.dumps(facts, indent=1), encoding="utf-8")


def load(folder: Path) -> Model:
    """Read a model.

    Raises:
        UserError: a file is missing or broken, or of another version.
    """
    import numpy as np

    try:
        facts = json.loads((folder / MODEL).read_text(encoding="utf-8"))
        words = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        with np.load(folder / ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"the model folder holds no model of stock movements ({error}): train again.") from error
    if facts.get("format") != FORMAT:
        raise UserError(f"the model has format {facts.get('format')}, this program reads {FORMAT}: train again.")
    groups: dict[str, Any] = {group: _group(arrays, group) for group in _ENCODED}
    usual = Usual(**{group: _group(arrays, group) for group in _USUAL}, typed=arrays["typed"])
    scales = (facts["error_scale"], facts["distance_scale"], facts["explained"])
    return Model(
        Encodings(words=words, usual=usual, rows=facts["rows"], **groups),
        Components(arrays["mean"], arrays["scale"], arrays["axes"], arrays["centres"], *scales),
        facts["threshold"],
    )


def _group(arrays: Mapping[str, Any], group: str) -> dict[str, Any]:
    return {name.partition(".")[2]: values for name, values in arrays.items() if name.startswith(f"{group}.")}
