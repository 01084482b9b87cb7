"""The firm's client. Its public names are those of `exchange`: import them from there.

    exchange (connect_sync)
      client/sync.py      the calls, one thread
        client/link.py      the socket, and nothing of the business
        client/session.py   what is said and heard, without socket or clock
          client/requests.py  questions with a number, and their answers
          client/fillbook.py  the fills heard, and where some were missed
          client/tickets.py   orders as a member writes them
          client/answers.py   orders, fills and accounts as a member is told of them
            client/errors.py    all that can go wrong, drawn as a tree
            client/money.py     yuan as people write it, hao as the house counts it
      client/history.py   SQL, bars and trades, from the venue's settlement side
      profiles.py         who one is, and where the venue is
"""
