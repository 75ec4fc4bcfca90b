"""`python -m autcar` is the ``autcar`` command, also where its folder is not on the path."""

import sys

from autcar.cli import main

sys.exit(main())
