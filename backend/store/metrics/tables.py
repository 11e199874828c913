"""Tables of metrics: the history of points, chunks for charts, and summaries for lists."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Double,
    ForeignKey,
    Index,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from backend.store.base import Base, insert_time


class MetricPoint(Base):
    """One point of one curve. The primary key makes repeated writes harmless.

    There is no foreign key, as checking it would cost half of each write, and the writer holds the run's row anyway. A
    trigger deletes the points with the run.
    """

    __tablename__ = "metric_points"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    value: Mapped[float] = mapped_column(Double)
    epoch: Mapped[float | None] = mapped_column(Double)
    at: Mapped[datetime] = insert_time()

    __table_args__ = (
        # Almost empty: charts find what is not a finite number without reading the history.
        Index(
            "ix_metric_points_not_finite",
            "run_id",
            "key",
            "step",
            postgresql_where=text("value IN ('NaN', 'Infinity', '-Infinity')"),
        ),
    )


class MetricChunk(Base):
    """Extremes of 64 points of a curve: chunk n has the points number 64 n to 64 n + 63 in the order of steps.

    Only complete chunks have a row.
    """

    __tablename__ = "metric_chunks"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    chunk: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last_step: Mapped[int] = mapped_column(BigInteger)
    low: Mapped[float] = mapped_column(Double)
    low_step: Mapped[int] = mapped_column(BigInteger)
    high: Mapped[float] = mapped_column(Double)
    high_step: Mapped[int] = mapped_column(BigInteger)


class MetricLatest(Base):
    """Summary of a curve for lists, one row per run and metric.

    ``step`` and ``value`` are those of the highest step, null for a number without a curve. ``final`` is the number in
    the run's result, and ``finals`` the values that it is the mean of, one per split.
    """

    __tablename__ = "metric_latest"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int | None] = mapped_column(BigInteger)
    value: Mapped[float | None] = mapped_column(Double)
    final: Mapped[float | None] = mapped_column(Double)
    finals: Mapped[list[float] | None] = mapped_column(ARRAY(Double))
    min: Mapped[float | None] = mapped_column(Double)
    min_step: Mapped[int | None] = mapped_column(BigInteger)
    max: Mapped[float | None] = mapped_column(Double)
    max_step: Mapped[int | None] = mapped_column(BigInteger)
    at_best: Mapped[float | None] = mapped_column(Double, comment="value where validation is best")

    __table_args__ = (Index("ix_metric_latest_key", "key", text("coalesce(final, value)"), "run_id"),)
