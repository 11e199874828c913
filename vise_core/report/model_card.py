"""Write the model card of a registered model: contents, scores, lineage, limits and licence."""

from __future__ import annotations

from vise_core.escaping import markdown_escape
from vise_core.specs.reports.model_card import CardMetric, LineageStep, ModelFacts
from vise_core.specs.tasks.metrics import METRICS, format_metric


def model_card(facts: ModelFacts) -> str:
    """Return the card as Markdown. Names that users chose are escaped."""
    name = markdown_escape(facts.name)
    classes = ", ".join(markdown_escape(each) for each in facts.classes[:50])
    more = f" and {len(facts.classes) - 50} more" if len(facts.classes) > 50 else ""
    lines = [f"# {name}", ""]
    if facts.synthetic:
        lines += [
            "> **Synthetic data.** This model was made from generated sample data. It shows that the system works; "
            "its numbers say nothing about the world.",
            "",
        ]
    lines += [
        "## What it is",
        "",
        f"An image classifier for {markdown_escape(facts.task)}: a {markdown_escape(facts.backbone)} backbone "
        f"({facts.parameters / 1e6:.1f} M weights) with a linear head, {markdown_escape(facts.method)}, "
        f"{facts.protocol} protocol, {facts.features} features.",
        "",
        f"Classes ({len(facts.classes)}): {classes}{more}.",
        "",
        "Files: `model.safetensors` (`backbone.*`, `head.weight`, `head.bias`), `predictor.json` (input size, mean, "
        "std, classes). Load with `vise_core.predict.Predictor.load(folder)`.",
        "",
        "## How good it is",
        "",
        "| metric | val | test |",
        "|---|---|---|",
        *(_row(metric) for metric in facts.metrics),
        "",
        f"Over {facts.splits} split{'s' if facts.splits != 1 else ''}; ± is the sample standard deviation (ddof 1). "
        "Hyper-parameters were chosen on val. The weights in this folder are those of split 0.",
    ]
    if facts.integrity:
        lines += ["", f"Integrity checks of the evaluation: {facts.integrity}."]
    lines += ["", "## What it was made from", ""]
    lines += [_step(step) for step in facts.lineage] or ["Nothing that is still on record."]
    lines += [
        "",
        _origin(facts),
        "",
        "## Use and limits",
        "",
        *_limits(facts),
        "",
        "## Licence",
        "",
        _licence(facts),
        "",
    ]
    commit = f", code {facts.git_commit[:12]}" if facts.git_commit else ""
    lines += [f"Made by run {facts.run} on {facts.created}{commit}.", ""]
    return "\n".join(lines)


def _row(metric: CardMetric) -> str:
    title = METRICS[metric.name].title if metric.name in METRICS else metric.name

    def cell(mean: float | None, std: float | None) -> str:
        return "–" if mean is None else format_metric(metric.name, mean, std).removeprefix(f"{title} ")

    return (
        f"| {title} | {cell(metric.val_mean, metric.val_std)} | {cell(metric.test_mean, metric.test_std)} |"
    )


def _step(step: LineageStep) -> str:
    made = f"{step.stage} run" if step.kind == "run" else "data set"
    mark = " *(synthetic)*" if step.synthetic else ""
    indent = "  " * (step.depth - 1)
    return f"{indent}- {markdown_escape(step.role)}: {markdown_escape(step.name)}, {made} `{step.id}`{mark}"


def _origin(facts: ModelFacts) -> str:
    if facts.weights == "random":
        return "The backbone started from random weights."
    if facts.trained_on:
        return f"The backbone's weights ({markdown_escape(facts.weights)}) are published ones, trained on: {markdown_escape(facts.trained_on)}."
    return "The backbone was pretrained in this system; its run is listed above."


def _limits(facts: ModelFacts) -> list[str]:
    limits = [
        "- For research on subjective visual tasks. It predicts which of its classes an image resembles; it does not "
        "know what a person feels, believes or intends, and is not to decide about people.",
        "- It answers with one of its classes for every image, also for one that shows none of them.",
        "- Engagement and labels carry the views of those who gave them; expect the same slant in what it says.",
    ]
    if facts.protocol == "linear":
        limits.append("- Its backbone was not adapted to the task: only the head was trained on it.")
    return limits


def _licence(facts: ModelFacts) -> str:
    if facts.licence:
        return f"The backbone comes from published weights under: {markdown_escape(facts.licence)}. It binds everyone who distributes this model."
    return "No published weights are in it. Whether its data permit this use is for the owner of the data to say."
