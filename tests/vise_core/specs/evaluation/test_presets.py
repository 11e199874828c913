"""Presets and recipes of the task with texts."""

import pytest

from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.evaluation.presets import MULTIMODAL, evaluation
from vise_core.specs.recipes.recipe import possible_steps
from vise_core.specs.recipes.registry import RECIPES
from vise_core.specs.stages import STAGES


def judged(name: str) -> list[EvaluateSpec]:
    steps = RECIPES[name].steps.values()
    return [EvaluateSpec.model_validate(step.spec) for step in steps if step.stage == "evaluate"]


def test_every_setup_of_the_paper_has_a_preset():
    specs = [EvaluateSpec.model_validate(preset) for preset in STAGES["evaluate"].presets.values()]
    found = [(spec.setup, spec.protocol, spec.batch) for spec in specs if spec.task.kind == "hateful_memes"]
    assert sorted(found) == sorted(
        (setup, protocol, batch)
        for setup, protocol in MULTIMODAL
        for batch in ((64,) if setup == "text" else (64, 32, 16))
    )
    assert {spec.setup for spec in specs if spec.task.kind != "hateful_memes"} == {"image"}
    main = STAGES["evaluate"].presets["Hateful Memes, image + frozen text, fine-tuned"]
    assert (main["setup"], main["optimizer"]) == ("image+text-frozen", "adamw")


@pytest.mark.parametrize(("setup", "protocol"), MULTIMODAL)
def test_what_reads_texts_is_trained_with_adamw(setup, protocol):
    spec = EvaluateSpec.model_validate(evaluation("hateful_memes", protocol, "resnet101", setup))
    assert spec.optimizer == ("sgd" if setup == "image" else "adamw")
    assert (spec.batch, spec.epochs, spec.milestones, spec.gamma) == (32, 30, (20,), 0.5)
    assert spec.trains_text == (setup in ("image+text", "text") and protocol == "fine-tuned")


def test_the_papers_other_studies_judge_memes_with_their_texts_frozen():
    """Sec. 4.3: Tables 3, 6, 7 and Figs. 3-5 concatenate both features."""
    names = [name for name in RECIPES if name != "sample" and not name.endswith(("moco", "multimodal"))]
    for name in names:
        setups = {spec.setup for spec in judged(name) if spec.task.kind == "hateful_memes"}
        assert setups <= {"image+text-frozen"}, name
    assert any(spec.setup == "image+text-frozen" for spec in judged("ablation-tables"))


def test_the_recipe_of_figure_6_has_every_setup_of_every_method():
    for name in ("ablation-multimodal", "sample-multimodal"):
        specs = judged(name)
        methods = {"Random Init", "VisE-1.2M"} | ({"IN-Sup"} if name.startswith("ablation") else set())
        for setup, protocol in MULTIMODAL:
            wanted = {"Text Only"} if setup == "text" else methods
            found = [s.method for s in specs if (s.setup, s.protocol) == (setup, protocol)]
            assert sorted(found) == sorted(wanted), (name, setup, protocol)


def test_without_a_text_encoder_the_papers_recipe_does_what_needs_none():
    recipe = RECIPES["ablation-multimodal"]
    assert {name: given.required for name, given in recipe.given.items()} == {
        "posts": True, "hateful_memes": False, "text_encoder": False,
    }  # fmt: skip
    steps = possible_steps(recipe, ["posts", "hateful_memes"])
    setups = {step.spec.get("setup", "image") for step in steps.values() if step.stage == "evaluate"}
    assert setups == {"image"}
    whole = possible_steps(recipe, ["posts", "hateful_memes", "text_encoder"])
    assert len(whole) == len(recipe.steps)
    assert not RECIPES["sample-multimodal"].given, "a sample takes the packaged encoder"
