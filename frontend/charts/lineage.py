"""The drawing of a lineage: boxes in columns from data to models, each a link, with lines between them.

The boxes are HTML links over an SVG of the lines, so that keyboards and screen readers reach them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote
from uuid import UUID

from vise_client.schemas.lineage import Lineage, LineageEdge, LineageNode

from .palette import NEUTRAL

WIDTH, HEIGHT, GAP_X, GAP_Y = 180, 64, 70, 18
"""Size of a box and the gaps between boxes, in pixels."""


def columns(lineage: Lineage) -> list[list[LineageNode]]:
    """Return the nodes in columns by the longest path to them, so that every edge leads to the right."""
    depth = {node.id: 0 for node in lineage.nodes}
    edges = [edge for edge in lineage.edges if edge.source in depth and edge.target in depth]
    for _ in lineage.nodes:
        before = dict(depth)
        for edge in edges:
            depth[edge.target] = max(depth[edge.target], depth[edge.source] + 1)
        if depth == before:
            break
    # A node without sources stands in the column before its first reader.
    targets: dict[UUID, list[UUID]] = {}
    for edge in edges:
        targets.setdefault(edge.source, []).append(edge.target)
    for node in lineage.nodes:
        if depth[node.id] == 0 and node.id in targets:
            depth[node.id] = max(0, min(depth[t] for t in targets[node.id]) - 1)
    made: list[list[LineageNode]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in lineage.nodes:
        made[depth[node.id]].append(node)
    return _untangled([column for column in made if column], edges)


def address(node: LineageNode) -> str:
    """Return the relative address of the node's page."""
    page = {"run": "run?run=", "dataset": "data?dataset=", "model": "models?model="}[node.kind]
    return page + quote(str(node.id))


def describe(node: LineageNode) -> str:
    """Return kind and state of the node: ``pretrain, succeeded``."""
    kind = {"dataset": "data set", "model": "prediction model"}.get(node.kind, node.stage or "run")
    if node.removed:
        return f"{kind}, removed"
    return f"{kind}, {node.state.value}" if node.state else kind


def drawing(lineage: Lineage) -> str:
    """Return the HTML of the drawing; it scrolls in its own frame where it is wider than the page."""
    layers = columns(lineage)
    tallest = max((len(layer) for layer in layers), default=0)
    place: dict[UUID, tuple[int, int]] = {}
    for x, layer in enumerate(layers):
        top = (tallest - len(layer)) * (HEIGHT + GAP_Y) // 2
        for y, node in enumerate(layer):
            place[node.id] = (4 + x * (WIDTH + GAP_X), 4 + top + y * (HEIGHT + GAP_Y))
    width = 8 + len(layers) * (WIDTH + GAP_X) - GAP_X
    height = 8 + tallest * (HEIGHT + GAP_Y) - GAP_Y
    lines = "".join(
        _line(place, edge) for edge in lineage.edges if edge.source in place and edge.target in place
    )
    picture = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' fill='none' "
        f"stroke='{NEUTRAL}' stroke-width='1.5'>{lines}</svg>"
    )
    boxes = "".join(
        _box(node, place[node.id], here=node.id == lineage.run_id) for layer in layers for node in layer
    )
    return (
        f'<div class="vise-lineage" role="group" aria-label="Lineage, from data to models" tabindex="0">'
        f"<div style=\"width:{width}px;height:{height}px;background-image:url('data:image/svg+xml,"
        f"{quote(picture)}')\">{boxes}</div></div>"
    )


def _box(node: LineageNode, place: tuple[int, int], *, here: bool) -> str:
    current = ' aria-current="page"' if here else ""
    # A removed data set has no page.
    tag = "span" if node.removed else "a"
    link = "" if node.removed else f' href="{escape(address(node))}" target="_self"'
    return (
        f'<{tag}{link} class="vise-node vise-{node.kind}"{current} '
        f'style="left:{place[0]}px;top:{place[1]}px;width:{WIDTH}px;height:{HEIGHT}px" '
        f'title="{escape(node.name)}"><b>{escape(node.name)}</b><span>{escape(describe(node))}</span></{tag}>'
    )


def _line(place: Mapping[UUID, tuple[int, int]], edge: LineageEdge) -> str:
    x1, y1 = place[edge.source][0] + WIDTH, place[edge.source][1] + HEIGHT // 2
    x2, y2 = place[edge.target][0], place[edge.target][1] + HEIGHT // 2
    middle = (x1 + x2) // 2
    head = f"M{x2 - 6} {y2 - 4}L{x2} {y2}L{x2 - 6} {y2 + 4}"
    return f"<path d='M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}{head}'/>"


def _untangled(layers: list[list[LineageNode]], edges: Sequence[LineageEdge]) -> list[list[LineageNode]]:
    """Order each column by the mean row of its sources (barycentre heuristic), so that fewer lines cross."""
    row: dict[UUID, float] = {}
    for layer in layers:
        for position, node in enumerate(layer):
            row[node.id] = position - len(layer) / 2
    for layer in layers[1:]:

        def centre(node: LineageNode) -> float:
            mine = [row[e.source] for e in edges if e.target == node.id and e.source in row]
            return sum(mine) / len(mine) if mine else row[node.id]

        layer.sort(key=centre)
        for position, node in enumerate(layer):
            row[node.id] = position - len(layer) / 2
    return layers
