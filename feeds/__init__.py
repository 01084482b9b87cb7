"""Market data: what the public is told of the books. It carries no member and no client order id.

    journal frame -> events, book -> Publisher -> ZeroMQ PUB -> Subscriber -> BookBuilder, Bars
                                     (refreshes by ROUTER)

`feeds.messages` says what stands in each byte. A reader needs `struct` and pyzmq, nothing else:
`feeds.subscriber`, `feeds.builder` and `feeds.bars` load no array library and no kernel.
"""
