"""`python -m thalweg` is the command line of tools/cli.py."""

import sys

from thalweg.tools.cli import main

if __name__ == "__main__":
    sys.exit(main())
