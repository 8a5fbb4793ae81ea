"""`python -m reft` is `reft`."""

import sys

from reft.cli import main

sys.exit(main())
