"""A whole venue in one process, from one seed: its parts, its members, and every fault that befalls them.

What is real: gateway, sequencer, journal, engine, settlement and its store, feed, snapshots, the clients'
sessions and the readers' books. What is made up: the clock, the network and the disk. One seed decides what
members do and what goes wrong; the laws of the exchange are checked after every command, and when all is calm
again everything must come to agree.
"""
