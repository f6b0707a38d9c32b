"""What people change: projects, keys, policies, bundles and modes, and the log of who changed them."""
