"""`python -m processors`: the embedded worker."""

import sys

from processors.embedded import main

sys.exit(main())
