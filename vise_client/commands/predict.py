"""``vise predict``: the class of images, from the server's models or a predictor in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from .extras import require
from .output import say

if TYPE_CHECKING:
    from vise_core.specs.explain import CamMethod

OF_ONE_IMAGE = (413, 415, 422)
"""Statuses with which the API refuses one image: too large, of an unknown type, or damaged."""


def predict(
    images: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Image files.")],
    model: Annotated[str | None, typer.Option(help="Id of a model. Without: the default one.")] = None,
    method: Annotated[str, typer.Option(help="A class activation method, such as cam or gradcampp.")] = "cam",
    overlay: Annotated[
        Path | None, typer.Option(help="Folder to write pictures with the activation map to.")
    ] = None,
    predictor: Annotated[
        Path | None,
        typer.Option(help="Folder of a predictor that `vise run evaluate --local` made. Needs no server."),
    ] = None,
) -> None:
    """Predict the class of images, with a model of the server or a predictor in a folder.

    Exits with 1 where an image has no prediction.
    """
    if predictor is not None:
        if model is not None:
            raise typer.BadParameter("give --model or --predictor, not both", param_hint="--predictor")
        failed = _predict_locally(images, predictor, method, overlay)
    else:
        failed = _predict_on_server(images, model, method, overlay)
    if failed:
        say(f"{failed} of {len(images)} images have no prediction", err=True)
        raise typer.Exit(1)


def _predict_on_server(images: list[Path], model: str | None, method: str, overlay: Path | None) -> int:
    """Print the prediction of each image; return how many have none."""
    import base64
    from uuid import UUID

    from vise_client.errors import ApiError
    from vise_client.login import connect

    failed = 0
    with connect() as vise:
        for image in images:
            try:
                prediction = vise.predict(
                    image.read_bytes(),
                    model_id=UUID(model) if model else None,
                    method=cast("CamMethod", method),
                    overlay=overlay is not None,
                )
            except ApiError as error:
                if error.status not in OF_ONE_IMAGE:
                    raise
                _report_failure(image, error)
                failed += 1
                continue
            say(_ranked(image, prediction.probabilities))
            if overlay is not None and prediction.overlay_png:
                target = _overlay_path(overlay, image, prediction.target)
                target.write_bytes(base64.b64decode(prediction.overlay_png))
    return failed


def _predict_locally(images: list[Path], folder: Path, method: str, overlay: Path | None) -> int:
    """Print the prediction of each image; return how many have none."""
    require("core", "vise predict --predictor")
    from vise_core.errors import BadImage
    from vise_core.predict import Predictor
    from vise_core.specs.models.predict import PredictOptions

    predictor = Predictor.load(folder)
    options = PredictOptions.model_validate({"method": method})
    failed = 0
    for image in images:
        try:
            prediction = predictor.predict(image, options)
        except BadImage as error:
            _report_failure(image, error)
            failed += 1
            continue
        say(_ranked(image, prediction.probabilities))
        if overlay is not None:
            prediction.overlay.save(_overlay_path(overlay, image, prediction.target))
    return failed


def _report_failure(image: Path, error: Exception) -> None:
    say(f"{image}: no prediction: {error}", err=True)


def _overlay_path(folder: Path, image: Path, target: str | None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{image.stem}-{target}.png"


def _ranked(image: Path, probabilities: dict[str, float]) -> str:
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])
    return f"{image}: " + ", ".join(f"{name} {value:.1%}" for name, value in ranked)
