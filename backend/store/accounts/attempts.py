"""Failed sign-ins. Each slows the next one down; they are counted in the database, so for all API processes together.

The delay grows with the failures of an account *from an address*. Failures of the account from everywhere, and of the
address with every account, count only where the account was never signed in to from that address in the last weeks:
nobody can keep others from signing in where they usually do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, text, update
from sqlalchemy.orm import Session

from backend.store.accounts.tables import LoginAttempt
from backend.store.errors import TooMany

WINDOW = timedelta(minutes=15)
"""Failures are forgotten after this time."""
REMEMBERED = timedelta(days=30)
"""An address counts as known to an account for this time after a sign-in."""
PRUNED = 1000
"""Old rows that one attempt deletes at most."""


@dataclass(frozen=True)
class Limit:
    """After ``free`` failures each next attempt waits twice as long, up to ``longest`` seconds."""

    free: int
    longest: float

    def delay(self, failures: int) -> float:
        """Return the seconds between the last failure and the next attempt."""
        if failures < self.free:
            return 0.0
        return float(min(self.longest, 2 ** min(failures - self.free, 20)))


ACCOUNT_AND_ADDRESS = Limit(free=5, longest=300)
ACCOUNT = Limit(free=20, longest=30)
ADDRESS = Limit(free=50, longest=30)


@dataclass(frozen=True)
class Attempt:
    """An attempt that may be made; it counts as failed until ``succeed``."""

    id: UUID
    email: str
    address: str


def begin(db: Session, email: str, address: str) -> Attempt:
    """Count an attempt as failed before the password is looked at, so that parallel ones count too.

    To be committed before the password is verified. Raises TooMany, with the seconds to wait, after too many failures
    of the account or the address.
    """
    email, address = email.strip().lower()[:254], _counted(address)
    # One after the other for each account and each address. All take the lock of the account first: no deadlock.
    for space, key in enumerate((email, address)):
        db.execute(text("SELECT pg_advisory_xact_lock(:space, hashtext(:key))"), {"space": space, "key": key})
    _prune(db)
    wait = _seconds_to_wait(db, email, address)
    if wait > 0:
        raise TooMany("too many wrong passwords", math.ceil(wait))
    row = LoginAttempt(email=email, address=address, succeeded=False, at=func.clock_timestamp())
    db.add(row)
    db.flush()
    return Attempt(row.id, email, address)


def succeed(db: Session, attempt: Attempt) -> None:
    """Forget the failures of this account from this address, and remember that the address is known."""
    same = and_(LoginAttempt.email == attempt.email, LoginAttempt.address == attempt.address)
    db.execute(delete(LoginAttempt).where(same, LoginAttempt.id != attempt.id))
    db.execute(update(LoginAttempt).where(LoginAttempt.id == attempt.id).values(succeeded=True))


def _seconds_to_wait(db: Session, email: str, address: str) -> float:
    of_account, of_address = LoginAttempt.email == email, LoginAttempt.address == address
    failed = and_(~LoginAttempt.succeeded, LoginAttempt.at > func.clock_timestamp() - WINDOW)
    groups = [
        (ACCOUNT_AND_ADDRESS, and_(of_account, of_address)),
        (ACCOUNT, of_account),
        (ADDRESS, of_address),
    ]
    columns: list[ColumnElement[Any]] = [func.bool_or(and_(of_account, of_address, LoginAttempt.succeeded))]
    for _, group in groups:
        since = func.extract(
            "epoch", func.clock_timestamp() - func.max(LoginAttempt.at).filter(group, failed)
        )
        columns += [func.count().filter(group, failed), since]
    row: list[Any] = list(db.execute(select(*columns).where(or_(of_account, of_address))).one())
    known, counted = row[0], row[1:]
    counts = list(zip(groups, counted[::2], counted[1::2], strict=True))
    if known:
        counts = counts[:1]
    return max(limit.delay(count) - float(since or 0) for (limit, _), count, since in counts)


def _prune(db: Session) -> None:
    """Delete old rows, but none that another attempt deletes at this moment."""
    now = func.clock_timestamp()
    old = or_(
        and_(~LoginAttempt.succeeded, LoginAttempt.at < now - WINDOW), LoginAttempt.at < now - REMEMBERED
    )
    rows = select(LoginAttempt.id).where(old).limit(PRUNED).with_for_update(skip_locked=True)
    db.execute(delete(LoginAttempt).where(LoginAttempt.id.in_(rows.scalar_subquery())))


def _counted(address: str) -> str:
    """Return what an address is counted as: a host has a whole /64 of IPv6 to itself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:100]
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else str(parsed)
