"""Numbers of PostgreSQL's advisory locks, in a row, so that no two locks have the same.

Locks of many keys, such as one for each user, have two numbers, which PostgreSQL keeps apart from these.
"""

MIGRATION_LOCK, SWEEP_LOCK, BACKUP_LOCK, REMOVALS_LOCK, REGISTRY_LOCK = range(8_447_301, 8_447_306)
"""Held while the tables are migrated; exclusively while a sweep removes objects, and while a backup is made; by the
process that works on removals of posts, until it ends or its lease does; while a default model or a free name is
chosen."""
