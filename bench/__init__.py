"""What the exchange costs, measured: kernels, the whole core, durable end to end, each beside a peer."""
