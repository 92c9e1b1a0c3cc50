"""`python -m causerie` is the command `causerie`."""

from causerie.cli import main

if __name__ == "__main__":
    main()
