"""The live page at `/`: three files of this package, nothing from elsewhere, no build step."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

from service.headers import not_modified

_FOLDER = Path(__file__).parents[1] / "page"
router = APIRouter(include_in_schema=False)
_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_FILES = ("app.js", "api.js", "customer.js", "feed.js", "words.js", "style.css", "icon.svg")


@cache
def _file(name: str) -> tuple[bytes, str]:
    content = (_FOLDER / name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'


async def _page(request: Request) -> Response:
    name = request.url.path.removeprefix("/") or "index.html"
    content, etag = _file(name)
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if not_modified(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(content, 200, headers, f"{_TYPES[name.rpartition('.')[2]]}; charset=utf-8")


for _path in ("/", *(f"/{_name}" for _name in _FILES)):
    router.add_api_route(_path, _page, methods=["GET", "HEAD"])
