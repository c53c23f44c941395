"""The command line: one small file per command; errors become exit codes in `main`."""
