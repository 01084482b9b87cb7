"""What a person sees of the feed: an instrument's book, and the market at one glance.

What there is to be seen is folded from messages and painted as text without a terminal: `book_view`,
`overview` and the `painting` of both. `screens` shows it full-screen, `lines` tells it where nobody watches.
"""
