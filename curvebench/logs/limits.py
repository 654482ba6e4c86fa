"""How much of a log is read at most, so that no log takes unbounded time or memory."""

from __future__ import annotations

MAX_BYTES = 256 * 2**20
"""Of a binary file, and of a compressed one after it is unpacked; the rest is left unread."""

MAX_TEXT_BYTES = 64 * 2**20
"""Of a text file; the rest is left unread."""

MAX_JSON_BYTES = 32 * 2**20
"""Of a JSON document, which means nothing when it is cut; a longer one is refused."""

MAX_JSON_ITEMS = 4_000_000
"""Commas and colons of a JSON document; one with more is refused."""

MAX_LINES = 5_000_000
"""Of a text; the rest is left unread."""

MAX_LINE = 2**20
"""Characters of a line of CSV or JSON lines; longer lines are left out."""

MAX_TEXT_LINE = 2**14
"""Characters of a line of a text log; longer lines are left out."""

MAX_RECORD = 2**20
"""Bytes of a record of an event file or a W&B file; longer ones (pictures, tables) are passed over."""

MAX_COLUMNS = 10_000
"""Different names of values in a run; what is logged under further names is left out."""

MAX_VALUES = 8_000_000
"""Numbers kept of a log; what follows is left out."""

MAX_NESTING = 8
"""How deep tables are looked for in a JSON document."""

MAX_FILES = 2_000
"""Files of a folder that are looked at."""

MAX_ENTRIES = 100_000
"""Entries of a folder and its folders that are listed."""

MAX_DEPTH = 10
"""How deep folders are looked into."""

MAX_FOLDER_BYTES = 2**30
"""Read of all files of a folder together."""

MAX_CURVES = 1_000
"""Curves that are read from a log."""

MAX_SQL_STEPS = 200_000_000
"""Instructions of SQLite's virtual machine that reading a database may take."""

MAX_NOTE_NAMES = 8
"""Names that a note or an error lists before it only counts them."""
