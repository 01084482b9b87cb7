/* Reads a recording of the feed, as `bourse feed record day.feed` writes it, and prints a line a message:

       cc -std=c99 -I docs/reference -o decode_feed docs/examples/decode_feed.c
       ./decode_feed day.feed

   kind, instrument, number, sequence and count; below a message of trades a line each: price, quantity,
   what a programme paid. The layout is in feed.h; this machine must be little-endian, as the feed is. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"

static int fail(const char *why)
{
    fprintf(stderr, "decode_feed: %s\n", why);
    return 1;
}

/* Print one message; return why it cannot be read, or NULL. */
static const char *tell(const unsigned char *message, size_t length)
{
    struct feed_header header;
    struct feed_trade_print print;
    int64_t row;

    if (length < sizeof header)
        return "a message is shorter than its header";
    memcpy(&header, message, sizeof header); /* copied: the bytes may stand at any address */
    if (header.version != FEED_VERSION)
        return "a message of another version in it";
    printf("%c %" PRId32 " %" PRId64 " %" PRId64 " %" PRId64 "\n", header.kind, header.instrument,
           header.number, header.sequence, header.count);
    if (header.kind != FEED_TRADES)
        return NULL;
    if (header.count < 0 || (uint64_t)header.count != (length - sizeof header) / sizeof print)
        return "a message does not hold as many trades as it says";
    for (row = 0; row < header.count; row++) {
        memcpy(&print, message + sizeof header + (size_t)row * sizeof print, sizeof print);
        printf("  %" PRId64 " %" PRId64 " %" PRId64 "\n", print.price, print.quantity, print.paid);
    }
    return NULL;
}

int main(int count, char **words)
{
    struct feed_recording start;
    struct feed_recorded frame;
    unsigned char *message = malloc(FEED_MESSAGE_BYTES_MAX);
    const char *fault = NULL;
    FILE *file = count == 2 ? fopen(words[1], "rb") : NULL;

    if (file == NULL || message == NULL)
        return fail("name one recording that can be read");
    if (fread(&start, sizeof start, 1, file) != 1 || memcmp(start.magic, "BOURSEFEED", 10) != 0)
        return fail("this is no recording of the feed");
    if (start.version != FEED_VERSION)
        return fail("a recording of another version: take the feed.h of its release");
    while (fault == NULL && fread(&frame, sizeof frame, 1, file) == 1) {
        if (frame.length > FEED_MESSAGE_BYTES_MAX)
            fault = "the file is damaged: no message is as long as one here says";
        else if (fread(message, 1, frame.length, file) != frame.length)
            fault = "the last message is torn: the recording ended in the middle of it";
        else
            fault = tell(message, frame.length);
    }
    fclose(file);
    free(message);
    return fault == NULL ? 0 : fail(fault);
}
