"""Run migrations against the database that the caller names (``backend.store.database.alembic_config``)."""

from alembic import context
from backend.settings import settings
from backend.store.database import UNLIMITED, connect
from backend.store.tables import Base

url = context.config.attributes.get("url") or settings().database_url

with connect(url, pool_size=1, limits=UNLIMITED).connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=False)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
