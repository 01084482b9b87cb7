update base.watermark
set
    sequence = $1, time_ns = $2, segment = $3, "offset" = $4, digest = $5, frames = $6,
    bars_before = make_timestamp($7);
