/* The feed of Tokenbourse, version 3: made by `make docs` from the code; edit that instead.
   C99, needs nothing else. The fields are little-endian: on a machine that is not, swap them.
   A message is struct feed_header and then `count` records; feed.md beside this says more. */

#ifndef TOKENBOURSE_FEED_H
#define TOKENBOURSE_FEED_H

#include <stdint.h>

enum feed_kind {
    FEED_TRADES = 'T',
    FEED_STATUS = 'S',
    FEED_INDICATIVE = 'I',
    FEED_ORDERS = 'O',
    FEED_DEPTH = 'D',
    FEED_TOPS = 'Q',
    FEED_FAST_VIEW = 'V',
    FEED_SLOW_VIEW = 'W',
    FEED_PROGRAMMES = 'P',
    FEED_HEARTBEAT = 'H',
    FEED_FIXINGS = 'F',
    FEED_DEFINITIONS = 'N',
    FEED_LEVELS_REFRESH = 'R',
    FEED_ORDERS_REFRESH = 'L',
    FEED_REQUEST = 'A'
};

enum feed_limit {
    FEED_VERSION = 3,
    FEED_EVERY_INSTRUMENT = -1,
    FEED_VIEW_LEVELS = 10,
    FEED_MESSAGE_BYTES_MAX = 67108864,
    FEED_NO_TAKER = 2
};

enum feed_side {
    FEED_SIDE_BUY = 0,
    FEED_SIDE_SELL = 1
};

enum feed_change {
    FEED_CHANGE_PLACED = 0,
    FEED_CHANGE_FILLED = 1,
    FEED_CHANGE_TAKEN_OFF = 2
};

enum feed_phase {
    FEED_PHASE_CLOSED = 0,
    FEED_PHASE_PRE_OPEN = 1,
    FEED_PHASE_NO_CANCEL = 2,
    FEED_PHASE_AUCTION = 3,
    FEED_PHASE_CONTINUOUS = 4,
    FEED_PHASE_HALTED = 5
};

#pragma pack(push, 1)

/* What every message begins with, 48 bytes, so that the records behind it lie aligned. */
struct feed_header {
    char kind;              /*  0: what the message tells: its letter, see the kinds */
    int32_t instrument;     /*  1: the instrument's number, -1 where the message is of no single one */
    uint8_t version;        /*  5: of this layout; refuse any other */
    uint8_t unused[2];      /*  6: zero */
    int64_t run;            /*  8: changes when the publisher starts anew, and all numbers with it */
    int64_t number;         /* 16: of this topic, from 1, rising by one; of what was asked for: of the last message in it */
    int64_t sequence;       /* 24: the journal's sequence that the message is as of */
    int64_t time;           /* 32: ns since 1970, UTC: the frame's; a heartbeat's own */
    int64_t count;          /* 40: records behind this header (or behind the picture); of a document, its bytes */
};

/* One trade, 48 bytes. `trade` rises over all runs; `sequence` is that of the taker's command. A trade
   that is busted later is not told of again: the feed tells what happened when it did, history what
   holds. */
struct feed_trade_print {
    int64_t trade;          /*  0: the trade's number, rising over all runs; in a picture 0: none in this run */
    int64_t sequence;       /*  8: of the taker's command */
    int64_t price;          /* 16: hao per lot (1 hao = 0.0001 yuan) */
    int64_t quantity;       /* 24: lots */
    int64_t paid;           /* 32: hao that a programme paid of price x quantity at once */
    uint8_t taker_side;     /* 40: 0 buy, 1 sell, 2 in an auction, where nobody takes */
    uint8_t subsidised;     /* 41: 1 where a programme stands behind the buy, be it that it pays later */
    uint8_t unused[6];      /* 42: zero */
};

/* One change of what a market is doing, 32 bytes. */
struct feed_status_change {
    int64_t reference;      /*  0: the reference price in hao per lot, 0 for none */
    int64_t sequence;       /*  8: of the command that changed it, 0: so when the run began */
    int64_t time;           /* 16: ns since 1970, UTC, 0: so when the run began */
    uint8_t phase;          /* 24: what the market is doing, see the codes */
    uint8_t cause;          /* 25: the reject reason of the collar that interrupted trading, or 0 */
    uint8_t unused[6];      /* 26: zero */
};

/* What an auction would find, 32 bytes. */
struct feed_indicative_price {
    int64_t price;          /*  0: hao per lot (1 hao = 0.0001 yuan) */
    int64_t volume;         /*  8: lots that would trade */
    int64_t surplus;        /* 16: lots that would be left at that price */
    uint8_t side;           /* 24: whose surplus it is; 0 where neither has one */
    uint8_t unused[7];      /* 25: zero */
};

/* One level's new total, 24 bytes. */
struct feed_level_update {
    int64_t price;          /*  0: hao per lot (1 hao = 0.0001 yuan) */
    int64_t quantity;       /*  8: lots shown at the price, all of them: a total; 0: the level is gone */
    int32_t orders;         /* 16: orders at the price */
    uint8_t side;           /* 20: 0 buy, 1 sell */
    uint8_t unused[3];      /* 21: zero */
};

/* What was done to one resting order, 40 bytes. */
struct feed_order_update {
    int64_t order;          /*  0: the order's number, its own as long as it lives */
    int64_t sequence;       /*  8: of the command that did it */
    int64_t price;          /* 16: hao per lot (1 hao = 0.0001 yuan) */
    int64_t quantity;       /* 24: lots that the order shows from then on; 0: it has left */
    uint8_t side;           /* 32: 0 buy, 1 sell */
    uint8_t change;         /* 33: what was done, see the codes */
    uint8_t unused[6];      /* 34: zero */
};

/* The best level of each side, 40 bytes. */
struct feed_top {
    int64_t bid_price;      /*  0: hao per lot */
    int64_t bid_quantity;   /*  8: lots, 0 where there is no bid */
    int64_t ask_price;      /* 16: hao per lot */
    int64_t ask_quantity;   /* 24: lots, 0 where there is no ask */
    int32_t bid_orders;     /* 32: orders at that price */
    int32_t ask_orders;     /* 36: orders at that price */
};

/* What an instrument's trades of this run of the publisher amount to, 32 bytes. */
struct feed_totals {
    int64_t trades;         /*  0: trades of this run */
    int64_t quantity;       /*  8: their lots */
    int64_t amount;         /* 16: the sum of their price x quantity, in hao */
    int64_t paid;           /* 24: what programmes paid of it at once, in hao */
};

/* The last numbers of an instrument's topics, 48 bytes. */
struct feed_last_numbers {
    int64_t depth;          /*  0: last number of topic D */
    int64_t orders;         /*  8: of O */
    int64_t trades;         /* 16: of T */
    int64_t status;         /* 24: of S */
    int64_t indicative;     /* 32: of I */
    int64_t top;            /* 40: of Q */
};

/* The number of a topic's last message, 16 bytes. */
struct feed_topic_number {
    char kind;              /*  0: the topic's kind */
    int32_t instrument;     /*  1: and its instrument */
    uint8_t unused[3];      /*  5: zero */
    int64_t number;         /*  8: the number of its last message */
};

/* What a reader asks with, 8 bytes. */
struct feed_ask {
    char kind;              /*  0: A */
    int32_t instrument;     /*  1: whose book; -1 with N: all definitions */
    uint8_t version;        /*  5: of this layout */
    char wanted;            /*  6: R, L or N */
    uint8_t unused[1];      /*  7: zero */
};

/* What a recording of the feed begins with, 12 bytes. */
struct feed_recording {
    char magic[10];         /*  0: BOURSEFEED */
    uint16_t version;       /* 10: that of its messages */
};

/* What stands before each message in it, 12 bytes. */
struct feed_recorded {
    int64_t heard;          /*  0: ns since 1970, UTC */
    uint32_t length;        /*  8: bytes of the message that follows */
};

/* What R, L, V and W begin with; `header.count` levels, or orders (L), follow. */
struct feed_picture {
    struct feed_header header;
    struct feed_last_numbers numbers;
    struct feed_trade_print last_trade;
    struct feed_status_change status;
    struct feed_indicative_price indicative;
    struct feed_totals totals;
};

#pragma pack(pop)

/* Each of these fails to compile where a struct is not as long as on the wire. */
typedef char feed_header_has_48_bytes[sizeof(struct feed_header) == 48 ? 1 : -1];
typedef char feed_trade_print_has_48_bytes[sizeof(struct feed_trade_print) == 48 ? 1 : -1];
typedef char feed_status_change_has_32_bytes[sizeof(struct feed_status_change) == 32 ? 1 : -1];
typedef char feed_indicative_price_has_32_bytes[sizeof(struct feed_indicative_price) == 32 ? 1 : -1];
typedef char feed_level_update_has_24_bytes[sizeof(struct feed_level_update) == 24 ? 1 : -1];
typedef char feed_order_update_has_40_bytes[sizeof(struct feed_order_update) == 40 ? 1 : -1];
typedef char feed_top_has_40_bytes[sizeof(struct feed_top) == 40 ? 1 : -1];
typedef char feed_totals_has_32_bytes[sizeof(struct feed_totals) == 32 ? 1 : -1];
typedef char feed_last_numbers_has_48_bytes[sizeof(struct feed_last_numbers) == 48 ? 1 : -1];
typedef char feed_topic_number_has_16_bytes[sizeof(struct feed_topic_number) == 16 ? 1 : -1];
typedef char feed_ask_has_8_bytes[sizeof(struct feed_ask) == 8 ? 1 : -1];
typedef char feed_recording_has_12_bytes[sizeof(struct feed_recording) == 12 ? 1 : -1];
typedef char feed_recorded_has_12_bytes[sizeof(struct feed_recorded) == 12 ? 1 : -1];
typedef char feed_picture_has_240_bytes[sizeof(struct feed_picture) == 240 ? 1 : -1];

#endif
