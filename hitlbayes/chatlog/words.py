"""How many words a text has, in scripts that part words by spaces and in those that do not."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

# Chinese and Japanese part no words by spaces: every character counts, as word processors count them.
CHARACTERS = r"\p{Han}\p{Hiragana}\p{Katakana}"
_OTHER = rf"(?:[^\P{{L}}{CHARACTERS}]|[\p{{N}}\p{{M}}])"
WORD = rf"[{CHARACTERS}]|\p{{N}}+(?:[.,]\p{{N}}+)+|{_OTHER}+(?:['’\-]{_OTHER}+)*"

_extract_all = ibis.udf.scalar.builtin(
    lambda text, pattern: None,
    name="regexp_extract_all",
    signature=(("string", "string"), "array<string>"),
)


def count_words(text: ir.StringColumn) -> ir.IntegerColumn:
    """Words of each text, in DuckDB: Chinese and Japanese characters, and words and numbers of other scripts.

    Punctuation, emoji and spaces count nothing; "don't", "e-mail" and "3.50" count one each. Scripts that
    part words neither by spaces nor by characters (Thai, Khmer) need a count of their own.

    Examples
    --------
    >>> count_words(ibis.literal("您好，订单 SF12345 don't ship 3.50 ¥ 🙂")).to_pyarrow().as_py()
    8
    """
    return _extract_all(text, WORD).length()
