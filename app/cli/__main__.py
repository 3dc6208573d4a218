"""`python -m app.cli`: the command line without its installed script."""

import sys

from app.cli import main

if __name__ == "__main__":
    sys.exit(main())
