"""The store: tables, queries, and the state machine of runs, on PostgreSQL."""
