"""The declarative base and the column types that all tables share.

Ids are UUIDv7: their order is the order of creation, so lists page by id.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    DateTime,
    MetaData,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base class of the tables: column types by annotation, and names of constraints."""

    type_annotation_map = {
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        dict[str, float]: JSONB,
        list[Any]: JSONB,
        str: Text,
    }
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def primary_key() -> Mapped[UUID]:
    """Return a primary key column: a UUIDv7 that the database makes."""
    return mapped_column(primary_key=True, server_default=text("uuidv7()"))


def insert_time() -> Mapped[datetime]:
    """Return a column for the time of the insert."""
    return mapped_column(server_default=func.now())


class Record(Base):
    """Base class of the tables whose rows have an id of their own and the time of their insert."""

    __abstract__ = True

    id: Mapped[UUID] = primary_key()
    created_at: Mapped[datetime] = insert_time()
