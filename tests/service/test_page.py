"""The live page: three kinds of files from here, nothing from elsewhere, text only as text."""

from __future__ import annotations

import re
from importlib import resources

import httpx2
import pytest

PAGE = resources.files("service") / "page"
FILES = sorted(each.name for each in PAGE.iterdir() if each.name.rpartition(".")[2] in ("html", "js", "css", "svg"))
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


@pytest.mark.parametrize("name", FILES)
async def test_each_file_is_served_with_its_type_and_can_be_kept(client: httpx2.AsyncClient, name: str) -> None:
    path = "/" if name == "index.html" else f"/{name}"
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(TYPES[name.rpartition(".")[2]])
    assert answer.text == (PAGE / name).read_text()
    again = await client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert (await client.head(path)).status_code == 200


@pytest.mark.parametrize("name", FILES)
def test_nothing_comes_from_elsewhere_and_nothing_is_inserted_as_html(name: str) -> None:
    text = (PAGE / name).read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|//[a-z]+\.[a-z]|@import|url\(", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text)


def test_the_policy_allows_what_the_page_does() -> None:
    html = (PAGE / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", html)
    names = set(re.findall(r'(?:src|href)="/([\w.]+)"', html)) | {
        name
        for each in FILES
        if each.endswith(".js")
        for name in re.findall(r'from "\./([\w.]+)"', (PAGE / each).read_text())
    }
    assert {name for name in names if "." in name} - {"openapi.json"} <= set(FILES)
    assert 'setAttribute("style"' not in "".join((PAGE / each).read_text() for each in FILES)


async def test_only_these_files_are_served(client: httpx2.AsyncClient) -> None:
    for path in ("/index.html", "/../settings.py", "/page/app.js", "/app.py", "/%2e%2e/settings.py"):
        assert (await client.get(path)).status_code == 404
