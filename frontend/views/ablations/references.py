"""The reference lines of an ablation: baseline methods, our own and as published."""

from __future__ import annotations

from frontend.charts.ablation_chart import Reference
from frontend.session import client
from vise_client.schemas.ablations import AblationView
from vise_core.report import OurFigure

OURS = ("Random Init", "IN-Sup")
PUBLISHED = (*OURS, "VisE-1.2M", "VisE-250M")
"""The baselines and the two VisE lines of Figs. 3 and 4."""


def reference_lines(view: AblationView, *, published: bool) -> list[Reference]:
    """Return our Random Init and IN-Sup on the same task, data and protocol; with ``published``, the paper's lines too."""
    figure = OurFigure.model_validate(
        client().report_data("figure3", task=view.task, protocol=view.protocol, synthetic=view.synthetic)
    )
    ours = [
        Reference(point.method, point.mean, False)
        for panel in figure.panels
        if panel.measured == view.measured
        for point in panel.points
        if point.mean is not None and point.method in OURS and point.backbone == view.backbone
    ]
    if not published:
        return ours
    paper = [
        Reference(point.method, point.published, True)
        for panel in figure.panels
        for point in panel.points
        if point.published is not None and point.method in PUBLISHED and point.backbone == "resnet50"
    ]
    if view.task == "Hateful Memes":
        # Fig. 6: the text encoder alone.
        figure = OurFigure.model_validate(client().report_data("figure6", protocol=view.protocol))
        paper += [
            Reference(point.method, point.published, True)
            for panel in figure.panels
            if panel.key.startswith("text")
            for point in panel.points
            if point.published is not None
        ]
    return ours + list(dict.fromkeys(paper))
