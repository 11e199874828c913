"""A prediction of the page as a curl command and as a Python script, ready to run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote
from uuid import UUID

import streamlit as st

from frontend.settings import public_api_url
from frontend.views.predict.image_panels import HeatStyle
from frontend.views.predict.requests import ImageResult
from vise_client.schemas.predictions import PredictionView
from vise_core.specs.explain import CamMethod, ColourMap

TOKEN = "VISE_TOKEN"
"""The environment variable from which the examples take the API token."""


@dataclass(frozen=True)
class ExampleRequest:
    """A prediction request.

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


def api_examples(results: Sequence[ImageResult], style: HeatStyle) -> None:
    """Draw the examples of one prediction, with a selection where there are several."""
    predictions = {
        (result.position, model_id): (result, prediction)
        for result in results
        for model_id, prediction in result.predictions.items()
        if isinstance(prediction, PredictionView)
    }
    if not predictions:
        return

    def title(place: tuple[int, UUID]) -> str:
        result, prediction = predictions[place]
        return f"{place[0] + 1}. {result.name}, {prediction.model.name}"

    with st.expander("API examples: curl and Python", icon=":material/terminal:"):
        place = next(iter(predictions))
        if len(predictions) > 1:
            place = st.selectbox("Prediction", list(predictions), format_func=title)
        result, prediction = predictions[place]
        request = ExampleRequest(
            url=public_api_url(),
            file=result.image.name if result.image else "image.jpg",
            model_id=prediction.model.id,
            method=prediction.method,
            target_class=prediction.target_class,
            strength=style.strength,
            colour_map=style.colour_map,
            sample=result.image.sample if result.image else None,
        )
        st.markdown(f"Both read an API token from `{TOKEN}`. Create one on the page Settings.")
        shell, python = st.tabs(["curl", "Python"])
        shell.code(curl_example(request), language="bash", wrap_lines=True)
        python.code(python_example(request), language="python", wrap_lines=True)


def curl_example(request: ExampleRequest) -> str:
    """Return commands for a POSIX shell; the token comes from the environment, so that no shell history contains it."""
    token = f'-H "Authorization: Bearer ${TOKEN}"'
    lines = []
    if request.sample is not None:
        artifact, path = request.sample
        address = f"{request.url}/api/v1/artifacts/{artifact}/content?file={quote(path, safe='')}"
        lines += [f"curl -sSf {shlex.quote(address)} \\", f"  {token} -o {shlex.quote(request.file)}"]
    # In quotes, curl does not read a comma or semicolon of the file's name as an option.
    escaped = request.file.replace("\\", "\\\\").replace('"', '\\"')
    image = shlex.quote(f'image=@"{escaped}"')
    fields = {
        "model_id": str(request.model_id),
        "method": request.method,
        "strength": f"{request.strength:g}",
        "colour_map": request.colour_map,
        "wait": "30",
    }
    if request.target_class is not None:
        fields["target_class"] = request.target_class
    lines += [
        f"curl -sS {shlex.quote(request.url + '/api/v1/predictions')} \\",
        f"  {token} \\",
        f"  -F {image} \\",
    ]
    # --form-string: curl does not read a class that begins with @ or < as the name of a file.
    strings = [f"  --form-string {shlex.quote(f'{name}={value}')}" for name, value in fields.items()]
    return "\n".join([*lines, " \\\n".join(strings)])


def python_example(request: ExampleRequest) -> str:
    """Return a script that needs only the package ``vise_client``."""
    options = {
        "model_id": str(request.model_id),
        "method": request.method,
        "target_class": request.target_class,
        "strength": request.strength,
        "colour_map": request.colour_map,
    }
    if request.sample is not None:
        artifact, path = request.sample
        image = f"vise.artifact_content({artifact!r}, {path!r})"
    else:
        image = f"Path({request.file!r}).read_bytes()"
    overlay = f"{PurePosixPath(request.file).stem}-overlay.png"
    arguments = ",\n        ".join(f"{k}={value!r}" for k, value in options.items() if value is not None)
    return f"""import base64
import os
from pathlib import Path

from vise_client.client import ViseClient

with ViseClient({request.url!r}, os.environ[{TOKEN!r}]) as vise:
    prediction = vise.predict(
        {image},
        {arguments},
    )
print(prediction.predicted, prediction.probabilities)
Path({overlay!r}).write_bytes(base64.b64decode(prediction.overlay_png))
"""
