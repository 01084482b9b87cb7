"""Other matching engines from PyPI, driven over our tapes, in an environment and a process of their own."""
