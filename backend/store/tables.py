"""All tables, imported so that ``Base.metadata`` is complete: for Alembic, and for foreign keys between rooms."""

from backend.store.accounts import tables as accounts
from backend.store.base import Base
from backend.store.metrics import tables as metrics
from backend.store.registry import tables as registry
from backend.store.reports import tables as reports
from backend.store.runs import tables as runs
from backend.store.serving import tables as serving
from backend.store.upkeep import tables as upkeep

__all__ = ["Base", "accounts", "metrics", "registry", "reports", "runs", "serving", "upkeep"]
