"""Who changed what. Sessions of the API are watched, so that no route can forget to say it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import event, inspect, select
from sqlalchemy.orm import Session

from backend.store.accounts.tables import Audit, Token, User
from backend.store.database import Sessions
from backend.store.errors import Invalid
from backend.store.registry.tables import Dataset, Model, Upload
from backend.store.reports.tables import Ablation
from backend.store.runs.tables import Run, RunEvent
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
}
SECRET = frozenset({"password_hash", "sha256"})
_UNTOLD = frozenset({"last_used_at", "progress", "heartbeat_at", "lease_until", "token", "queued_at"})
_EVENTS = {"cancelled": "cancelled", "cancelling": "cancelled", "paused": "paused", "pausing": "paused"}
_BY_DETAIL = {"retried", "resumed"}
_LONGEST = 200


@dataclass
class _Change:
    action: str
    kind: str
    target_id: UUID | None
    target: str
    user_id: UUID | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def watch(sessions: Sessions) -> None:
    """Notice every change that a session of these makes to what is audited."""
    event.listen(sessions, "before_flush", _notice_changes)
    event.listen(sessions, "after_flush", _notice_new)


def write(db: Session, who: Identity | None) -> None:
    """Put what was noticed into the log, in this transaction. Steps of a recipe go with their parent."""
    db.flush()
    changes: list[_Change] = db.info.pop("changes", [])
    made = {change.target_id for change in changes if change.action == "created"}
    written: set[tuple[str, UUID | None]] = set()
    for change in changes:
        new_runs_event = change.kind == "run" and change.action != "created" and change.target_id in made
        if new_runs_event or (change.action, change.target_id) in written:
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
                target=change.target[:_LONGEST],
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
    """One page, newest first. ``search``: part of the target's name, or its whole id."""
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
    if cursor is not None:
        statement = statement.where(Audit.id < cursor)
    rows = list(db.scalars(statement.order_by(Audit.id.desc()).limit(limit + 1)))
    following = str(rows[limit - 1].id) if len(rows) > limit else None
    return Page[AuditEntry](items=[AuditEntry.model_validate(r) for r in rows[:limit]], next_cursor=following)


def _notice_changes(db: Session, *_: object) -> None:
    for found in db.dirty:
        kind = KINDS.get(type(found))
        if kind is None or not db.is_modified(found):
            continue
        changed = {}
        for attribute in inspect(found).attrs:
            history = attribute.history
            if history.has_changes() and attribute.key not in _UNTOLD:
                before = history.deleted[0] if history.deleted else None
                changed[attribute.key] = (
                    "changed" if attribute.key in SECRET else [_plain(before), _plain(attribute.value)]
                )
        if changed and not _is_step(found):
            _note(db, "changed", kind, found, changed)
    for found in db.deleted:
        kind = KINDS.get(type(found))
        if kind is not None and not _is_step(found):
            signed_out = isinstance(found, Token) and found.kind != "api"
            _note(db, "signed out" if signed_out else "deleted", kind, found, {})


def _notice_new(db: Session, *_: object) -> None:
    for found in db.new:
        kind = KINDS.get(type(found))
        if isinstance(found, RunEvent):
            run = db.get(Run, found.run_id)
            if run is not None and run.parent_id is None and found.from_state is not None:
                action = found.detail if found.detail in _BY_DETAIL else _EVENTS.get(found.to_state)
                if action is not None:
                    _note(db, action, "run", run, {})
        elif kind is not None and not _is_step(found):
            signed_in = isinstance(found, Token) and found.kind != "api"
            _note(db, "signed in" if signed_in else "created", kind, found, _described(found))


def _note(db: Session, action: str, kind: str, found: Any, detail: dict[str, Any]) -> None:
    name = getattr(found, "name", None) or getattr(found, "email", "") or ""
    user_id = found.user_id if isinstance(found, Token) else None
    db.info.setdefault("changes", []).append(_Change(action, kind, found.id, name, user_id, detail))


def _is_step(found: object) -> bool:
    return isinstance(found, Run) and found.parent_id is not None


def _described(found: Any) -> dict[str, Any]:
    """What is worth telling of something new."""
    if isinstance(found, Run):
        return {"what": found.stage or found.kind}
    if isinstance(found, User | Token):
        return {"role": found.role}
    if isinstance(found, Dataset):
        return {"kind": found.kind, "source": found.source or found.folder or ""}
    return {}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:_LONGEST]
