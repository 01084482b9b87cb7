"""The firm's client. Its public names are those of `exchange`: import them from there.

    sync.py             the calls, one thread: orders
        acting.py       questions, and what a member does with its money and credits
        link.py         the socket, and nothing of the business
        session.py      what is said and heard, without socket or clock
            blotter.py  one's own orders, kept up to date
            fillbook.py the fills heard, and where some were missed
            encoding.py commands as frames
            requests.py what awaits an answer
            refusals.py refusals, in words
        history.py      SQL, bars and trades, from the venue's settlement side
            statements.py, tables.py
    tickets.py          orders as a member writes them
    subsidy.py          what a programme would pay for one
    answers.py          orders, fills and accounts as a member is told of them
    errors.py           all that can go wrong, drawn as a tree
    money.py            yuan as people write it, hao as the house counts it

A shell for another kind of program, an asynchronous one, stands beside `sync.py` over the same session.
"""
