"""`python -m processors.watch`: the one process that watches."""

import sys

from processors.watch.watching import main

sys.exit(main())
