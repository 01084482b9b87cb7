"""CURVE keys as they are written: 32 bytes as 40 characters of Z85 (ZeroMQ RFC 32)."""

from __future__ import annotations

import re

_KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}", re.ASCII)


def is_key(text: str) -> bool:
    """Tell whether a text is written as a key is.

    >>> is_key("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"), is_key("Yne@"), is_key("~" * 40)
    (True, False, False)
    """
    return _KEY.fullmatch(text) is not None
