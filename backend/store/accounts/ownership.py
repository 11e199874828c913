"""Who may change what others have made: its owner and admins. Everybody who may read reads everything."""

from __future__ import annotations

from uuid import UUID

from backend.store.accounts.users import Identity
from backend.store.errors import NotAllowed


def require_owner(who: Identity, thing: str, *owners: UUID | None) -> None:
    """Raise NotAllowed unless the user is among the owners or an admin. What has no owner any more is the admins'."""
    if who.user_id not in owners and not who.is_admin:
        raise NotAllowed(f"the {thing} belongs to another user; only the owner and admins may change it")
