"""Data sets on their way in: downloads, archives, layouts, and a look at what there is."""
