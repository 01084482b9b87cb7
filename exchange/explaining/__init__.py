"""Why a trade or an order came out so: `rows` asks the store, `reckoning` says why, `telling` tells it."""
