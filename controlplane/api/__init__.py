"""The control plane over HTTP: what people and their programs may ask and change, and the session of an agent."""
