"""What the page asked, as commands for a shell and for Python: they run as they stand."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote
from uuid import UUID

from vise_core.specs.explain import CamMethod, ColourMap

TOKEN = "VISE_TOKEN"


@dataclass(frozen=True)
class Question:
    """One question to a model.

    ``file`` is the image's name in the working folder; ``sample`` (artifact, path) where it comes from the server.
    """

    url: str
    file: str
    model_id: UUID
    method: CamMethod
    target_class: str | None
    strength: float
    colour_map: ColourMap
    sample: tuple[str, str] | None = None


def curl_call(asked: Question) -> str:
    """Commands for a POSIX shell. The token comes from the environment, so that it is in no history."""
    token = f'-H "Authorization: Bearer ${TOKEN}"'
    lines = []
    if asked.sample is not None:
        artifact, path = asked.sample
        address = f"{asked.url}/api/v1/artifacts/{artifact}/content?file={quote(path, safe='')}"
        lines += [f"curl -sSf {shlex.quote(address)} \\", f"  {token} -o {shlex.quote(asked.file)}"]
    # In quotes, a comma or semicolon in the file's name is no option of curl's.
    escaped = asked.file.replace("\\", "\\\\").replace('"', '\\"')
    image = shlex.quote(f'image=@"{escaped}"')
    fields = {
        "model_id": str(asked.model_id),
        "method": asked.method,
        "strength": f"{asked.strength:g}",
        "colour_map": asked.colour_map,
        "wait": "30",
    }
    if asked.target_class is not None:
        fields["target_class"] = asked.target_class
    lines += [
        f"curl -sS {shlex.quote(asked.url + '/api/v1/predictions')} \\",
        f"  {token} \\",
        f"  -F {image} \\",
    ]
    # --form-string: a class that begins with @ or < is no file.
    strings = [f"  --form-string {shlex.quote(f'{name}={value}')}" for name, value in fields.items()]
    return "\n".join([*lines, " \\\n".join(strings)])


def python_call(asked: Question) -> str:
    """A script that needs this package only."""
    options = {
        "model_id": str(asked.model_id),
        "method": asked.method,
        "target_class": asked.target_class,
        "strength": asked.strength,
        "colour_map": asked.colour_map,
    }
    if asked.sample is not None:
        artifact, path = asked.sample
        image = f"vise.artifact_content({artifact!r}, {path!r})"
    else:
        image = f"Path({asked.file!r}).read_bytes()"
    overlay = f"{PurePosixPath(asked.file).stem}-overlay.png"
    given = ",\n        ".join(f"{name}={value!r}" for name, value in options.items() if value is not None)
    return f"""import base64
import os
from pathlib import Path

from vise_client.client import ViseClient

with ViseClient({asked.url!r}, os.environ[{TOKEN!r}]) as vise:
    found = vise.predict(
        {image},
        {given},
    )
print(found.predicted, found.probabilities)
Path({overlay!r}).write_bytes(base64.b64decode(found.overlay_png))
"""
