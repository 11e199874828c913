"""An untrained model, as the default one for predictions."""

from __future__ import annotations

from pathlib import Path

from backend.store.registry import artifacts
from backend.store.registry.tables import Model
from backend.store.runs.states.lease import claim_run
from vise_core.models.backbones import build_backbone
from vise_core.models.classifier import ImageClassifier, save_classifier
from vise_core.models.heads import linear_head
from vise_core.specs.tasks.catalogue import EMOTIONS

from .cluster import Cluster


def add_model(cluster: Cluster, folder: Path) -> None:
    """Register it under the name ``m``, made by a run that stays claimed."""
    backbone = build_backbone("resnet18", seed=0)
    classifier = ImageClassifier(backbone, linear_head(512, 6, seed=0), EMOTIONS, image_size=64)
    save_classifier(folder / "predictor", classifier, {"synthetic": True})
    manifest, sha256 = artifacts.upload(cluster.storage, folder / "predictor")
    run_id = cluster.create("ingest", spec={"source": {"kind": "sample"}})
    with cluster.sessions.begin() as db:
        claim = claim_run(db, run_id, "test", 3600)
        assert claim is not None
        artifacts.record(db, run_id, claim.token, "predictor", manifest, sha256, True)
        db.add(
            Model(
                name="m",
                run_id=run_id,
                artifact_id=artifacts.of_run(db, run_id, "predictor").id,
                headline={},
                synthetic=True,
                default=True,
                method="Random Init",
                task="none",
                backbone="resnet18",
                classes=list(EMOTIONS),
            )
        )
