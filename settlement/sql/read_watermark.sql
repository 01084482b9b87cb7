select sequence, time_ns, segment, "offset", digest, frames, epoch_us(bars_before)
from base.watermark;
