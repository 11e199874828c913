"""The dialogs that delete show first what depends on the thing, and what blocks it."""

from uuid import UUID, uuid4

import pytest
from streamlit.testing.v1 import AppTest

from frontend.components.derived import merged
from vise_client.schemas.derived import DeletionEffect, Derived, DerivedCount, DerivedItem

COUNTS = {
    DeletionEffect.deleted: ("artifact", 2, 2048),
    DeletionEffect.marked: ("run", 1, None),
    DeletionEffect.kept: ("label", 30, None),
}


def listed(*, blocked: bool = False) -> Derived:
    counts = [
        DerivedCount(effect=effect, kind=kind, count=count, bytes=size)
        for effect, (kind, count, size) in COUNTS.items()
    ]
    items = [
        DerivedItem(
            effect=DeletionEffect.deleted, kind="artifact", id=None, name="posts", owner=None, bytes=2048
        )
    ]
    if blocked:
        counts.insert(0, DerivedCount(effect=DeletionEffect.blocks, kind="run", count=1, bytes=None))
        items.insert(
            0,
            DerivedItem(effect=DeletionEffect.blocks, kind="run", id=None, name="l", owner=None, bytes=None),
        )
    return Derived(total=33 + blocked, counts=counts, items=items)


def dialog(thing: str, blocked: bool) -> None:
    from types import SimpleNamespace

    from frontend.views.data import remove
    from frontend.views.models import model
    from frontend.views.run import actions
    from frontend.views.settings import users
    from tests.frontend.components.test_derived import listed

    dialogs = {
        "run": (actions, actions._delete_dialog),
        "model": (model, model._delete_dialog),
        "user": (users, users._delete_dialog),
        "dataset": (remove, remove._dialog),
    }
    module, draw = dialogs[thing]
    api = SimpleNamespace(**{f"{thing}_derived": lambda _, limit: listed(blocked=blocked)})
    module.client = lambda: api  # type: ignore[attr-defined]
    draw(SimpleNamespace(id="1", name="n", email="e", what_removal_does=""))  # type: ignore[operator]


@pytest.mark.parametrize("thing", ["run", "model", "user", "dataset"])
@pytest.mark.parametrize("blocked", [False, True])
def test_a_dialog_lists_before_the_click_that_deletes(
    thing: str, blocked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for page in ("data.remove", "models.model", "run.actions", "settings.users"):
        monkeypatch.setattr(f"frontend.views.{page}.client", None)  # the original comes back after the test
    page = AppTest.from_function(dialog, args=(thing, blocked)).run()
    assert not page.exception
    shown = [text.value for text in page.markdown]
    assert "**Deleted with it:** 2 artifacts (2.0 KiB)" in shown
    assert "**Kept, and marked:** 1 run" in shown
    assert "**Kept:** 30 labels" in shown
    assert [
        warning.value.startswith("**Delete first**, or wait until they end: 1 run: l.")
        for warning in page.warning
    ] == ([True] if blocked else [])
    (button,) = [button for button in page.button if button.label != "Keep"]
    assert button.disabled == blocked
    assert list(page.dataframe[0].value["name"])[-1] == "posts"


def test_runs_that_are_deleted_together_do_not_block_each_other() -> None:
    first, second, third = uuid4(), uuid4(), uuid4()

    def of(*blocking: UUID) -> Derived:
        items = [
            DerivedItem(effect=DeletionEffect.blocks, kind="run", id=i, name="r", owner=None, bytes=None)
            for i in blocking
        ]
        counts = [DerivedCount(effect=DeletionEffect.deleted, kind="artifact", count=1, bytes=3)]
        if blocking:
            counts.append(
                DerivedCount(effect=DeletionEffect.blocks, kind="run", count=len(blocking), bytes=None)
            )
        return Derived(total=1 + len(blocking), counts=counts, items=items)

    free = merged([of(second), of()], [str(first), str(second)])
    assert (free.blocked, free.total, free.counts[0].label, free.counts[0].bytes) == (
        False,
        2,
        "2 artifacts",
        6,
    )
    # The third reads from both, and is counted once.
    held = merged([of(second, third), of(third)], [str(first), str(second)])
    assert [(count.effect, count.count) for count in held.counts] == [
        (DeletionEffect.deleted, 2),
        (DeletionEffect.blocks, 1),
    ]
    assert [item.id for item in held.items] == [third]
