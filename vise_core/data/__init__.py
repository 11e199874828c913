"""Import data sets: downloads, archives, layout recognition, and surveys."""
