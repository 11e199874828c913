"""The pages of the web interface. They use the system only through ``vise_client``."""
