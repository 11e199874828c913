"""The audit log: who changed what. Database sessions are watched, so that no route can omit an entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import event, inspect, select
from sqlalchemy.orm import Session

from backend.store.accounts.tables import DELETED_USER, Audit, Token, User
from backend.store.cursors import newest_first
from backend.store.database import Sessions
from backend.store.errors import Invalid
from backend.store.registry.tables import Dataset, Model, Upload
from backend.store.reports.tables import Ablation
from backend.store.runs.tables import Run, RunEvent
from backend.store.upkeep.tables import Removal
from vise_client.schemas.accounts import AuditEntry
from vise_client.schemas.wire import Page

from .users import Identity

KINDS: dict[type, str] = {
    Run: "run",
    Model: "model",
    Dataset: "data set",
    Upload: "upload",
    User: "user",
    Token: "token",
    Ablation: "ablation",
    Removal: "removal of posts",
}
SECRET = frozenset({"password_hash", "sha256"})
_UNLOGGED = frozenset(
    {"findings", "left", "last_used_at", "progress", "heartbeat_at", "lease_until", "token", "queued_at"}
)
_EVENTS = {"cancelled": "cancelled", "cancelling": "cancelled", "paused": "paused", "pausing": "paused"}
_BY_DETAIL = {"retried", "resumed"}
_MAX_TEXT = 200


@dataclass
class _Change:
    action: str
    kind: str
    target_id: UUID | None
    target: str
    user_id: UUID | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def watch(sessions: Sessions) -> None:
    """Collect every change to audited tables in these sessions, for ``write``."""
    event.listen(sessions, "before_flush", _notice_changes)
    event.listen(sessions, "after_flush", _notice_new)


def write(db: Session, who: Identity | None) -> None:
    """Write the collected changes to the audit log, in the same transaction; a recipe's entry covers its steps."""
    db.flush()
    changes: list[_Change] = db.info.pop("changes", [])
    created = {change.target_id for change in changes if change.action == "created"}
    written: set[tuple[str, UUID | None]] = set()
    for change in changes:
        event_of_new_run = change.kind == "run" and change.action != "created" and change.target_id in created
        if event_of_new_run or (change.action, change.target_id) in written:
            continue
        written.add((change.action, change.target_id))
        user_id = who.user_id if who else change.user_id
        user = db.get(User, user_id) if user_id else None
        db.add(
            Audit(
                user_id=user_id,
                email=user.email if user else "",
                action=change.action,
                kind=change.kind,
                target_id=change.target_id,
                target=change.target[:_MAX_TEXT],
                detail=change.detail,
            )
        )


def entries(
    db: Session,
    *,
    kind: str | None = None,
    who: str | None = None,
    search: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: UUID | None = None,
    limit: int = 50,
) -> Page[AuditEntry]:
    """Return one page of the audit log, newest first. ``search`` matches part of a target's name, or its whole id.

    Raises Invalid for an unknown ``kind``.
    """
    statement = select(Audit)
    if kind is not None:
        if kind not in KINDS.values():
            raise Invalid("kind", f"one of {', '.join(KINDS.values())}")
        statement = statement.where(Audit.kind == kind)
    if who:
        statement = statement.where(Audit.email.icontains(who, autoescape=True))
    if search:
        try:
            statement = statement.where(Audit.target_id == UUID(search))
        except ValueError:
            statement = statement.where(Audit.target.icontains(search, autoescape=True))
    if since is not None:
        statement = statement.where(Audit.at >= since)
    if until is not None:
        statement = statement.where(Audit.at < until)
    rows, next_cursor = newest_first(db, statement, Audit.id, cursor, limit)
    return Page[AuditEntry](
        items=[AuditEntry.model_validate(row) for (row,) in rows], next_cursor=next_cursor
    )


def _notice_changes(db: Session, *_: object) -> None:
    for row in db.dirty:
        kind = KINDS.get(type(row))
        if kind is None or not db.is_modified(row):
            continue
        changed = {}
        for attribute in inspect(row).attrs:
            history = attribute.history
            if history.has_changes() and attribute.key not in _UNLOGGED:
                before = history.deleted[0] if history.deleted else None
                changed[attribute.key] = (
                    "changed" if attribute.key in SECRET else [_plain(before), _plain(attribute.value)]
                )
        if changed and not _is_step(row):
            _note(db, "changed", kind, row, changed)
    for row in db.deleted:
        kind = KINDS.get(type(row))
        if kind is not None and not _is_step(row):
            signed_out = isinstance(row, Token) and row.kind != "api"
            _note(db, "signed out" if signed_out else "deleted", kind, row, {})


def _notice_new(db: Session, *_: object) -> None:
    for row in db.new:
        kind = KINDS.get(type(row))
        if isinstance(row, RunEvent):
            run = db.get(Run, row.run_id)
            if run is not None and run.parent_id is None and row.from_state is not None:
                action = row.detail if row.detail in _BY_DETAIL else _EVENTS.get(row.to_state)
                if action is not None:
                    _note(db, action, "run", run, {})
        elif kind is not None and not _is_step(row):
            signed_in = isinstance(row, Token) and row.kind != "api"
            _note(db, "signed in" if signed_in else "created", kind, row, _described(row))


def _note(db: Session, action: str, kind: str, row: Any, detail: dict[str, Any]) -> None:
    name = getattr(row, "name", None) or getattr(row, "email", "") or ""
    if isinstance(row, User) and action == "deleted":
        name = DELETED_USER  # the address goes with the user
    user_id = row.user_id if isinstance(row, Token) else None
    db.info.setdefault("changes", []).append(_Change(action, kind, row.id, name, user_id, detail))


def _is_step(row: object) -> bool:
    return isinstance(row, Run) and row.parent_id is not None


def _described(row: Any) -> dict[str, Any]:
    """Return the details to log of a new row."""
    if isinstance(row, Run):
        return {"what": row.stage or row.kind}
    if isinstance(row, User | Token):
        return {"role": row.role}
    if isinstance(row, Removal):
        return {"posts": len(row.posts)}
    if isinstance(row, Dataset):
        return {"kind": row.kind, "source": row.source or row.folder or ""}
    return {}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:_MAX_TEXT]
