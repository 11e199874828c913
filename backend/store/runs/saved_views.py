"""Saved views of the runs: each person's own, and those that are shared with everybody."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.store.accounts.tables import User
from backend.store.accounts.users import Identity
from backend.store.errors import Conflict, NotFound
from backend.store.runs.query.language import parse
from backend.store.runs.tables import SavedView
from vise_client.schemas.accounts import Role
from vise_client.schemas.run_lists import RunListState, SavedViewCreate, SavedViewUpdate, SavedViewView

from .run_list import column_fields


def list_views(db: Session, who: Identity) -> list[SavedViewView]:
    """One's own first, then those of others, by name."""
    mine = SavedView.owner_id == who.user_id
    rows = db.execute(
        select(SavedView, User.email)
        .join(User, User.id == SavedView.owner_id)
        .where(or_(mine, SavedView.shared))
        .order_by(mine.desc(), func.lower(SavedView.name), SavedView.id)
    )
    return [_view(view, email, who) for view, email in rows]


def create(db: Session, request: SavedViewCreate, who: Identity) -> SavedViewView:
    """Raises Conflict where one's own view has the name already, Invalid for a query or a column that is none."""
    _check(request.state)
    view = SavedView(
        owner_id=who.user_id, name=request.name, shared=request.shared, state=request.state.model_dump()
    )
    return _kept(db, view, who)


def update(db: Session, view_id: UUID, request: SavedViewUpdate, who: Identity) -> SavedViewView:
    view = _own(db, view_id, who)
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
    db.delete(_own(db, view_id, who))


def _own(db: Session, view_id: UUID, who: Identity) -> SavedView:
    """A view that one may change: one's own, or for an admin any shared one. Raises NotFound."""
    view = db.get(SavedView, view_id)
    if view is None or (view.owner_id != who.user_id and not (view.shared and who.role is Role.admin)):
        raise NotFound(f"you have no saved view {view_id}")
    return view


def _kept(db: Session, view: SavedView, who: Identity) -> SavedViewView:
    try:
        with db.begin_nested():
            db.add(view)
    except IntegrityError as error:
        raise Conflict(f"there is a view named {view.name!r} already; choose another name") from error
    db.refresh(view)
    owner = db.get_one(User, view.owner_id)
    return _view(view, owner.email, who)


def _check(state: RunListState) -> None:
    parse(state.query)
    column_fields(state.columns)


def _view(view: SavedView, email: str, who: Identity) -> SavedViewView:
    return SavedViewView(
        id=view.id,
        name=view.name,
        state=RunListState.model_validate(view.state),
        shared=view.shared,
        owner=email,
        mine=view.owner_id == who.user_id,
        created_at=view.created_at,
        updated_at=view.updated_at,
    )
