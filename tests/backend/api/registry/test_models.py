"""The registry: what a model comes from, its card, and its files as one download."""

import hashlib
import io
import json
import tarfile
from uuid import UUID, uuid4

import pytest

from backend.api.app import PREFIX
from backend.store.accounts import users
from backend.store.database import connect, session_factory
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Artifact, DatasetRead
from backend.store.runs.tables import Run

DELETED = "Spring folder"
FILES = {"model.safetensors": b"weights, as it were", "predictor.json": b'{"format": "vise-predictor-1"}'}


def keep(
    db, *, stage: str, name: str, artifact: str, inputs=None, result=None, manifest=(), synthetic=True
) -> Run:
    """A succeeded run with one artifact, as a worker would have left it."""
    run = Run(
        kind="stage",
        stage=stage,
        name=name,
        state="succeeded",
        queue="cpu",
        spec={},
        inputs=inputs or {},
        depends_on=[UUID(ref["run"]) for ref in (inputs or {}).values()],
        result=result or {},
        headline={"test_accuracy": 71.25},
        synthetic=synthetic,
    )
    db.add(run)
    db.flush()
    size = sum(row["size"] for row in manifest)
    db.add(
        Artifact(
            run_id=run.id,
            name=artifact,
            sha256="0" * 64,
            size=size,
            files=2,
            folder=True,
            manifest=list(manifest),
        )
    )
    return run


@pytest.fixture
def evaluation(settings, tmp_path) -> str:
    """posts → pretraining → evaluation, its predictor's files in storage."""
    storage = Storage(settings.storage_url)
    manifest = []
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        storage.put(tmp_path / name, sha256)
        manifest.append({"path": name, "sha256": sha256, "size": len(content)})
    result = {
        "method": "VisE *new*",
        "task": "Emotion <b>",
        "backbone": "resnet50",
        "classes": ["joy", "fear"],
        "protocol": "linear",
        "features": "augmented",
        "weights": "in-sup",
        "weights_licence": "BSD-3-Clause",
        "weights_trained_on": "ImageNet-1K",
        "metric": "accuracy",
        "val_mean": 70.0,
        "val_std": None,
        "test_mean": 71.25,
        "test_std": 2.0,
        "splits": [{}] * 5,
        "provenance": {"git_commit": "0123456789abcdef"},
    }
    engine = connect(settings.database_url)
    with session_factory(engine).begin() as db:
        posts = keep(db, stage="ingest", name="Spring posts", artifact="posts")
        # Of a data set that has been deleted since.
        db.add(DatasetRead(run_id=posts.id, role="source", dataset_id=uuid4(), name=DELETED))
        from_posts = {"posts": {"run": str(posts.id), "artifact": "posts"}}
        pretrain = keep(db, stage="pretrain", name="Pretrain VisE", artifact="checkpoint", inputs=from_posts)
        run = keep(
            db,
            stage="evaluate",
            name="Evaluate",
            artifact="predictor",
            inputs={"checkpoint": {"run": str(pretrain.id), "artifact": "checkpoint"}},
            result=result,
            manifest=manifest,
        )
        owner = users.find_user(db, "editor@example.org")
        assert owner is not None
        run.created_by = owner.id
        run_id = str(run.id)
    engine.dispose()
    return run_id


def register(api, run_id: str, name: str = "My model", **body) -> dict:
    response = api.post(f"{PREFIX}/models", json={"run_id": run_id, "name": name, **body})
    assert response.status_code == 201, response.text
    return response.json()


def test_every_response_names_the_deleted_data_sets_that_a_model_was_made_from(editor, evaluation) -> None:
    model = register(editor, evaluation)
    url = f"{PREFIX}/models/{model['id']}"
    image = {"image": ("a.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(200))}
    queued = editor.post(f"{PREFIX}/predictions", files=image, data={"wait": "0", "model_id": model["id"]})
    prediction = editor.get(f"{PREFIX}/predictions/{queued.json()['id']}")
    responses = {
        "POST": model,
        "PATCH": editor.patch(url, json={"name": "renamed"}).json(),
        "GET": editor.get(url).json(),
        "list": editor.get(f"{PREFIX}/models").json()[0],
        "POST of a prediction": queued.json()["model"],
        "GET of a prediction": prediction.json()["model"],
    }
    assert {name: body["deleted_inputs"] for name, body in responses.items()} == {
        name: [DELETED] for name in responses
    }


def test_the_card_tells_origin_numbers_limits_and_licence(editor, evaluation) -> None:
    model = register(editor, evaluation)
    card = editor.get(f"{PREFIX}/models/{model['id']}/card").json()
    assert [(s["role"], s["name"], s["depth"]) for s in card["facts"]["lineage"]] == [
        ("checkpoint", "Pretrain VisE", 1),
        ("posts", "Spring posts", 2),
    ]
    text = card["markdown"]
    for expected in (
        "# My model",
        "**Synthetic data.**",
        "| accuracy | 70.00 % | 71.25 ± 2.00 % |",
        "Over 5 splits",
        "trained on: ImageNet-1K",
        "BSD-3-Clause",
        "## Use and limits",
        "only the head was trained on it",
        evaluation,
    ):
        assert expected in text, expected
    # What people chose as names is text, never markup.
    assert "VisE \\*new\\*" in text
    assert "<b>" not in text.replace("\\<b\\>", "")


def test_the_download_holds_weights_card_and_description_under_the_models_name(editor, evaluation) -> None:
    model = register(editor, evaluation, "../Ünsafe name")
    response = editor.get(f"{PREFIX}/models/{model['id']}/download")
    assert response.status_code == 200
    assert response.headers["content-disposition"] == 'attachment; filename="nsafe-name.tar"'
    with tarfile.open(fileobj=io.BytesIO(response.content)) as tar:
        read = {member.name: tar.extractfile(member).read() for member in tar}
    assert set(read) == {"nsafe-name/README.md", "nsafe-name/model.safetensors", "nsafe-name/predictor.json"}
    assert read["nsafe-name/model.safetensors"] == FILES["model.safetensors"]
    assert json.loads(read["nsafe-name/predictor.json"])["format"] == "vise-predictor-1"
    assert read["nsafe-name/README.md"].decode().startswith("# ../Ünsafe name")


def test_files_that_storage_lost_are_a_problem_and_not_half_a_download(
    editor, evaluation, settings, tmp_path
) -> None:
    model = register(editor, evaluation)
    Storage(settings.storage_url).delete(hashlib.sha256(FILES["model.safetensors"]).hexdigest())
    assert editor.get(f"{PREFIX}/models/{model['id']}/download").status_code == 410


def test_models_are_searched_and_paged_with_the_default_first(editor, evaluation) -> None:
    names = ["one", "two", "three"]
    for name in names:
        register(editor, evaluation, name, default=name == "one")

    def found(**query):
        return [model["name"] for model in editor.get(f"{PREFIX}/models", params=query).json()]

    assert found() == ["one", "three", "two"]
    assert found(limit=1, offset=1) == ["three"]
    assert found(search="TW") == ["two"]
    assert found(search="resnet50", task="Emotion <b>") == ["one", "three", "two"]
    assert found(task="Politics") == []


def test_rename_default_and_delete(api, editor, evaluation, tokens) -> None:
    first, second = (
        register(editor, evaluation, "first", default=True),
        register(editor, evaluation, "second"),
    )
    taken = editor.patch(f"{PREFIX}/models/{second['id']}", json={"name": "first"})
    assert taken.status_code == 409
    changed = editor.patch(f"{PREFIX}/models/{second['id']}", json={"name": "third", "default": True}).json()
    assert (changed["name"], changed["default"]) == ("third", True)
    assert not editor.get(f"{PREFIX}/models/{first['id']}").json()["default"]
    assert editor.delete(f"{PREFIX}/models/{first['id']}").status_code == 403
    admin = {"Authorization": f"Bearer {tokens['admin']}"}
    assert api.delete(f"{PREFIX}/models/{first['id']}", headers=admin).status_code == 204
    assert editor.get(f"{PREFIX}/models/{first['id']}/card").status_code == 404
