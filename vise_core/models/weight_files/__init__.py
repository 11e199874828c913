"""Files of tensors that nobody vouches for, read as data: no code runs, and no size is believed unchecked.

Every reader gives tensors that are views of the mapped file. Memory is first used when tensors whose names, shapes
and types are those of the expected network are copied out (``vise_core.models.tensors``).
"""
