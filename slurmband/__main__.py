"""``python -m slurmband``."""

from slurmband.cli.main import main

if __name__ == "__main__":
    main()
