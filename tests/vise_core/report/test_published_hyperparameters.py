"""The published hyper-parameters (Tables 10–16) lie on the grid, and sensitivities stand wherever a choice does."""

from collections import defaultdict

from vise_core.report.published import published
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.models.backbones import BACKBONES

HYPERPARAMETERS = [f"table{number}" for number in range(10, 17)]


def test_chosen_hyperparameters_lie_on_the_grid_and_only_clip_leaves_it() -> None:
    grid = EvaluateSpec()
    beyond = set()
    for cell in (cell for name in HYPERPARAMETERS for cell in published(name).cells):
        chosen = cell.per_split or ((cell.value,) if cell.value is not None else ())
        if cell.metric == "weight_decay":
            assert set(chosen) <= set(grid.weight_decays), cell
        if cell.metric == "base_lr" and not set(chosen) <= set(grid.base_lrs):
            beyond.add((cell.table, cell.method, chosen))
    assert beyond == {("table10", "CLIP", (2.5e-05,)), ("table11", "CLIP", (2.5e-05,))}


def test_one_batch_size_a_backbone_and_table() -> None:
    for name in HYPERPARAMETERS:
        sizes = defaultdict(set)
        for cell in published(name).cells:
            if cell.column == "batch" and not cell.illegible:
                sizes[cell.backbone].add(cell.value)
        assert all(len(found) == 1 for found in sizes.values())
        # A larger trunk never has the larger batch.
        order = [min(sizes[backbone]) for backbone in BACKBONES if backbone in sizes]
        assert order == sorted(order, reverse=True)


def test_sensitivities_are_given_wherever_a_choice_is() -> None:
    for name in HYPERPARAMETERS:
        table = published(name)
        for row in table.rows:
            by_column = {cell.column: cell for cell in table.cells if cell.row == row.key}
            for prefix in {column.key.removesuffix("lr") for column in table.columns} & {
                "linear_",
                "finetuned_",
                "",
            }:
                parts = [by_column[prefix + part] for part in ("lr", "wd", "s_lr", "s_wd")]
                assert len({part.printed == "-" for part in parts}) == 1
                if parts[0].printed != "-":
                    assert all((part.std is not None) == (name == "table10") for part in parts[2:])
                    limit = 50 if parts[2].unit == "percentage points" else 0.1
                    assert all(part.value is not None and 0 <= part.value < limit for part in parts[2:])
