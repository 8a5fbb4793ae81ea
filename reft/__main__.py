"""`python -m reft` is `reft`."""

import sys

if sys.path[0] == "" or not sys.flags.safe_path:
    del sys.path[0]  # the current folder, which `-m` puts first; `main` puts it last, where it hides nothing

from reft.cli import main

sys.exit(main())
