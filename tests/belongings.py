"""Things that a user has made, as rows, for tests of what others may change."""

from uuid import uuid4

from sqlalchemy.orm import Session

from backend.store.accounts import users
from backend.store.registry.tables import Artifact, Model
from backend.store.reports.tables import Ablation
from backend.store.runs.create import create_run
from backend.store.serving.tables import Prediction
from vise_client.schemas.launch import RunCreate

SAMPLE = RunCreate(stage="ingest", spec={"source": {"kind": "sample"}})


def belongings(db: Session, email: str) -> dict[str, str]:
    """One thing of each kind that a user has made: name in a path → id."""
    user = users.find_user(db, email)
    assert user is not None
    run = create_run(db, SAMPLE, user.id)
    artifact = Artifact(
        run_id=run.id, name="predictor", sha256="0" * 64, size=1, files=1, folder=False, manifest=[]
    )
    db.add(artifact)
    db.flush()
    model = Model(
        name=str(uuid4()), run_id=run.id, artifact_id=artifact.id, method="VisE", task="t", backbone="b",
        classes=["a", "b"], headline={}, synthetic=True,
    )  # fmt: skip
    ablation = Ablation(name=str(uuid4()), kind="pretext", baseline_id=run.id, changes=[], created_by=user.id)
    db.add_all([model, ablation])
    db.flush()
    prediction = Prediction(
        model_id=model.id, created_by=user.id, state="succeeded", options={}, predicted="a"
    )
    db.add(prediction)
    db.flush()
    return {
        "run_id": str(run.id),
        "model_id": str(model.id),
        "ablation_id": str(ablation.id),
        "prediction_id": str(prediction.id),
    }
