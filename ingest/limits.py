"""What the gateway takes at most, each limit with its reason; past one the answer names it and nothing accepted is lost."""

from controlzero.records import NAME_CHARS_MAX

BODY_BYTES_MAX = 8 * 2**20
"""One request's body as it arrives: about 8,000 records of 1 KB, plain. A larger delivery is several batches."""

EXPANDED_BYTES_MAX = 32 * 2**20
"""One body decompressed: four times the plain limit, so that compressing pays, and a bomb costs milliseconds."""

LINES_MAX = 10_000
"""Records in one batch: what a worker judges and lands as one piece within its tick."""

LINE_BYTES_MAX = 2**20
"""One record: a long prompt in full. Past it the line is quarantined, its neighbours go on."""

DEPTH_MAX = 64
"""Nesting of one record, itself included: deeper than any tool's arguments, shallow for every parser downstream."""

INLINE_BYTES_MAX = 2**20
"""Bodies up to this are admitted between two requests (about 2 ms); larger ones beside them, one at a time."""

INLINE_COMPRESSED_BYTES_MAX = INLINE_BYTES_MAX // 4
"""The same for compressed bodies: records compress four- to tenfold."""

IN_FLIGHT_BYTES_MAX = 128 * 2**20
"""Bodies held at once, over all requests: it bounds the process's memory whatever the clients do."""

REQUESTS_MAX = 1_024
"""Requests answered at once: each holds a socket and a task."""

BODY_READ_S_MAX = 30.0
"""From the headers to the end of the body: a full body over a line of 2.5 Mbit/s."""

HEADERS_READ_S_MAX = 10.0
"""From a request's first byte (or the connection) to the end of its headers: they fit one packet."""

ANSWER_READ_S_MAX = 60.0
"""From an answer that the connection does not take at once to its being taken: a policy of megabytes over a line of 0.5 Mbit/s."""

HEADERS_BYTES_MAX = 64 * 2**10
"""All headers of one request: ours need 1 KB; the parser itself would hold any amount."""

KEEP_ALIVE_S = 75.0
"""An idle connection is kept this long: more than a sender's pause between two batches."""

WAIT_S_MAX = 30.0
"""A request for the bundle waits at most this long for a change: shorter than the patience of common proxies."""

RATE_LINES_PER_S = 200_000.0
"""What one key may deliver per second, a request counting as one line more: beyond what one machine lands, so that only a loop gone wild meets it."""

RATE_BURST_LINES = 400_000.0
"""What one key may deliver at once after a pause: an agent that was offline empties its spool."""

NAME_IN_HEADER_CHARS_MAX = 128
"""A project's or producer's name: it is part of every message's key."""

OCCURRED_AT_MIN = 946_684_800_000_000
"""2000-01-01 in microseconds: what is before it is seconds or milliseconds, or a clock that was never set; years of it fit no chart."""

REASON_CHARS_MAX = NAME_CHARS_MAX
"""Why a line was rejected: a sentence, which may quote a little of the line."""

DISK_FREE_BYTES_MIN = 64 * 2**20
"""Free space the gateway leaves (or a twentieth of a small disk): workers need it to land and trim what was accepted."""

DISK_FREE_SHARE_MIN = 0.05
"""See DISK_FREE_BYTES_MIN."""

SHUTDOWN_S_MAX = 20
"""A stopping gateway finishes the requests it has within this time."""
