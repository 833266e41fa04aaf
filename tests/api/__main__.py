"""`python -m tests.api` writes the files of `docs/api`; with `--check` it tells what is wrong with them (exit 1)."""

from __future__ import annotations

import sys

from tests.api.files import mistakes, written

if "--check" in sys.argv[1:]:
    found = mistakes()
    print("\n".join(found) or "docs/api: as the code says, and valid")
    sys.exit(bool(found))
for path, text in written().items():
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    print(path)
