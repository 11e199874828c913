"""Files and folders: their names, their SHA-256, listings, downloads and the cache folder. Only the standard library and httpx."""
