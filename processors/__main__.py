"""`python -m processors`: the embedded worker."""

import sys

from processors.embedded import main
from topics.settings import ending_in_a_sentence

with ending_in_a_sentence():
    sys.exit(main())
