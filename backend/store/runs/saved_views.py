"""Saved views of the run list: the user's own, and those that others share."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from backend.store.accounts.tables import User
from backend.store.accounts.users import Identity
from backend.store.changes import check_expected
from backend.store.errors import NotFound
from backend.store.rows import unique
from backend.store.runs.query.language import parse
from backend.store.runs.tables import SavedView
from vise_client.schemas.run_lists import RunListState, SavedViewCreate, SavedViewUpdate, SavedViewView

from .run_list import column_fields


def list_views(db: Session, who: Identity) -> list[SavedViewView]:
    """Return the user's own views, then those shared by others, by name."""
    mine = SavedView.owner_id == who.user_id
    rows = db.execute(
        select(SavedView, User.email)
        .join(User, User.id == SavedView.owner_id)
        .where(or_(mine, SavedView.shared))
        .order_by(mine.desc(), func.lower(SavedView.name), SavedView.id)
    )
    return [_view(view, email, who) for view, email in rows]


def create(db: Session, request: SavedViewCreate, who: Identity) -> SavedViewView:
    """Create a view. Raises Conflict if the user has a view of this name, Invalid for an invalid query or column."""
    _check(request.state)
    view = SavedView(
        owner_id=who.user_id, name=request.name, shared=request.shared, state=request.state.model_dump()
    )
    return _kept(db, view, who)


def update(db: Session, view_id: UUID, request: SavedViewUpdate, who: Identity) -> SavedViewView:
    """Change a view.

    Raises NotFound if the user may change no view of this id, and Conflict and Invalid as ``create`` does.
    """
    view = get_own(db, view_id, who)
    check_expected(db, view, request)
    if request.name is not None:
        view.name = request.name
    if request.state is not None:
        _check(request.state)
        view.state = request.state.model_dump()
    if request.shared is not None:
        view.shared = request.shared
    view.updated_at = func.now()
    return _kept(db, view, who)


def delete(db: Session, view_id: UUID, who: Identity) -> None:
    """Delete a view. Raises NotFound if the user may change no view of this id."""
    db.delete(get_own(db, view_id, who))


def get_own(db: Session, view_id: UUID, who: Identity) -> SavedView:
    """Return a view that the user may change: their own, or for an admin any shared view. Raises NotFound."""
    view = db.get(SavedView, view_id)
    if view is None or (view.owner_id != who.user_id and not (view.shared and who.is_admin)):
        raise NotFound(f"you have no saved view {view_id}")
    return view


def _kept(db: Session, view: SavedView, who: Identity) -> SavedViewView:
    """Write the view. Raises Conflict if the user has another view of this name."""
    with unique(db, f"a view named {view.name!r}"):
        db.add(view)
    db.refresh(view)
    owner = db.get_one(User, view.owner_id)
    return _view(view, owner.email, who)


def _check(state: RunListState) -> None:
    parse(state.query)
    column_fields(state.columns)


def _view(view: SavedView, email: str, who: Identity) -> SavedViewView:
    return SavedViewView.of(view, owner=email, mine=view.owner_id == who.user_id)
