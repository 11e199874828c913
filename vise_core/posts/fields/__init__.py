"""From a row of a source to a post: where its fields stand, and how comments and reaction counts are read."""
