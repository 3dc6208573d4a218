"""`python -m app.worker`: one worker, on the database that the settings name."""

import sys

from app import bootstrap

if __name__ == "__main__":
    sys.exit(bootstrap.run_worker())
