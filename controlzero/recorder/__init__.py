"""The recorder: records go to a durable spool in the agent's process, and a sender brings them to the gateway.

One producer is one run of one process, and its spool is a folder that only it writes. A record is one
`os.write` to the page cache, which survives `kill -9`: no fsync, no lock, no other thread is waited for.
A record's sequence number is its place in the spool, so it has no gaps by construction.
"""
