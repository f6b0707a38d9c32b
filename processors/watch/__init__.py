"""What needs time or more than one partition: jumps in denials, found on a clock tick by the one process that holds the lease."""
