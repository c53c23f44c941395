"""The only SQL: the schema, the ways to reach the file, every write and every read."""
