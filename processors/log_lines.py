"""How the workers' log reads: a JSON object a line on standard error, a sentence and its fields."""

import sys

import structlog


def configure() -> None:
    """Have every logger of this process write so."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
