"""The same work driven by other stream processors, each in an environment of its own: their needs and ours may not meet."""
