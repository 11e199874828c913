"""What one stage hands to another: a module a format, with its version, schema, reader, writer and errors."""
