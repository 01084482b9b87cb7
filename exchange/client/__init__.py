"""The firm's client. Its public names are those of `exchange`: import them from there.

sync.py, asynchronous.py   the two clients: the same calls, for one thread and for an event loop
    shells.py              what both have in common
    link.py, async_link.py how each waits at its socket
        wire.py            the socket, and nothing of the business
calls.py                   the calls, each written once, as a flow: orders
    acting.py              questions, and what a member does with its money and credits
    streams.py             fills and updates, one by one
    queries.py             SQL, bars, trades and fills, from the venue's settlement side
        statements.py, tables.py, account_statement.py
    flows.py               what a flow is
    desk.py                what all flows of one client share
session.py                 what is said and heard, without socket or clock
    hearing.py             reports, and the commands that they answer
    blotter.py             one's own orders, kept up to date
        fillbook.py        the fills heard, and where some were missed
        updates.py         the states that orders went through
    encoding.py            commands as frames
    requests.py            what awaits an answer
    doubts.py, refusals.py what is not known, and what was refused, in words
tickets.py                 orders as a member writes them
subsidy.py                 what a programme would pay for one
answers.py                 orders, fills and accounts as a member is told of them
errors.py                  all that can go wrong, drawn as a tree
money.py                   yuan as people write it, hao as the house counts it
"""
