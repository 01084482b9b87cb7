"""The venue: sockets, files and the clock live here, and in no other part of the core."""
