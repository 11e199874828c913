"""Formats of the artifacts that stages exchange: one module each, with version, schema, reader, writer and errors."""
