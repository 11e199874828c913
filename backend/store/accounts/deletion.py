"""Delete a user for good, with what is personal; what a lab works with stays, without the user's name."""

from __future__ import annotations

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from backend.store.accounts.tables import DELETED_USER, Audit, LoginAttempt, User
from backend.store.errors import Conflict, NotFound
from backend.store.serving.tables import Engagement, Feedback, Prediction
from vise_client.schemas.accounts import Role


def delete_user(db: Session, email: str) -> None:
    """Delete a user with tokens, saved views, predictions, feedback and login attempts, pictures included.

    Labels that others gave to the user's predictions go too, since each keeps the picture.

    Runs, models and data sets stay without an owner, and the audit log without the address. Uploaded images of queued
    predictions are removed by the next sweep. Raises NotFound if no user has this address, and Conflict for the last
    active admin.
    """
    # Locked in one order, so that two admins cannot delete each other at once.
    admins = (
        select(User).where(User.role == Role.admin.value, User.active).order_by(User.id).with_for_update()
    )
    others = [user for user in db.scalars(admins) if user.email != email]
    # Locked before its traces are removed: no request of the user can write another one meanwhile.
    user = db.scalar(select(User).where(User.email == email).with_for_update())
    if user is None:
        raise NotFound(f"there is no user {email}")
    if not others:
        raise Conflict(f"{email} is the last active admin: make another one first")
    predictions = select(Prediction.id).where(Prediction.created_by == user.id)
    db.execute(delete(Feedback).where(Feedback.prediction_id.in_(predictions)))
    for table in (Feedback, Prediction, Engagement):
        db.execute(delete(table).where(table.created_by == user.id))
    db.execute(delete(LoginAttempt).where(LoginAttempt.email == email))
    by_user = or_(Audit.email == email, Audit.user_id == user.id)
    db.execute(update(Audit).where(by_user).values(email=DELETED_USER))
    on_user = or_(Audit.target == email, Audit.target_id == user.id)
    db.execute(update(Audit).where(Audit.kind == "user", on_user).values(target=DELETED_USER))
    db.delete(user)
    db.flush()
