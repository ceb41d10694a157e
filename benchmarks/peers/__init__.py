"""Other products, each run in an environment of its own."""
