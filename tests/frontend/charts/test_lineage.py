"""A lineage drawn: every line leads to the right, names are text and never markup, every box is a link."""

import re
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontend.charts.lineage import columns, drawing
from vise_client.schemas.lineage import Lineage, LineageEdge, LineageNode
from vise_client.schemas.run_states import RunState

IDS = [UUID(int=n) for n in range(12)]


def run(n: int, name: str = "run") -> LineageNode:
    return LineageNode(kind="run", id=IDS[n], name=name, stage="label", state=RunState.succeeded)


def of(nodes: list[LineageNode], pairs: list[tuple[int, int]]) -> Lineage:
    edges = [LineageEdge(source=IDS[a], target=IDS[b], artifact="posts") for a, b in pairs]
    return Lineage(run_id=IDS[0], nodes=nodes, edges=edges, truncated=False)


def test_a_chain_with_a_shortcut_takes_the_long_way() -> None:
    layers = columns(of([run(n) for n in range(4)], [(0, 1), (1, 2), (0, 2), (3, 2)]))
    assert [[IDS.index(node.id) for node in layer] for layer in layers] == [[0], [1, 3], [2]]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from([(a, b) for b in range(12) for a in range(b)]), max_size=30))
def test_every_edge_leads_to_the_right_and_every_node_has_one_place(pairs) -> None:
    layers = columns(of([run(n) for n in range(12)], pairs))
    depth = {node.id: x for x, layer in enumerate(layers) for node in layer}
    assert sorted(depth) == IDS
    assert sum(len(layer) for layer in layers) == 12
    assert all(depth[IDS[a]] < depth[IDS[b]] for a, b in pairs)


def test_boxes_are_links_that_say_what_they_are() -> None:
    dataset = LineageNode(kind="dataset", id=IDS[1], name="photos")
    model = LineageNode(kind="model", id=IDS[2], name="best")
    html = drawing(of([run(0), dataset, model], [(1, 0), (0, 2)]))
    links = re.findall(r'href="([^"]+)"', html)
    assert links == [f"data?dataset={IDS[1]}", f"run?run={IDS[0]}", f"models?model={IDS[2]}"]
    assert html.count('aria-current="page"') == 1
    assert "label, succeeded" in html
    assert "data set" in html
    assert "prediction model" in html


def test_a_name_cannot_break_out() -> None:
    html = drawing(of([run(0, '"><script>alert(1)</script>'), run(1)], [(0, 1)]))
    assert "<script" not in html
    assert "&quot;&gt;&lt;script&gt;" in html


def test_a_removed_data_set_is_drawn_without_a_link() -> None:
    dataset = LineageNode(kind="dataset", id=IDS[1], name="photos", removed=True)
    html = drawing(of([run(0), dataset], [(1, 0)]))
    assert "data set, removed" in html
    assert f"dataset={IDS[1]}" not in html
