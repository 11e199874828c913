"""Delete a user for good, with what is personal; what a lab works with stays, without the user's name."""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from backend.store.accounts.tables import Audit, LoginAttempt, User
from backend.store.errors import Conflict, NotFound
from backend.store.serving.tables import Engagement, Feedback, Prediction
from vise_client.schemas.accounts import Role


def delete_user(db: Session, email: str) -> None:
    """Delete a user with tokens, saved views, predictions, feedback and login attempts, pictures included.

    Runs, models and data sets stay without an owner, and the audit log without the address. Uploaded images of queued
    predictions are removed by the next sweep. Raises NotFound if no user has this address, and Conflict for the last
    active admin.
    """
    # Locked in one order, so that two admins cannot delete each other at once.
    admins = (
        select(User).where(User.role == Role.admin.value, User.active).order_by(User.id).with_for_update()
    )
    others = [user for user in db.scalars(admins) if user.email != email]
    user = db.scalar(select(User).where(User.email == email))
    if user is None:
        raise NotFound(f"there is no user {email}")
    if not others:
        raise Conflict(f"{email} is the last active admin: make another one first")
    for table in (Feedback, Prediction, Engagement):
        db.execute(delete(table).where(table.created_by == user.id))
    db.execute(delete(LoginAttempt).where(LoginAttempt.email == email))
    db.execute(update(Audit).where(Audit.email == email).values(email="deleted user"))
    db.execute(update(Audit).where(Audit.kind == "user", Audit.target == email).values(target="deleted user"))
    db.delete(user)
    db.flush()
