"""Read untrusted weight files as data: no code runs, and every stated size is checked.

Readers return tensors that are views of the mapped file. Memory is used only when tensors with the names, shapes and
types of the expected network are copied (``vise_core.models.tensors``).
"""
