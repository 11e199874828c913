"""The stage: what it reports and publishes, stopped and gone on with, and which states it refuses."""

from pathlib import Path

import pytest
import torch

from vise_core.errors import BadCheckpoint, OtherRun, Stopped
from vise_core.formats.checkpoint import read_checkpoint_card
from vise_core.models.checkpoint import load_backbone, load_heads
from vise_core.pretrain.stage import run
from vise_core.reporter import LocalReporter
from vise_core.specs.compute import PretrainCompute
from vise_core.specs.pretrain import PretrainSpec
from vise_core.stage import run_stage

SPEC = PretrainSpec(
    backbone="resnet18",
    image_size=32,
    epochs=3,
    batch=8,
    base_lr=0.4,
    log_every=1,
    checkpoint_seconds=0.3,
    seed=11,
    compute=PretrainCompute(device="cpu"),
)  # 44 posts: 5 iterations an epoch


@pytest.mark.slow
def test_a_stopped_run_saves_its_state_and_goes_on(material, tmp_path: Path) -> None:
    reporter = LocalReporter(tmp_path / "artifacts", stop=True)
    with pytest.raises(Stopped, match="after iteration 1 of 15"):
        run(SPEC, material.inputs, tmp_path, reporter)
    assert sorted(p.name for p in (tmp_path / "state").iterdir()) == ["1-training.pt", "state.json"]
    assert "checkpoint" not in reporter.artifacts
    reporter.stop = False
    result = run(SPEC, material.inputs, tmp_path, reporter)
    assert "resuming from iteration 1 of 15" in reporter.messages
    assert sorted(reporter.curves["loss"]) == list(range(1, 16))

    assert (result.posts, result.iterations, result.backbone) == (44, 15, "resnet18")
    assert result.synthetic
    assert result.images_per_second > 0
    last = [reporter.curves["loss"][step] for step in range(11, 16)]
    assert result.final_loss == pytest.approx(sum(last) / 5)
    assert result.final_loss == pytest.approx(sum(result.final_losses.values()))
    checkpoint = reporter.artifacts["checkpoint"]
    card = read_checkpoint_card(checkpoint)
    assert card.spec == SPEC.model_dump(mode="json")
    assert (card.image_size, card.synthetic) == (32, True)
    assert load_backbone(checkpoint).name == "resnet18"
    assert {n: h.out_features for n, h in load_heads(checkpoint).items()} == {"comments": 7, "reactions": 5}


def test_a_state_of_another_spec_or_with_code_in_it_is_rejected(material, tmp_path: Path) -> None:
    reporter = LocalReporter(tmp_path / "artifacts", stop=True)
    with pytest.raises(Stopped):
        run_stage("pretrain", SPEC, material.inputs, tmp_path, reporter)
    other = SPEC.model_copy(update={"momentum": 0.5})
    with pytest.raises(OtherRun, match=r"spec\.momentum was 0\.9, now 0\.5"):
        run_stage("pretrain", other, material.inputs, tmp_path, reporter)
    torch.save({"payload": Path}, tmp_path / "state" / "1-training.pt")
    with pytest.raises(BadCheckpoint, match="not a saved state"):
        run(SPEC, material.inputs, tmp_path, reporter)


@pytest.mark.parametrize(("objective", "processes"), [("vise", 1), ("vise", 2), ("moco-v2", 1)])
@pytest.mark.slow
def test_excluded_posts_are_not_learnt_from(material, tmp_path: Path, objective: str, processes: int) -> None:
    (tmp_path / "ids.txt").write_text("post-3\npost-17\nnobody\n")
    inputs = material.inputs | {"exclude": tmp_path / "ids.txt"}
    if objective == "moco-v2":
        del inputs["labels"]
    spec = SPEC.model_copy(
        update={
            "objective": objective,
            "epochs": 1,
            "compute": PretrainCompute(device="cpu", processes=processes),
        }
    )
    reporter = LocalReporter(tmp_path / "artifacts")
    result = run_stage("pretrain", spec, inputs, tmp_path / "work", reporter)
    assert (result.posts, result.excluded, result.exclude_unmatched) == (42, 2, 1)
    assert "exclude" in result.provenance.inputs
    assert (
        "the input exclude names 3 posts; 2 of them are among these posts and left out" in reporter.messages
    )
