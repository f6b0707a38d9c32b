"""`python -m processors.watch`: the one process that watches."""

import sys

from processors.watch.watching import main
from topics.settings import ending_in_a_sentence

with ending_in_a_sentence():
    sys.exit(main())
