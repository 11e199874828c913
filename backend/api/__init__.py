"""The REST API. Routers are thin: they check the role of the user, call the store, and return ``vise_client.schemas``."""
