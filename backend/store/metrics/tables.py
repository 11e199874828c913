"""Tables of metrics: the history, what is precomputed of it for charts, and what lists show."""

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
    """History: one value of one curve. The key makes a repeated write harmless.

    No foreign key: to look up the run of each point would be half the cost of writing it, and who writes holds the
    run's row anyway. A trigger deletes the points with the run.
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
    """What 64 points of a curve come to: of those numbers 64 n to 64 n + 63 in the order of steps, chunk n.

    A row is written when its points are all there. Those after the last whole chunk, fewer than 64, have none.
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
    """What lists show of a curve, so that they never read the history: one row a run and metric.

    ``step`` and ``value`` are those of the highest step, null for a number that has no curve. ``final`` is the
    number of the run's result, and ``finals`` what it is the mean of, one value a split.
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
