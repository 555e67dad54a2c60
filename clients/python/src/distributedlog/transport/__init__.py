"""HTTP: addresses, connections, and when a request is tried again. Knows nothing of topics and groups."""
