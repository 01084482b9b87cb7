"""Who owns what: balances and programmes in kernels, postings, the store, its query service."""
