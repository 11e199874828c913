"""The pages. They talk to the system only through ``vise_client``."""
