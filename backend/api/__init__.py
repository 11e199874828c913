"""The REST API. Routers are thin: they check who asks, call the store, and answer in ``vise_client.schemas``."""
