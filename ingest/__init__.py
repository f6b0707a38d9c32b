"""The gateway: authenticate, admit or quarantine, and answer only when the batch is durable."""
