"""Wrappers that govern the clients agents already use; each imports its library only when it is called."""
